import { z } from "zod";
import { jsonOf } from "../cursor.ts";
import { invalidInput } from "../errors.ts";
import { listOf, Page, query } from "../registry.ts";
import { State } from "../tasks/task.ts";
import { Fleet, FleetSession } from "./fleet.ts";
import { readFleet } from "./overview.ts";
import { listFleetSessions, type Place } from "./sessions.ts";

export const getFleetQuery = query({
  name: "fleet.get",
  help: "All work of all agents, rolled up by project and agent, and what is worth a look.",
  path: "/fleet",
  input: z.strictObject({
    since: z.coerce
      .number()
      .int()
      .min(0)
      .optional()
      .describe("when today began for you, ms since 1970; left out: midnight where the server is"),
  }),
  output: Fleet,
  access: "person",
  mcp: { tool: "get_fleet", group: "fleet" },
  run: ({ since }, { read, now }) => readFleet(read, { since: since ?? new Date(now).setHours(0, 0, 0, 0), now }),
});

/** `running,failed`, or several of them. */
const States = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().flatMap((text) => text.split(",")))
  .pipe(z.array(State));

export const listFleetSessionsQuery = query({
  name: "fleet.sessions",
  help: "Work and who does it, in the order of attention: what needs you, what failed within a day, what runs, starts, waits and is paused.",
  path: "/fleet/sessions",
  input: z.strictObject({
    ...Page.shape,
    project: z.string().max(100).optional(),
    agent: z.string().max(100).optional(),
    state: States.optional().describe("one or several, with commas"),
  }),
  output: listOf(FleetSession),
  access: "person",
  cli: { verb: "fleet", columns: ["task", "agent", "state", "reason", "title", "lastActivity"] },
  mcp: { tool: "list_fleet", group: "fleet" },
  async run({ limit, cursor, project, agent, state }, { read, now }) {
    const { items, next } = await listFleetSessions(read, { project, agent, states: state, after: placeOf(cursor), limit, now });
    return { items, next: next === null ? null : Buffer.from(JSON.stringify([next.state, next.at, next.id])).toString("base64url") };
  },
});

const CursorPlace = z.tuple([State, z.int(), z.string()]);

/** Throws AppError invalid_input for a text that is no place in this list. */
function placeOf(cursor: string | undefined): Place | null {
  if (cursor === undefined) return null;
  const place = CursorPlace.safeParse(jsonOf(cursor));
  if (!place.success)
    throw invalidInput("the cursor does not name a place in this list", undefined, ["leave the cursor out to start again"]);
  const [state, at, id] = place.data;
  return { state, at, id };
}

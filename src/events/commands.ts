import { z } from "zod";
import { jsonOf } from "../cursor.ts";
import { invalidInput } from "../errors.ts";
import { listOf, Page, page, query, stream as streamEntry } from "../registry.ts";
import { Event } from "./event.ts";
import { followEvents } from "./follow.ts";
import { listEvents, type EventPosition } from "./store.ts";

export const listEventsQuery = query({
  name: "event.list",
  help: "What happened, the oldest first. `after` is a number within one stream.",
  path: "/events/list",
  input: z
    .strictObject({
      ...Page.shape,
      stream: z.string().max(100).optional().describe("a project's id, or `instance`; all when left out"),
      task: z.string().max(100).optional(),
      run: z.string().max(100).optional(),
      after: z.int().min(0).optional().describe("only those behind this number of the stream"),
    })
    .refine(({ after, stream }) => after === undefined || stream !== undefined, "after needs a stream: numbers count within one"),
  output: listOf(Event),
  access: "person",
  cli: { verb: "events", columns: ["at", "stream", "seq", "type", "data"], custom: true },
  mcp: { tool: "list_events", group: "events" },
  async run({ limit, cursor, ...filter }, { read }) {
    const events = await listEvents(read, { ...filter, behind: positionOf(cursor), limit: limit + 1 });
    const { items, next } = page(events, limit, ({ at, stream, seq }) =>
      Buffer.from(JSON.stringify([at, stream, seq])).toString("base64url"),
    );
    // The store holds what was an event type when it was written; the schema checks it on the way out.
    return { items: items as Event[], next };
  },
});

const Position = z.tuple([z.int(), z.string(), z.int()]);

/** Throws AppError invalid_input for a text that is no place in this list. */
function positionOf(cursor: string | undefined): EventPosition | null {
  if (cursor === undefined) return null;
  const position = Position.safeParse(jsonOf(cursor));
  if (!position.success)
    throw invalidInput("the cursor does not name a place in this list", undefined, ["leave the cursor out to start again"]);
  const [at, stream, seq] = position.data;
  return { at, stream, seq };
}

export const followEventsStream = streamEntry({
  name: "event.follow",
  help: "Events as they happen: of one project (or `instance`), or of all. Goes on behind Last-Event-ID; without it from now, or from the start.",
  path: "/events",
  input: z.strictObject({
    stream: z.string().max(100).optional().describe("a project's id, or `instance`; all when left out"),
    from: z.enum(["now", "start"]).default("now").describe("where to begin without Last-Event-ID"),
  }),
  item: Event,
  access: "person",
  mcp: { tool: "follow_events", group: "events" },
  run: ({ stream = null, from }, { read, bus }, after, signal) => followEvents({ read, bus, stream, after, from, signal }),
});

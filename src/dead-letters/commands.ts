import { z } from "zod";
import type { Plan } from "../db/plan.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { planAgain } from "../tasks/again.ts";
import { cursorOf } from "../tasks/store.ts";
import { DeadLetter, filters } from "./dead-letter.ts";
import { deadAmong, listDead, toDeadLetter } from "./store.ts";

export const listDeadLetters = query({
  name: "dead-letter.list",
  help: "Tasks that failed for good, each with every attempt, the newest first.",
  path: "/dead-letters",
  input: Page.extend(filters),
  output: listOf(DeadLetter),
  access: "person",
  cli: { verb: "dead-letter list", columns: ["task", "project", "title", "reason", "failures", "crashes", "failedAt"] },
  mcp: { tool: "list_dead_letters", group: "tasks" },
  async run({ limit, cursor, ...filter }, { read }) {
    const rows = await listDead(read, filter, cursor === undefined ? null : Number(cursor) || 0, limit + 1);
    const { items, next } = page(rows, limit, cursorOf);
    return { items: await Promise.all(items.map((row) => toDeadLetter(read, row))), next };
  },
});

const mostAtOnce = 200;

export const replayDeadLetters = command({
  name: "dead-letter.replay",
  help: `Queue tasks that failed for good again, with all their tries; at most ${mostAtOnce} at once. What waited for them is not brought back.`,
  input: z.strictObject({
    ...filters,
    ids: z.array(z.string()).max(mostAtOnce).optional().describe("only these; all that fit when left out"),
  }),
  output: z.object({ replayed: z.array(z.string()), left: z.boolean().describe("there are more that fit") }),
  access: "person",
  mcp: { tool: "replay_dead_letters", group: "tasks" },
  async decide({ ids, ...filter }, { read, now }) {
    const rows = ids === undefined ? await listDead(read, filter, null, mostAtOnce + 1) : await deadAmong(read, ids);
    const chosen = rows.slice(0, mostAtOnce);
    const plans = chosen.map((row) => planAgain(row, { followUp: null, needsLeft: 0, now }));
    const plan: Plan = { statements: plans.flatMap((one) => one.statements), events: plans.flatMap((one) => one.events) };
    return { plan: chosen.length > 0 ? plan : null, result: { replayed: chosen.map(({ id }) => id), left: rows.length > mostAtOnce } };
  },
});

import { z } from "zod";
import { jsonOf } from "../cursor.ts";
import type { Reader } from "../db/plan.ts";
import { invalidInput, notFound } from "../errors.ts";
import { command, listOf, Page, query } from "../registry.ts";
import { InboxCounts, InboxGroup, InboxItem, Mark } from "./inbox.ts";
import { listBlocked, listInbox, type Place } from "./list.ts";
import { findWaiting, setMark } from "./store.ts";

export const listInboxQuery = query({
  name: "inbox.list",
  help: "What waits for a person, in the order of attention: what blocks work (the oldest first), what is ready for review, what failed.",
  path: "/inbox",
  input: z.strictObject({
    ...Page.shape,
    group: InboxGroup.optional().describe("only this group"),
    project: z.string().max(100).optional(),
  }),
  output: listOf(InboxItem).extend({ counts: InboxCounts }),
  access: "person",
  cli: { verb: "inbox", columns: ["id", "kind", "title", "agent", "project", "risk", "waiting"] },
  mcp: { tool: "list_inbox", group: "inbox" },
  async run({ limit, cursor, group, project }, { read, now, home }) {
    const options = { read, now, home, group: group ?? null, project: project ?? null, after: placeOf(cursor), limit };
    const { counts, items, next } = await listInbox(options);
    return {
      counts,
      items,
      next: next === null ? null : Buffer.from(JSON.stringify([next.group, next.at, next.id])).toString("base64url"),
    };
  },
});

const CursorPlace = z.tuple([InboxGroup, z.int(), z.string()]);

/** Throws AppError invalid_input for a text that is no place in this list. */
function placeOf(cursor: string | undefined): Place | null {
  if (cursor === undefined) return null;
  const place = CursorPlace.safeParse(jsonOf(cursor));
  if (!place.success)
    throw invalidInput("the cursor does not name a place in this list", undefined, ["leave the cursor out to start again"]);
  const [group, at, id] = place.data;
  return { group, at, id };
}

const hour = 3_600_000;
const longestSnooze = 366 * 24 * hour;

export const markInbox = command({
  name: "inbox.mark",
  help: "Mark an item of the inbox: done (until something new happens to it), snoozed (it comes back), or open again.",
  input: z.strictObject({
    item: z.string().min(1).max(100).describe("the item's id: of its approval, task or run"),
    mark: Mark.describe("what is to be with it"),
    until: z.int().optional().describe("for snoozed: when it comes back, ms since 1970; left out: in an hour"),
  }),
  output: z.object({ item: z.string(), mark: Mark, until: z.number().nullable() }),
  access: "person",
  scope: "work",
  mcp: { tool: "mark_inbox", group: "inbox" },
  async decide({ item: id, mark, until: wanted }, { read, now, actor }) {
    if (wanted !== undefined && mark !== "snoozed")
      throw invalidInput(`until says nothing about an item that is marked ${mark}`, undefined, ["leave it out"]);
    const until = mark === "snoozed" ? (wanted ?? now + hour) : null;
    if (until !== null && (until <= now || until > now + longestSnooze))
      throw invalidInput("until must be a time within the next year", `it is ${new Date(until).toISOString()}`);
    const found = await findItem(id, read);
    const at = Math.max(now, found.newest);
    return {
      plan: {
        statements: setMark(found.id, { mark, until, at }, actor.name),
        events: [{ stream: found.project, type: "inbox.marked", data: { item: found.id, mark, until, by: actor.name } }],
      },
      result: { item: found.id, mark, until },
    };
  },
});

/** The item that an id names; each of several folded requests names the one that they are. Throws AppError not_found. */
async function findItem(id: string, read: Reader): Promise<{ id: string; project: string; newest: number }> {
  const waiting = await findWaiting(read, id);
  if (waiting) return { id, project: waiting.project, newest: waiting.since };
  const blocked = (await listBlocked(read, null)).find((entry) => entry.id === id || entry.folded.includes(id));
  if (!blocked) throw notFound("inbox item", id, ["tutti inbox list"]);
  return blocked;
}

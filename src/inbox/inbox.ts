import { z } from "zod";
import { Approval } from "../approvals/approval.ts";
import { Reason } from "../tasks/task.ts";

/** The groups in the order of the attention that they need. */
export const groups = ["blocked", "review", "failed"] as const;
export const InboxGroup = z.enum(groups);
export type InboxGroup = z.infer<typeof InboxGroup>;

/** Something that waits for a person. */
export const InboxItem = z.object({
  id: z.string().describe("of the approval, task or run that it is about: it is marked and linked by it"),
  group: InboxGroup,
  kind: z.enum(["permission", "question", "sign-in", "quota", "review", "failed task", "failed run"]),
  title: z.string().describe("for a permission the exact action, never what the agent says about it"),
  project: z.string(),
  projectName: z.string(),
  agent: z.string().nullable(),
  task: z.string().nullable(),
  run: z.string().nullable(),
  step: z.string().nullable(),
  session: z.string().nullable(),
  approval: z.string().nullable(),
  since: z.number().describe("since when it waits: ms since 1970"),
  reason: Reason.nullable(),
  message: z.string().nullable(),
  options: z.array(z.string()).describe("what may be answered; the first is yes, the last is no. Empty when it is not about an answer."),
  waiting: z.int().describe("how many identical requests (or tasks in the same position) this one stands for"),
  folded: z.array(z.string()).describe("the ids of all approvals that it stands for, the oldest first"),
  risk: z.enum(["high", "low"]).nullable().describe("of the raw action of a permission; null when nothing is known of it"),
  risks: z.array(z.string()).describe("why the risk is high, in words"),
  /** SHA-256 of the action of `approval`, to be sent with its answer. */
  hash: Approval.shape.hash.nullable(),
  verified: z.boolean().nullable().describe("a task's check: it passed, did not, or there was none"),
  unseen: z.boolean().describe("nobody has marked it since it came"),
});
export type InboxItem = z.infer<typeof InboxItem>;

/** What is open of each group; `total` is the one number of every surface: what needs a person and is neither done nor snoozed. */
export const InboxCounts = z.object({ blocked: z.int(), review: z.int(), failed: z.int(), total: z.int() });
export type InboxCounts = z.infer<typeof InboxCounts>;

export const Mark = z.enum(["done", "snoozed", "open"]);
export type Mark = z.infer<typeof Mark>;

/** What a person did with an item. */
export interface Marked {
  mark: Mark;
  /** Until when it is snoozed, ms. */
  until: number | null;
  /** Not before the change that was marked, so that a slow clock on another server cannot mark the past. */
  at: number;
}

/**
 * Whether an item is to be shown. Done hides it until something newer than the mark happens (`newest`), a snooze until its time is
 * over or the item is about something else (`since`): one more request of the same kind does not wake what was put off.
 */
export function isOpen(marked: Marked | null, item: { since: number; newest: number }, now: number): boolean {
  if (marked === null || marked.mark === "open") return true;
  if (marked.mark === "done") return marked.at < item.newest;
  return marked.at < item.since || marked.until === null || marked.until <= now;
}

export const isUnseen = (marked: Marked | null, newest: number): boolean => marked === null || marked.at < newest;

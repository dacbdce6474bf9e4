import type { InboxItem } from "../../../src/inbox/inbox.ts";
import type { State } from "../../../src/tasks/task.ts";

export const groupTitles: Record<InboxItem["group"], string> = { blocked: "Blocked now", review: "Ready for review", failed: "Failed" };

/** The glyph: only what blocks needs a person now. */
export const stateOf = ({ group, kind }: Pick<InboxItem, "group" | "kind">): State =>
  group === "failed" ? "failed" : kind === "quota" ? "paused" : group === "review" ? "done" : "needs you";

/** Where the whole of it is. */
export function leadsTo({ kind, task, run }: Pick<InboxItem, "kind" | "task" | "run">): string | null {
  if (run !== null && (kind === "question" || kind === "failed run" || task === null)) return `/runs/${run}`;
  return task === null ? null : `/tasks/${task}`;
}

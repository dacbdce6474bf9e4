import { sql, statement, type Plan } from "../db/plan.ts";
import type { TaskRow } from "./store.ts";

/** Anew, with all its tries; a deadline that was set before no longer holds. */
export const planAgain = (
  row: TaskRow,
  { followUp, needsLeft, now }: { followUp: string | null; needsLeft: number; now: number },
): Plan => ({
  statements: [
    statement(sql`
      update tasks set state = 'queued', reason = ${needsLeft > 0 ? "needs" : "retry"}, ready = ${Number(needsLeft === 0)}, ready_at = ${now},
             needs_left = ${needsLeft}, cancel_requested = 0, cancel_at = null, failures = 0, crashes = 0, deadline = null, updated_at = ${now}
       where id = ${row.id} and state = ${row.state} and attempt = ${row.attempt}`),
    statement(sql`
      update task_details set finished_at = null, message = null, follow_up = coalesce(${followUp}, follow_up) where task = ${row.id}`),
  ],
  events: [
    {
      stream: row.project,
      type: "task.requeued",
      task: row.id,
      session: row.session,
      data: { state: "queued", reason: "retry", by: "person", title: row.title },
    },
  ],
});

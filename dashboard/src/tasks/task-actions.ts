import type { TaskView } from "../../../src/tasks/task.ts";
import { isTerminal } from "../../../src/tasks/task.ts";

export interface Possible {
  /** null: it can be done; else why not. */
  stop: string | null;
  retry: string | null;
  merge: string | null;
  reply: string | null;
}

/** What can be done with a task now, and if not, why. The server decides; this is what it would say. Pure. */
export function possible(task: Pick<TaskView, "state" | "kind" | "run" | "session" | "result">): Possible {
  const over = isTerminal(task.state);
  const ofRun = task.run === null ? null : `it is a step of ${task.run}`;
  return {
    stop: over ? `it is ${task.state}` : null,
    retry: task.state === "failed" || task.state === "cancelled" ? ofRun : `it is ${task.state}`,
    merge:
      task.kind !== "agent"
        ? "it has no change of its own"
        : task.state !== "done"
          ? `it is ${task.state}`
          : task.result?.commit
            ? null
            : "it changed nothing",
    reply:
      ofRun ??
      (task.kind !== "agent" || task.session === null
        ? "it has no conversation"
        : over
          ? null
          : task.state === "needs you"
            ? "it waits for an answer first"
            : "the agent is in the middle of a turn"),
  };
}

/** The one thing to do next. */
export function nextAction(task: Pick<TaskView, "state" | "kind" | "run" | "session" | "result">): "merge" | "retry" | null {
  const can = possible(task);
  if (can.retry === null) return "retry";
  return can.merge === null && task.run === null ? "merge" : null;
}

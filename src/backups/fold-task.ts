/** An event about a task as it is stored; `data` is JSON, or "" when it was erased. */
export interface TaskEvent {
  type: string;
  data: string;
}

/**
 * The states in which a task can be after these events, in their order; null when they do not tell. A question to a person is opened
 * and answered in events of its own, so a task at work may be either.
 */
export function foldTask(events: readonly TaskEvent[]): string[] | null {
  let states: string[] | null = null;
  for (const { type, data } of events) {
    switch (type) {
      case "task.created":
        states = ["queued", "paused", "cancelled", "failed"];
        break;
      case "task.assigned":
        states = ["starting", "needs you"];
        break;
      case "task.started":
      case "task.needs-you":
      case "task.resumed":
        states = ["running", "needs you"];
        break;
      case "task.requeued":
      case "task.settled": {
        const told = data === "" ? null : (JSON.parse(data) as { state?: unknown }).state;
        states = typeof told === "string" ? [told] : null;
        break;
      }
    }
  }
  return states;
}

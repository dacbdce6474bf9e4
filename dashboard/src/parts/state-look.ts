import type { State } from "../../../src/tasks/task.ts";

/** Every state that a screen can show: the eight words, and "skipped", which only steps have. */
export type AnyState = State | "skipped";

/** From loudest to quietest: the order of the beam, of legends and of counts in a sentence. */
export const loudestFirst = [
  "needs you",
  "failed",
  "running",
  "starting",
  "queued",
  "paused",
  "done",
  "cancelled",
  "skipped",
] as const satisfies readonly AnyState[];

/** The state as a part of a class name ("needs you" has a space). */
export const stateClass = (state: AnyState): string => (state === "needs you" ? "needs" : state);

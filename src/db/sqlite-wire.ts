import type { CrashPoint } from "./crash.ts";
import type { SqlValue } from "./plan.ts";

/**
 * What passes between the main thread and the writer. Everything is copied on the way, and many small arrays are copied slowly: so a
 * statement's text is sent once and is a number afterwards, and all plans of a message lie in two flat lists, in order, without ids.
 */
export interface WriterStart {
  file: string;
  clockOffset: SharedArrayBuffer | null;
  crashAt: CrashPoint | null;
  /** Where the store's mark is: see high-water.ts. */
  highWater: string;
}

export interface WirePlans {
  /**
   * For each plan: how many statements and how many events; then for each statement the number of its text, the rows that it expects to
   * touch (-1: any), how often it runs and how many values it takes each time.
   */
  shape: number[];
  /** The values of all statements, then of each event: stream, type, task, run, session, data as canonical JSON. */
  values: SqlValue[];
}

export type ToWriter =
  | {
      kind: "write";
      /** Forget all texts before: both sides start to count at 0 again, so that neither grows without bound. */
      forget: boolean;
      texts: string[];
      plans: WirePlans;
    }
  | { kind: "close" };

/** A number: conflict in that statement. An array: committed, its time and then the numbers of its events. Otherwise the plan failed. */
export type WireAnswer = number | number[] | WireError;

export interface WireError {
  message: string;
  stack: string | undefined;
  code: string | undefined;
  errcode: number | undefined;
  /** Whether it may be written all the same: the COMMIT itself failed at the disk, and the writer has stopped. */
  isUnknown: boolean;
}

export type FromWriter = { kind: "ready" } | { kind: "answers"; answers: WireAnswer[] };

export const toWireError = (error: unknown, isUnknown = false): WireError => {
  const details = error as { message?: string; stack?: string; code?: string; errcode?: number };
  return { message: details.message ?? String(error), stack: details.stack, code: details.code, errcode: details.errcode, isUnknown };
};

/** A clock of SQLite's connections: the system's, moved by what a test put into the shared memory (ms, a double). */
export function makeClock(offset: SharedArrayBuffer | null | undefined): () => number {
  if (!offset) return Date.now;
  const moved = new Float64Array(offset);
  return () => Date.now() + (moved[0] ?? 0);
}

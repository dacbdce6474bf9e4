import type { Reason, State, TaskResult } from "./task.ts";

/** How an attempt ended: what a runner reported, or that its runner is gone. */
export type AttemptEnd =
  | {
      kind: "done";
      output: unknown;
      commit: string | null;
      base: string | null;
      files: string[];
      branch: string | null;
      note: string | null;
      verified: boolean | null;
    }
  | {
      kind: "failed";
      reason: Reason;
      message: string;
      retryable: boolean;
      commit: string | null;
      base: string | null;
      files: string[];
    }
  | { kind: "limited"; retryAt: number | null; message: string }
  | { kind: "cancelled" }
  | { kind: "interrupted" }
  /** The runner's lease lapsed, or its server was killed. */
  | { kind: "lost" };

export interface Settlement {
  /** The state of the attempt, which is over in any case. */
  attempt: { state: State; reason: Reason | null; message: string | null };
  /** The state of the task; queued or paused means that it goes on at `readyAt`. */
  task: { state: State; reason: Reason | null; message: string | null };
  readyAt: number;
  verified: boolean | null;
  result: TaskResult | null;
  /** 1 when the attempt died with its runner: counted apart from failures. */
  crashes: 0 | 1;
}

export const maxAttempts = 3;
export const maxCrashes = 12;
const quotaPauseMs = 60_000;

/** 1 s, 4 s, 16 s ... at most 5 minutes. No jitter: one task's retries do not storm anything. */
export const backoffMs = (failures: number): number => Math.min(300_000, 1000 * 4 ** Math.max(0, failures - 1));

/**
 * Decides what the end of an attempt means for its task. Pure. `failures` counts earlier attempts that failed by
 * themselves, `crashes` those that died with their runner.
 */
export function settle(end: AttemptEnd, task: { failures: number; crashes: number; cancelRequested: boolean }, now: number): Settlement {
  const over = (state: State, reason: Reason | null, message: string | null = null): Settlement => ({
    attempt: { state, reason, message },
    task: { state, reason, message },
    readyAt: now,
    verified: null,
    result: null,
    crashes: 0,
  });
  const again = (state: "queued" | "paused", reason: Reason, attempt: Settlement["attempt"], readyAt = now): Settlement => ({
    ...over(state, reason, attempt.message),
    attempt,
    readyAt,
  });
  if (end.kind === "done") {
    const { output, commit, base, files, branch, note } = end;
    return { ...over("done", null), verified: end.verified, result: { output, commit, base, files, branch, note } };
  }
  if (task.cancelRequested) return over("cancelled", "person");
  switch (end.kind) {
    case "failed": {
      if (end.retryable && task.failures + 1 < maxAttempts) {
        const attempt = { state: "failed" as const, reason: end.reason, message: end.message };
        return again("queued", "retry", attempt, now + backoffMs(task.failures + 1));
      }
      const result: TaskResult = { output: null, commit: end.commit, base: end.base, files: end.files, branch: null, note: null };
      return { ...over("failed", end.reason, end.message), verified: end.reason === "check failed" ? false : null, result };
    }
    case "limited":
      return again("paused", "quota", { state: "paused", reason: "quota", message: end.message }, end.retryAt ?? now + quotaPauseMs);
    case "cancelled":
      return over("cancelled", "person");
    case "interrupted":
      return again("queued", "interrupted", { state: "cancelled", reason: "interrupted", message: null });
    case "lost": {
      const attempt = { state: "failed" as const, reason: "interrupted" as const, message: "the runner went away" };
      if (task.crashes + 1 >= maxCrashes) {
        return { ...over("failed", "crash loop", `the attempt died with its runner ${task.crashes + 1} times`), attempt, crashes: 1 };
      }
      return { ...again("queued", "interrupted", attempt), crashes: 1 };
    }
  }
}

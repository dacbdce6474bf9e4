import { delayBefore, maxCrashes, mayRetry, usualRetry, type RetryPolicy } from "./retry.ts";
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
  /** 1 when the attempt failed by itself. */
  failures: 0 | 1;
}

const quotaPauseMs = 60_000;

/** What settling asks of the task. */
export interface Settled {
  /** It spreads the waits of tasks that fail at once. */
  id: string;
  /** Earlier attempts that failed by themselves. */
  failures: number;
  /** Earlier attempts that died with their runner. */
  crashes: number;
  /** Who wants it to end: 0 nobody, 1 a person, 2 its deadline. */
  cancelRequested: number;
  retry?: RetryPolicy | undefined;
}

/** Decides what the end of an attempt means for its task. Pure. */
export function settle(end: AttemptEnd, task: Settled, now: number): Settlement {
  const over = (state: State, reason: Reason | null, message: string | null = null): Settlement => ({
    attempt: { state, reason, message },
    task: { state, reason, message },
    readyAt: now,
    verified: null,
    result: null,
    crashes: 0,
    failures: 0,
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
  if (task.cancelRequested === 1) return over("cancelled", "person");
  if (task.cancelRequested === 2) return over("failed", "deadline", "it was not over by its deadline");
  switch (end.kind) {
    case "failed": {
      const policy = task.retry ?? usualRetry;
      const failures = task.failures + 1;
      if (end.retryable && mayRetry(policy, failures)) {
        const attempt = { state: "failed" as const, reason: end.reason, message: end.message };
        return { ...again("queued", "retry", attempt, now + delayBefore(policy, failures, task.id)), failures: 1 };
      }
      const result: TaskResult = { output: null, commit: end.commit, base: end.base, files: end.files, branch: null, note: null };
      return { ...over("failed", end.reason, end.message), verified: end.reason === "check failed" ? false : null, result, failures: 1 };
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

import { z } from "zod";
import { fractionOf } from "../spread.ts";

/** How often a task is tried, and how long it waits in between. Field `retry` of task.create and of a flow's step. */
export const RetryPolicy = z.strictObject({
  attempts: z.int().min(1).max(20).default(3).describe("tries altogether; 1: the first failure ends it"),
  backoff: z
    .strictObject({
      base_ms: z.int().min(0).max(3_600_000).default(1_000).describe("the wait after the first failure, ms"),
      factor: z.number().min(1).max(10).default(4).describe("how much longer each further wait is"),
      max_ms: z.int().min(0).max(86_400_000).default(300_000).describe("no wait is longer, ms"),
      jitter: z
        .number()
        .min(0)
        .max(1)
        .default(0.2)
        .describe("the share of a wait that may be cut off, so that many tasks do not come back at once"),
    })
    .prefault({})
    .describe("the waits between the tries"),
});
export type RetryPolicy = z.infer<typeof RetryPolicy>;

export const usualRetry: RetryPolicy = RetryPolicy.parse({});

/** Attempts that died with their runner say nothing of the task, and are counted apart from failures. */
export const maxCrashes = 12;

/** Whether there is another try after so many failures (the one that just happened among them). */
export const mayRetry = (policy: RetryPolicy, failures: number): boolean => failures < policy.attempts;

/** The wait after the `failures`-th failure (from 1) before anything is cut off, ms: base * factor^(failures - 1), at most max. */
export function fullDelay({ backoff }: RetryPolicy, failures: number): number {
  // 0 * infinity is no number: without a base there is no wait, however large the factor has grown.
  if (backoff.base_ms === 0) return 0;
  return Math.min(backoff.max_ms, backoff.base_ms * backoff.factor ** Math.max(0, failures - 1));
}

/**
 * How long a task waits before its next try, whole ms. Up to `jitter` of it is cut off, never added, so that the longest wait holds;
 * how much is decided by the seed (the task's id) and the number of the failure: the same task always waits the same, a thousand
 * that fail at once come back one after the other.
 */
export function delayBefore(policy: RetryPolicy, failures: number, seed: string): number {
  const full = fullDelay(policy, failures);
  return Math.round(full * (1 - policy.backoff.jitter * fractionOf(`${seed}#${failures}`)));
}

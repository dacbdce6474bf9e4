import { z } from "zod";
import type { Reason } from "../tasks/task.ts";

/**
 * A circuit breaker stands before an agent or a provider that keeps failing. Closed: it is used. Open: it is not, for a time
 * that grows. Half-open: one trial at a time decides whether it closes or opens again. What goes well has no breaker at all: a row
 * begins with a failure. (The pattern: Michael Nygard, "Release It!", 2007.)
 */
export const Breaker = z.object({
  subject: z.string().describe('"agent:<name>" or "provider:<name>"'),
  state: z.enum(["closed", "open", "half-open"]),
  failures: z.int().describe("in a row, the newest last"),
  openings: z.int().describe("how often it opened without closing in between"),
  openedAt: z.number().nullable().describe("when it opened last; null: it never was"),
  retryAt: z.number().nullable().describe("from when one trial is allowed; null while it is closed"),
  trial: z.string().nullable().describe("the attempt that is the trial, as <task>/<number>; of a provider a call's own id"),
  reason: z.string().nullable().describe("the newest failure, in a few words"),
  updatedAt: z.number(),
});
export type Breaker = z.infer<typeof Breaker>;

export interface BreakerRow {
  subject: string;
  state: Breaker["state"];
  failures: number;
  window_at: number;
  window_ok: number;
  window_failed: number;
  openings: number;
  opened_at: number | null;
  retry_at: number | null;
  trial_attempt: string | null;
  trial_until: number | null;
  reason: string | null;
  updated_at: number;
}

export const toBreaker = (row: BreakerRow): Breaker => ({
  subject: row.subject,
  state: row.state,
  failures: row.failures,
  openings: row.openings,
  openedAt: row.opened_at,
  retryAt: row.retry_at,
  trial: row.trial_attempt,
  reason: row.reason,
  updatedAt: row.updated_at,
});

export const agentSubject = (name: string): string => `agent:${name}`;
export const providerSubject = (name: string): string => `provider:${name}`;

/** So many failures in a row open it: more than the usual tries of one task, so that a single impossible task does not. */
export const failuresToOpen = 5;
/** Or so large a share of all ends in a window, when there are enough of them to tell: failing often, but not always. */
export const windowMs = 10 * 60_000;
export const windowLeast = 20;
export const windowPercent = 50;

/** A trial that takes longer says nothing either way (it waits for a person, or died with its server): another may begin. */
export const trialMs = 15 * 60_000;

const firstOpenMs = 30_000;
const longestOpenMs = 30 * 60_000;
const openJitter = 0.2;

/** How an end looks from the breaker: "unclear" ends say nothing of the agent or provider itself. */
export type End = "ok" | "failed" | "unclear";

/** 30 s, doubled with each opening to 30 min; up to a fifth is cut off. `fraction` in [0, 1) is the jitter's own, e.g. of spread.ts. */
export const openMs = (openings: number, fraction: number): number =>
  Math.round(Math.min(longestOpenMs, firstOpenMs * 2 ** Math.max(0, openings - 1)) * (1 - openJitter * fraction));

/** Whether this end of a closed breaker opens it. */
export function tips(row: Pick<BreakerRow, "failures" | "window_at" | "window_ok" | "window_failed">, now: number): boolean {
  if (row.failures + 1 >= failuresToOpen) return true;
  const failed = row.window_failed + 1;
  const all = row.window_ok + failed;
  return row.window_at > now - windowMs && all >= windowLeast && failed * 100 >= all * windowPercent;
}

/** Whether its subject may be chosen: freely, as the one trial (planTrial goes into the same plan), or not. */
export function mayChoose(row: BreakerRow | undefined, now: number): "yes" | "trial" | "no" {
  switch (row?.state) {
    case undefined:
    case "closed":
      return "yes";
    case "open":
      return (row.retry_at ?? 0) <= now ? "trial" : "no";
    case "half-open":
      return (row.trial_until ?? 0) <= now ? "trial" : "no";
  }
}

/** What an end does to a breaker. */
export type Change =
  | { kind: "nothing" }
  /** A closed one: the failure is counted. */
  | { kind: "count failure" }
  /** A closed one that had failures lately: they are in a row no more, and the window has one more good end. */
  | { kind: "count success" }
  /** A closed one whose trouble is long ago is no longer needed. */
  | { kind: "forget" }
  | { kind: "open" }
  /** The trial went well. */
  | { kind: "close" }
  /** The trial failed. */
  | { kind: "open again"; openings: number }
  /** The trial said nothing: another may begin at once. */
  | { kind: "release" };

/**
 * Decides. Pure. While it is open or half-open only the trial counts: whatever else ends then had begun before, and would
 * count the same trouble again.
 */
export function changeOf(row: BreakerRow | null, { ended, attempt, now }: { ended: End; attempt: string; now: number }): Change {
  if (row && row.state !== "closed") {
    if (row.state === "open" || row.trial_attempt !== attempt) return { kind: "nothing" };
    if (ended === "ok") return { kind: "close" };
    return ended === "failed" ? { kind: "open again", openings: row.openings + 1 } : { kind: "release" };
  }
  switch (ended) {
    case "unclear":
      return { kind: "nothing" };
    case "failed":
      return { kind: row && tips(row, now) ? "open" : "count failure" };
    case "ok":
      if (!row) return { kind: "nothing" };
      return { kind: row.window_at > now - windowMs ? "count success" : "forget" };
  }
}

/** Failures that are the agent's own. */
const ownReasons: ReadonlySet<Reason> = new Set<Reason>([
  "agent failed",
  "output invalid",
  "time limit",
  "error",
  "signed out",
  "not found",
  "unsupported version",
]);

/**
 * How an attempt's end looks from its agent's breaker. Work that did not pass its check was done by an agent that works; limits of
 * the provider, people's decisions and the death of a runner say nothing of it.
 */
export function endOfAttempt(end: { kind: "done" | "failed" | "limited" | "cancelled" | "interrupted" | "lost"; reason?: Reason }): End {
  if (end.kind === "done") return "ok";
  if (end.kind !== "failed" || end.reason === undefined) return "unclear";
  if (end.reason === "check failed") return "ok";
  return ownReasons.has(end.reason) ? "failed" : "unclear";
}

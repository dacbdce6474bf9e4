import { isPassing, mayGoElsewhere, retryAfter } from "../../models/failover.ts";
import type { Outcome } from "../backend.ts";

/** A call of the model that gave no whole answer. */
export interface Failure {
  kind: "failure";
  /** refused: the provider answered an error; broken: no answer, or half of one; silence: it was waited for too long; ended: a whole answer that is none. */
  cause: "refused" | "broken" | "silence" | "ended";
  message: string;
  /** The HTTP status of a refusal. */
  status: number | null;
  /** How long the provider wants to be left alone. */
  retryAfterMs: number | null;
  /** Whether something of the answer was heard. */
  spoke: boolean;
}

export type Verdict = { kind: "again"; pauseMs: number } | { kind: "end"; outcome: Outcome };

interface Policy {
  /** Counts from 1. */
  attempt: number;
  tries: number;
  pauseMs: number;
  longestPauseMs: number;
  now: number;
}

/**
 * The one retry policy. Limits wait as long as the provider says, up to a bound; overload and broken answers back off; what
 * will not change by asking again ends the turn. Pure. `now` and pauses are in ms.
 */
export function judgeFailure(failure: Failure, { attempt, tries, pauseMs, longestPauseMs, now }: Policy): Verdict {
  const { cause, status, message, retryAfterMs } = failure;
  const wait = retryAfterMs ?? Math.min(longestPauseMs, pauseMs * 2 ** (attempt - 1));
  const isLimit = status === 429 || (retryAfterMs !== null && retryAfterMs > longestPauseMs && passes(failure));
  const isLast = attempt >= tries || wait > longestPauseMs;
  if (cause === "silence") return ends({ kind: "failed", cause: "time", message, retryable: true });
  if (isLimit && (isLast || isUsedUp(message))) {
    return ends({ kind: "limited", retryAt: retryAfterMs === null ? null : now + retryAfterMs, message });
  }
  if (!passes(failure)) return ends({ kind: "failed", cause: "model", message, retryable: false });
  if (isLast) return ends({ kind: "failed", cause: "model", message: `${message} (asked ${attempt} times)`, retryable: true });
  return { kind: "again", pauseMs: wait };
}

/**
 * The same for a round in which several providers were asked, none of whom could answer: one that mends itself is waited for; when
 * all are at their limit, the soonest one's end counts; a refused key is no provider. `failures` must not be empty. Pure.
 */
export function judgeRound(failures: readonly [Failure, ...Failure[]], policy: Policy): Verdict {
  const usable = failures.filter((failure) => !isRefusedKey(failure));
  const verdicts = (usable.length > 0 ? usable : failures).map((failure) => judgeFailure(failure, policy));
  const pauses = verdicts.flatMap((verdict) => (verdict.kind === "again" ? [verdict.pauseMs] : []));
  if (pauses.length > 0) return { kind: "again", pauseMs: Math.min(...pauses) };
  const outcomes = verdicts.flatMap((verdict) => (verdict.kind === "end" ? [verdict.outcome] : []));
  const failed = outcomes.findLast(({ kind }) => kind !== "limited");
  const [soonest] = outcomes
    .filter((outcome) => outcome.kind === "limited")
    .toSorted((a, b) => (a.retryAt ?? Infinity) - (b.retryAt ?? Infinity));
  const told = failed ?? soonest;
  if (!told) throw new Error("a round without a failure was judged");
  return ends(told);
}

/** Whether the next provider may go on with this step: only while nothing of an answer was heard, and where asking elsewhere can help. */
export const goesElsewhere = ({ cause, status, spoke }: Failure): boolean =>
  !spoke && (cause === "broken" || cause === "silence" || (cause === "refused" && mayGoElsewhere(status)));

export const isRefusedKey = ({ cause, status }: Failure): boolean => cause === "refused" && status === 401;

const ends = (outcome: Outcome): Verdict => ({ kind: "end", outcome });

const passes = ({ cause, status }: Failure): boolean => cause === "broken" || (cause === "refused" && isPassing(status));

/** A used-up account answers 429 too, and no pause of a turn helps. */
const isUsedUp = (message: string): boolean => /insufficient[_ ]quota|exceeded your current quota|billing/i.test(message);

/** What the SDK's errors say, without trusting their shape. */
export function readFailure(error: unknown, now: number): Omit<Failure, "spoke"> {
  const { statusCode, responseHeaders, responseBody, data } = error as Record<string, unknown>;
  const said = error instanceof Error ? error.message : String(error);
  if (typeof statusCode === "number" && statusCode >= 300) {
    const type = kindOf(data);
    return {
      kind: "failure",
      cause: "refused",
      message: `the provider answered ${statusCode}: ${said || "nothing more"}${type ? ` (${type})` : ""}`,
      status: statusCode,
      retryAfterMs: retryAfter(
        responseHeaders as Record<string, string> | undefined,
        typeof responseBody === "string" ? responseBody : "",
        now,
      ),
    };
  }
  return { kind: "failure", cause: "broken", message: `the provider's answer broke off: ${said}`, status: null, retryAfterMs: null };
}

/** The provider's own word for the error ("insufficient_quota"), where it gives one. */
function kindOf(data: unknown): string | null {
  const error = (data as { error?: { code?: unknown; status?: unknown; type?: unknown } } | undefined)?.error;
  const word = [error?.code, error?.status, error?.type].find((value) => typeof value === "string");
  return typeof word === "string" ? word : null;
}

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

/**
 * The one retry policy. Limits wait as long as the provider says, up to a bound; overload and broken answers back off; what
 * will not change by asking again ends the turn. Pure. `attempt` counts from 1, `now` and pauses are in ms.
 */
export function judgeFailure(
  failure: Failure,
  {
    attempt,
    tries,
    pauseMs,
    longestPauseMs,
    now,
  }: { attempt: number; tries: number; pauseMs: number; longestPauseMs: number; now: number },
): Verdict {
  const { cause, status, message, retryAfterMs } = failure;
  const wait = retryAfterMs ?? Math.min(longestPauseMs, pauseMs * 2 ** (attempt - 1));
  const isLimit = status === 429 || (retryAfterMs !== null && retryAfterMs > longestPauseMs && isPassing(failure));
  const isLast = attempt >= tries || wait > longestPauseMs;
  if (cause === "silence") return ends({ kind: "failed", cause: "time", message, retryable: true });
  if (isLimit && (isLast || isUsedUp(message))) {
    return ends({ kind: "limited", retryAt: retryAfterMs === null ? null : now + retryAfterMs, message });
  }
  if (!isPassing(failure)) return ends({ kind: "failed", cause: "model", message, retryable: false });
  if (isLast) return ends({ kind: "failed", cause: "model", message: `${message} (asked ${attempt} times)`, retryable: true });
  return { kind: "again", pauseMs: wait };
}

const ends = (outcome: Outcome): Verdict => ({ kind: "end", outcome });

const isPassing = ({ cause, status }: Failure): boolean =>
  cause === "broken" || (cause === "refused" && status !== null && (status >= 500 || status === 429 || status === 408 || status === 425));

/** A used-up account answers 429 too, and no pause of a turn helps. */
const isUsedUp = (message: string): boolean => /insufficient[_ ]quota|exceeded your current quota|billing/i.test(message);

/** What the SDK's errors say, without trusting their shape. */
export function readFailure(error: unknown, now: number): Omit<Failure, "spoke"> {
  const { statusCode, responseHeaders, data } = error as { statusCode?: unknown; responseHeaders?: unknown; data?: unknown };
  const said = error instanceof Error ? error.message : String(error);
  if (typeof statusCode === "number" && statusCode >= 300) {
    const type = kindOf(data);
    return {
      kind: "failure",
      cause: "refused",
      message: `the provider answered ${statusCode}: ${said || "nothing more"}${type ? ` (${type})` : ""}`,
      status: statusCode,
      retryAfterMs: retryAfter(responseHeaders as Record<string, string> | undefined, now),
    };
  }
  return { kind: "failure", cause: "broken", message: `the provider's answer broke off: ${said}`, status: null, retryAfterMs: null };
}

/** The provider's own word for the error ("insufficient_quota"), where it gives one. */
function kindOf(data: unknown): string | null {
  const error = (data as { error?: { code?: unknown; type?: unknown } } | undefined)?.error;
  const word = error?.code ?? error?.type;
  return typeof word === "string" ? word : null;
}

/** Retry-After in seconds or as a date, or the more exact header that some providers add. */
export function retryAfter(headers: Record<string, string> | undefined, now: number): number | null {
  const exact = Number(headers?.["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(exact)) return Math.max(0, exact);
  const text = headers?.["retry-after"];
  if (!text) return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

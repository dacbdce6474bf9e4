/** Whether a status passes by itself: limits, overload, a server that is down. null: no answer at all. */
export const isPassing = (status: number | null): boolean => status === null || status >= 500 || [408, 425, 429].includes(status);

/**
 * Whether another provider may be asked the same. A key that is refused is this provider's own trouble; what is wrong with the
 * request (400) or forbidden (403) is no better elsewhere.
 */
export const mayGoElsewhere = (status: number | null): boolean => isPassing(status) || status === 401;

/** How a call looks from the provider's breaker: "unclear" says nothing of the provider itself. */
export type CallEnd = "ok" | "failed" | "unclear";

/**
 * No answer, a server's own fault or a refused key is a failure of the provider; a limit has an end of its own. Whatever else it says
 * (also that the request is wrong) says that it works.
 */
export function endOfCall(status: number | null): CallEnd {
  if (status === 429) return "unclear";
  return mayGoElsewhere(status) ? "failed" : "ok";
}

/**
 * How long a provider wants to be left alone, in ms from `now`: Retry-After in seconds or as a date, or the more exact header that
 * some add, or what Google writes into the body (RetryInfo, https://google.aip.dev/194). null: it does not say.
 */
export function retryAfter(headers: Readonly<Record<string, unknown>> | undefined, body: string, now: number): number | null {
  const exact = Number(headers?.["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(exact)) return Math.max(0, exact);
  const text = headers?.["retry-after"];
  if (typeof text !== "string" || text === "") {
    const delay = /"retryDelay":\s*"(\d{1,9}(?:\.\d+)?)s"/.exec(body)?.[1];
    return delay === undefined ? null : Number(delay) * 1000;
  }
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** How one provider failed, as far as the choice between the failures of several wants to know. */
export interface Miss {
  status: number | null;
  retryAfterMs: number | null;
}

/**
 * Which of several failures is told when nobody could answer: of limits the one that ends first, so that nobody waits longer than
 * must be; else the newest that is not a refused key, because that one will not mend. `misses` must not be empty.
 */
export function tellingOf<One extends Miss>(misses: readonly [One, ...One[]]): One {
  const usable = misses.filter(({ status }) => status !== 401);
  const limits = usable.filter(({ status, retryAfterMs }) => status === 429 && retryAfterMs !== null);
  const [soonest] = limits.toSorted((a, b) => (a.retryAfterMs ?? 0) - (b.retryAfterMs ?? 0));
  if (soonest && limits.length === usable.length) return soonest;
  return usable.at(-1) ?? misses.at(-1) ?? misses[0];
}

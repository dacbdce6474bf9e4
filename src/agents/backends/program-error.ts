import type { Outcome } from "../backend.ts";

/**
 * What a program's words about a failed model call mean. Programs hand on what the provider said, each in its own wrapping, so this
 * reads words: what is not recognised is an ordinary failure. Pure; times in ms.
 */
export function outcomeOfModelError(text: string, now: number): Outcome {
  const message = text.trim().slice(0, 2000) || "the model failed without a word";
  if (isLimit(message)) return { kind: "limited", retryAt: retryAtIn(message, now), message };
  return { kind: "failed", cause: "model", message, retryable: !isLasting(message) };
}

const isLimit = (text: string): boolean =>
  /rate.?limit|too many requests|\b429\b|quota|resource_exhausted|usage limit|(?:hit|reached) your .{0,20}limit|insufficient.credits/i.test(
    text,
  );

/** What would only be refused again. */
const isLasting = (text: string): boolean =>
  /\b(?:400|401|402|403|404|405|413|422)\b|bad request|invalid_request|invalid_argument|unauthori[sz]ed|forbidden|authenticat|invalid.{0,10}key|(?:model|deployment) .{0,60}(?:not found|does not exist)|context.{0,10}(?:length|window)/i.test(
    text,
  );

/** "retry after 20 s", "try again in 2 minutes", "resets at 2026-11-21T10:00:00Z": when; null when it is not said. */
export function retryAtIn(text: string, now: number): number | null {
  const date = /\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)/.exec(text)?.[0];
  if (date) {
    const at = Date.parse(date);
    return Number.isNaN(at) || at <= now ? null : at;
  }
  const [, amount = "", unit = "s"] =
    /(?:retry|try again|wait|resets?)[^\d\n]{0,30}(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?\b/i.exec(
      text,
    ) ?? [];
  if (amount === "") return null;
  return now + Math.round(Number(amount) * millisecondsIn(unit.toLowerCase()));
}

function millisecondsIn(unit: string): number {
  if (unit === "ms" || unit.startsWith("milli")) return 1;
  if (unit.startsWith("h")) return 3_600_000;
  return unit.startsWith("m") ? 60_000 : 1000;
}

/**
 * Some programs report a model's error as if it were the agent's answer, and end the turn in peace (goose; others "Error: 400 ...").
 * Returns the error, or null for an answer that is one. `saidOnly`: nothing but these words came in the whole turn.
 */
export function errorSaidAsText(text: string, saidOnly: boolean): string | null {
  const goose = /Ran into this error: ([\s\S]+?)\n\nPlease retry if you think this is a transient or recoverable error\.\s*$/.exec(text);
  if (goose) return goose[1] ?? null;
  if (saidOnly && /^(?:API )?Error: [45]\d\d\b/.test(text.trim())) return text.trim();
  return null;
}

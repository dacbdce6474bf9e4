import type { LanguageModelUsage } from "ai";
import type { Usage } from "../backend.ts";

/** Adds up what the calls of one turn used, and remembers how many of them did not say. */
export function makeTally(model: string, costUsd: number | null) {
  const sum = { inputTokens: 0, outputTokens: 0, cachedTokens: 0 };
  let calls = 0;
  let silent = 0;
  return {
    /** null: a call that failed before it could say; it is not counted. */
    add(usage: LanguageModelUsage | null): void {
      if (!usage) return;
      calls += 1;
      if (usage.inputTokens === undefined && usage.outputTokens === undefined) silent += 1;
      sum.inputTokens += usage.inputTokens ?? 0;
      sum.outputTokens += usage.outputTokens ?? 0;
      sum.cachedTokens += usage.inputTokenDetails.cacheReadTokens ?? 0;
    },
    usage: (): Usage | null => (calls === 0 ? null : { model, ...sum, costUsd }),
    /** The figures are too low when calls did not report theirs: whoever reads them is told so. */
    note: (): string | null =>
      silent === 0
        ? null
        : `The provider did not report the tokens of ${silent} of ${calls} model calls; the figures of this turn are too low.`,
  };
}

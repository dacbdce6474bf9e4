import type { LanguageModelUsage } from "ai";
import type { Usage } from "../backend.ts";
import type { ChosenModel } from "./model-choice.ts";

/** Adds up what the calls of one turn used, and remembers who answered them and how many of them did not say. */
export function makeTally({ isChoice }: { isChoice: boolean }) {
  const sum = { inputTokens: 0, outputTokens: 0, cachedTokens: 0 };
  const answered = new Set<ChosenModel>();
  let calls = 0;
  let silent = 0;
  const named = (names: (string | null)[]): string => [...new Set(names)].join(", ");
  return {
    /** null: a provider that counts nothing. */
    add(usage: LanguageModelUsage | null, by: ChosenModel): void {
      calls += 1;
      answered.add(by);
      if (usage?.inputTokens === undefined && usage?.outputTokens === undefined) silent += 1;
      sum.inputTokens += usage?.inputTokens ?? 0;
      sum.outputTokens += usage?.outputTokens ?? 0;
      sum.cachedTokens += usage?.inputTokenDetails.cacheReadTokens ?? 0;
    },
    /** null: nobody answered. Of several models that did, all names; a cost only when all of it is known. */
    usage(): Usage | null {
      if (calls === 0) return null;
      const by = [...answered];
      const costUsd = by.reduce<number | null>((cost, model) => (cost === null || model.costUsd === null ? null : cost + model.costUsd), 0);
      return {
        model: named(by.map(({ name }) => name)),
        ...sum,
        costUsd,
        ...(isChoice ? { provider: named(by.map(({ provider }) => provider)) } : {}),
      };
    },
    /** The figures are too low when calls did not report theirs: whoever reads them is told so. */
    note: (): string | null =>
      silent === 0
        ? null
        : `The provider did not report the tokens of ${silent} of ${calls} model calls; the figures of this turn are too low.`,
  };
}

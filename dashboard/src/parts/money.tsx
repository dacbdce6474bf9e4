import { moneyWords } from "./figures.ts";

/** A cost in dollars, always in neutral colour. Null is not zero: nobody knows what it cost. */
export function Money({ usd }: { usd: number | null }) {
  if (usd === null)
    return (
      <span className="num t3" title="The agent gave no cost and no tokens.">
        not known
      </span>
    );
  return <span className="num">{moneyWords(usd)}</span>;
}

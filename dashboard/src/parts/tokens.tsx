import { countWords } from "./figures.ts";

/** A number of tokens, exact, or short where there is no room (then the exact one is its title). */
export function Tokens({ n, short = false }: { n: number | null; short?: boolean }) {
  if (n === null)
    return (
      <span className="num t3" title="The agent did not say how many.">
        not known
      </span>
    );
  return (
    <span className="num" title={short ? `${countWords(n)} tokens` : undefined}>
      {countWords(n, short)}
    </span>
  );
}

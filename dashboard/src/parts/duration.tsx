import { durationIso, durationWords } from "./figures.ts";
import { useTimeWords } from "./ticker.ts";

/** A span of time that is over, in ms. */
export function Duration({ ms }: { ms: number }) {
  return (
    <time className="num" dateTime={durationIso(ms)}>
      {durationWords(ms)}
    </time>
  );
}

/** A span that still goes on, since `since` (ms since 1970). Below ten seconds it counts whole seconds. */
export function Elapsed({ since }: { since: number }) {
  const words = useTimeWords((now) => {
    const ms = Math.max(0, now - since);
    return ms < 9_950 ? `${Math.floor(ms / 1_000)} s` : durationWords(ms);
  });
  return <time className="num">{words}</time>;
}

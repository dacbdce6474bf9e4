import { ageWords } from "./figures.ts";
import { useTimeWords } from "./ticker.ts";

/** How long ago something was, kept up to date; the exact time is its title. `at`: ms since 1970. */
export function Age({ at }: { at: number }) {
  const words = useTimeWords((now) => ageWords(Math.max(0, now - at)));
  const exact = new Date(at);
  if (Number.isNaN(exact.getTime())) return null;
  return (
    <time className="num" dateTime={exact.toISOString()} title={exact.toLocaleString()}>
      {words}
    </time>
  );
}

import type { Fleet, Hot } from "../../../src/fleet/fleet.ts";
import { countWords, durationWords } from "../parts/figures.ts";
import { Link } from "../parts/link.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";

const says: Record<Hot["kind"], (value: number) => string> = {
  stuck: (value) => `silent for ${durationWords(value)}`,
  longest: (value) => `at work for ${durationWords(value)}`,
  burning: (value) => `${countWords(value, true)} tokens in an hour`,
};

/** What is worth a look: without a sign of life, at work the longest, the most tokens. */
export function HotList({ hot }: { hot: Fleet["hot"] }) {
  return (
    <aside className="hot" aria-label="Worth a look">
      <h2 className="hot__head">Worth a look</h2>
      <ul>
        {hot.map((one) => (
          <li key={`${one.kind} ${one.task}`}>
            <Link href={`/tasks/${one.task}`} className="hot__row">
              <span className="flex">
                {one.agent !== null && <Monogram name={one.agent} kind="agent" />}
                <b>{one.agent ?? one.task}</b>
                <span className="push t2">{says[one.kind](one.value)}</span>
              </span>
              <span className="clip t2">
                <Plain text={one.title} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </aside>
  );
}

import type { CSSProperties } from "react";
import { beamShape, type StateCounts } from "./beam-shape.ts";
import { stateClass } from "./state-look.ts";

interface BeamProps {
  counts: StateCounts;
  /** What the full width stands for; without it, the sum of the counts. */
  total?: number;
  /** Whose beam it is, for people who cannot see it: "storefront". */
  label?: string;
}

/** A whole group in one line: height is loudness. Done is a thread, running is calm, "needs you" and failed stand full height. */
export function Beam({ counts, total, label }: BeamProps) {
  const { parts, rest, words } = beamShape(counts, total);
  return (
    <span className="beam" role="img" aria-label={label === undefined ? words : `${label}: ${words}`} title={words}>
      {parts.map((part) => (
        <i key={part.state} className={`beam__part beam__part--${stateClass(part.state)}`} style={share(part.share)} />
      ))}
      {rest > 0 && <i className="beam__part" style={share(rest)} />}
    </span>
  );
}

const share = (value: number): CSSProperties => ({ "--share": value.toFixed(4) }) as CSSProperties;

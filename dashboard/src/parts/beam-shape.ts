import { type AnyState, loudestFirst } from "./state-look.ts";

export type StateCounts = { readonly [state in AnyState]?: number };

export interface BeamPart {
  state: AnyState;
  count: number;
  /** Part of the whole, 0 to 1. */
  share: number;
}

export interface BeamShape {
  parts: BeamPart[];
  /** What the counts leave of `total`, 0 to 1: drawn as nothing. */
  rest: number;
  /** The beam as a sentence, for the label. */
  words: string;
}

/**
 * How one beam is divided: parts in order of loudness, each with its share of `total` (of the sum when none is given, or when the sum
 * is larger). Counts that are not positive whole numbers are left out, so a wrong number from outside cannot break a row.
 */
export function beamShape(counts: StateCounts, total?: number): BeamShape {
  const known = loudestFirst.flatMap((state) => {
    const count = Math.floor(counts[state] ?? 0);
    return Number.isFinite(count) && count > 0 ? [{ state, count }] : [];
  });
  const sum = known.reduce((all, part) => all + part.count, 0);
  const whole = Math.max(sum, total !== undefined && Number.isFinite(total) ? total : 0);
  const parts = known.map((part) => ({ ...part, share: part.count / whole }));
  return {
    parts,
    rest: whole === 0 ? 1 : (whole - sum) / whole,
    words: parts.length === 0 ? "nothing yet" : parts.map((part) => `${part.count.toLocaleString("en")} ${wordOf(part)}`).join(", "),
  };
}

const wordOf = ({ state, count }: { state: AnyState; count: number }): string =>
  state === "needs you" ? (count === 1 ? "needs you" : "need you") : state;

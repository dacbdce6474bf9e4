/**
 * Time as places on a line. A step's life has up to three parts: it waited to be started, it ran, it stood still for a person.
 * Long stretches in which nothing ran can be drawn short, so that minutes of work are not lost beside hours of waiting. Pure:
 * milliseconds in, shares of the width (0 to 1) out.
 */
export interface Timed {
  queuedAt: number | null;
  startedAt: number | null;
  finishedAt: number | null;
  waitedForPersonMs: number;
}

export interface Part {
  kind: "queued" | "running" | "person";
  from: number;
  to: number;
}

export interface Span {
  from: number;
  to: number;
}

/** The parts of one step, in order, without holes between its first and its last moment. Empty for what has not begun to wait. */
export function partsOf(step: Timed, now: number): Part[] {
  const begin = step.queuedAt ?? step.startedAt;
  if (begin === null) return [];
  const end = Math.max(begin, step.finishedAt ?? now);
  const started = step.startedAt === null ? end : Math.min(Math.max(begin, step.startedAt), end);
  const person = Math.min(Math.max(0, step.waitedForPersonMs), end - started);
  const parts: Part[] = [
    { kind: "queued", from: begin, to: started },
    { kind: "running", from: started, to: end - person },
    { kind: "person", from: end - person, to: end },
  ];
  return parts.filter(({ from, to }) => to > from);
}

/** From the first moment to the last; a run of no time at all has one second. */
export function spanOf(parts: readonly Span[], now: number): Span {
  const from = Math.min(...parts.map((part) => part.from), now);
  const to = Math.max(...parts.map((part) => part.to), from + 1_000);
  return { from, to };
}

/** Where nothing ran: at least a minute, and a tenth of the whole. */
export function quietOf(parts: readonly Part[], span: Span): Span[] {
  const busy = parts.filter(({ kind }) => kind === "running").toSorted((a, b) => a.from - b.from);
  const least = Math.max(60_000, (span.to - span.from) / 10);
  const gaps: Span[] = [];
  let at = span.from;
  for (const { from, to } of [...busy, { from: span.to, to: span.to }]) {
    if (from - at >= least) gaps.push({ from: at, to: from });
    at = Math.max(at, to);
  }
  return gaps;
}

export interface Scale {
  /** The share of the width at which a moment stands. Never falls. */
  at(time: number): number;
  span: Span;
  /** The stretches that are drawn short. */
  short: readonly Span[];
}

/** How much of its length a quiet stretch keeps at most: a twentieth of the busy time. */
const shortShare = 0.05;

export function makeScale(span: Span, quiet: readonly Span[]): Scale {
  const busy = span.to - span.from - quiet.reduce((sum, { from, to }) => sum + to - from, 0);
  const pieces: { from: number; to: number; weight: number }[] = [];
  let at = span.from;
  for (const gap of quiet) {
    pieces.push({ from: at, to: gap.from, weight: gap.from - at });
    pieces.push({ from: gap.from, to: gap.to, weight: Math.min(gap.to - gap.from, Math.max(1, busy * shortShare)) });
    at = gap.to;
  }
  pieces.push({ from: at, to: span.to, weight: span.to - at });
  const whole = pieces.reduce((sum, { weight }) => sum + weight, 0);
  return {
    span,
    short: quiet,
    at(time) {
      let before = 0;
      for (const { from, to, weight } of pieces) {
        if (time < to || to === span.to) {
          const share = to === from ? 0 : Math.min(1, Math.max(0, (time - from) / (to - from)));
          return Math.min(1, (before + share * weight) / whole);
        }
        before += weight;
      }
      return 1;
    },
  };
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400].map((seconds) => seconds * 1_000);

/** Round moments for the axis, at most `most` of them, none inside of a short stretch. */
export function ticksOf({ span, short, at }: Scale, most: number): { time: number; share: number }[] {
  const step =
    steps.find((one) => (span.to - span.from) / one <= most) ?? Math.ceil((span.to - span.from) / most / 86_400_000) * 86_400_000;
  const ticks: { time: number; share: number }[] = [];
  for (let time = Math.ceil(span.from / step) * step; time <= span.to; time += step) {
    if (!short.some(({ from, to }) => time > from && time < to)) ticks.push({ time, share: at(time) });
  }
  return ticks;
}

/** What the benchmark concludes from its figures: values in, values out. */

/** One line of the report: one figure of Tutti beside the same of the peers. Names are those of the JSON line. */
export interface Line {
  row: string;
  store: string;
  medium: string;
  /** null: it could not be measured; `note` says why. */
  ours: number | null;
  unit: string;
  /** The medians of the peers that have this row. */
  peers: Record<string, number>;
  best_peer: string | null;
  /** Above 1: ours is better than the best peer, so many times. */
  ratio: number | null;
  target: number | null;
  /** null: there is nothing to hold it to, or no figure. */
  met: boolean | null;
  rounds: number;
  note?: string;
  /** How many processes wanted to run in the minute before the row: what else this machine had to do. */
  load?: number;
  /** Of each peer: its versions, server, settings and durability. */
  about?: Record<string, string>;
}

/** Which way a figure is better, and what the design asks of it. */
export interface Aim {
  better: "higher" | "lower";
  target: number | null;
  /** It must also be ahead of every peer of the same run. */
  ahead?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

export function bestPeer(peers: Record<string, number>, better: Aim["better"]): string | null {
  const sorted = Object.entries(peers).toSorted(([, one], [, other]) => (better === "higher" ? other - one : one - other));
  return sorted[0]?.[0] ?? null;
}

/** What is said of a figure, from the values of its rounds. */
export function judge(
  { better, target, ahead = false }: Aim,
  ours: readonly number[],
  peers: Record<string, readonly number[]>,
): Pick<Line, "ours" | "peers" | "best_peer" | "ratio" | "target" | "met"> {
  const own = ours.length > 0 ? median(ours) : null;
  const theirs = Object.fromEntries(Object.entries(peers).flatMap(([name, values]) => (values.length > 0 ? [[name, median(values)]] : [])));
  const best = bestPeer(theirs, better);
  const other = best === null ? null : (theirs[best] ?? null);
  const ratio = own === null || other === null ? null : better === "higher" ? own / other : other / own;
  const reached = own === null || target === null ? null : better === "higher" ? own >= target : own <= target;
  const isAhead = !ahead || ratio === null || ratio > 1;
  return { ours: own, peers: theirs, best_peer: best, ratio, target, met: reached === null ? null : reached && isAhead };
}

/** How much worse `now` is than `before`, %; below zero: better. */
export const worseBy = (better: Aim["better"], before: number, now: number): number =>
  (better === "higher" ? (before - now) / before : (now - before) / before) * 100;

/** Rounds to three digits that count, as a number. */
export const rounded = (value: number): number => Number(value.toPrecision(value >= 1_000 ? 4 : 3));

const shown = (value: number | null): string =>
  value === null ? "-" : rounded(value).toLocaleString("en-US", { maximumFractionDigits: 3 });

const headings = ["row", "store", "medium", "ours", "unit", "target", "met", "best peer", "", "ratio"];

const cellsOf = (line: Line): string[] => [
  line.row,
  line.store,
  line.medium,
  shown(line.ours),
  line.unit,
  shown(line.target),
  line.met === null ? "-" : line.met ? "yes" : "NO",
  line.best_peer ?? "-",
  line.best_peer === null ? "" : shown(line.peers[line.best_peer] ?? null),
  line.ratio === null ? "-" : `${line.ratio.toFixed(2)}x`,
];

const numeric = new Set([3, 5, 8, 9]);

/** An aligned table, with a line of the other peers and the note below the rows that have them. */
export function tableOf(lines: readonly Line[]): string {
  const rows = [headings, ...lines.map(cellsOf)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const aligned = rows.map((row) =>
    row
      .map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return aligned.map((text, at) => (at === 0 ? text : [text, ...belowOf(lines[at - 1])].join("\n"))).join("\n");
}

function belowOf(line: Line | undefined): string[] {
  if (!line) return [];
  const others = Object.entries(line.peers).filter(([name]) => name !== line.best_peer);
  return [
    ...(others.length > 0 ? [`    ${others.map(([name, value]) => `${name} ${shown(value)}`).join(", ")}`] : []),
    ...(line.note ? [`    ${line.note}`] : []),
  ];
}

/** The same as rows of a Markdown table, for docs/performance.md. */
export const markdownOf = (lines: readonly Line[]): string =>
  [
    "| row | store | medium | ours | unit | target | met | peers | ratio |",
    "| --- | --- | --- | ---: | --- | ---: | --- | --- | ---: |",
    ...lines.map((line) => {
      const cells = cellsOf(line);
      const peers = Object.entries(line.peers).map(([name, value]) => `${name} ${shown(value)}`);
      const note = line.note ? [line.note.replaceAll("|", "/")] : [];
      return `| ${[...cells.slice(0, 7), [...peers, ...note].join(", ") || "-", cells[9] ?? ""].join(" | ")} |`;
    }),
  ].join("\n");

import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { presets } from "../../src/agents/backends/presets/table.ts";
import type { FailedRow, Row } from "../../test/support/agent-row.ts";

/** Between these lines of docs/agents.md stands what was measured; the rest is written by hand. */
const [begin, end] = ["<!-- measured: written by npm run test:agents -- --all -->", "<!-- /measured -->"];

/**
 * Writes the table of docs/agents.md anew from the rows that the tests left. A program that is missing or fails is a row with the
 * reason. Throws when the document has no place for it.
 */
export async function writeTable(given: {
  root: string;
  rows: string;
  missing: ReadonlyMap<string, string>;
  /** Where a program is; null: it is not there. */
  pathOf(program: string): string | null;
}): Promise<void> {
  const file = join(given.root, "docs/agents.md");
  const text = readFileSync(file, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${file} does not hold ${begin} and ${end}`);
  const lines = ["", ...tableLines(rowsIn(given.rows), given.missing, (program) => licenceAt(given.pathOf(program))), ""];
  writeFileSync(file, `${text.slice(0, from + begin.length)}\n${lines.join("\n")}\n${text.slice(to)}`);
}

function rowsIn(folder: string): (Row | FailedRow)[] {
  return readdirSync(folder)
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Row | FailedRow);
}

/** What the program's own package says. */
function licenceAt(path: string | null): string {
  for (let folder = path === null ? "/" : dirname(realpathSync(path)); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const { license, name } = JSON.parse(readFileSync(file, "utf8")) as { license?: string; name?: string };
    if (name !== undefined) return license ?? "none named";
  }
  return "-";
}

/** One line for each way of each preset, whatever is known of it. */
function tableLines(
  rows: readonly (Row | FailedRow)[],
  missing: ReadonlyMap<string, string>,
  licenceOf: (program: string) => string,
): string[] {
  const columns = [
    "preset",
    "way",
    "program",
    "version",
    "licence",
    "start",
    "turn",
    "asks",
    "refused",
    "cancelled in",
    "resumes",
    "tokens",
    "model's error",
    "notes",
  ];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  const lines = Object.entries(presets).flatMap(([preset, known]) =>
    (["acp", "command"] as const).flatMap((kind) => {
      const way = known[kind];
      if (!way) return [];
      const row = rows.find((each) => each.preset === preset && each.kind === kind);
      const licence = known.proprietary ? "proprietary" : licenceOf(way.program);
      const head = [preset, kind, way.program];
      const why = missing.get(way.program) ?? (row && "failed" in row ? `FAILED: ${row.failed.slice(0, 160)}` : "not run");
      if (!row || "failed" in row) return [line([...head, "-", licence, "-", "-", "-", "-", "-", "-", "-", "-", why])];
      return [line([...head, row.version ?? "-", licence, ...measured(row), row.notes.join("; ")])];
    }),
  );
  return [line(columns), `|${columns.map(() => "---").join("|")}|`, ...lines];
}

const yes = (value: boolean): string => (value ? "yes" : "**no**");
const ms = (value: number): string => `${value} ms`;

function measured(row: Row): string[] {
  const refused = row.asks ? yes(row.refused) : row.refused ? "yes, unasked" : "**no**";
  return [
    row.startMs === null ? "with each turn" : ms(row.startMs),
    ms(row.turnMs),
    row.asks ? "yes" : "no",
    refused,
    ms(row.cancelMs),
    yes(row.resumes),
    row.tokens ? "yes" : "no",
    row.error,
  ];
}

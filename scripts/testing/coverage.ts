import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { isNounFile } from "./source-files.ts";
import type { FileCoverage } from "./run-files.ts";

export interface CoverageReport {
  /** Covered lines of all lines, in percent. */
  percent: number;
  /** Source files that no test loads, although they hold code. */
  unloaded: string[];
  /** The files of nouns that are not covered whole, with the lines that no test reaches. */
  gaps: { file: string; lines: number[] }[];
  /** The ten files with the most lines that no test reaches. */
  least: { file: string; missed: number; total: number }[];
}

/** At least this many percent of all lines. */
export const wantedPercent = 80;

/**
 * Files that hold code and were never loaded count as missed whole: leaving them out would flatter.
 * @param covered what node:test measured, paths relative to `root`
 * @param sources every source file of `src/` without tests and suites, relative to `root`
 */
export function reportCoverage(covered: FileCoverage[], sources: string[], root: string): CoverageReport {
  const measured = covered.filter((entry) => sources.includes(entry.path));
  const loaded = new Set(measured.map((entry) => entry.path));
  const unloaded = sources.filter((file) => !loaded.has(file)).map((file) => ({ file, lines: codeLines(join(root, file)) }));
  const missing = unloaded.filter(({ lines }) => lines > 0).map(({ file, lines }) => ({ file, missed: lines, total: lines }));
  const counts = measured.map((entry) => ({
    file: entry.path,
    missed: entry.totalLineCount - entry.coveredLineCount,
    total: entry.totalLineCount,
  }));
  const all = [...counts, ...missing];
  const total = sum(all.map((entry) => entry.total));
  const percent = total === 0 ? 0 : (100 * (total - sum(all.map((entry) => entry.missed)))) / total;
  const gaps = measured
    .filter((entry) => isNounFile(entry.path))
    .map((entry) => ({ file: entry.path, lines: entry.lines.filter((line) => line.count === 0).map((line) => line.line) }));
  const unseen = missing.filter(({ file }) => isNounFile(file)).map(({ file }) => ({ file, lines: [] }));
  return {
    percent,
    unloaded: missing.map(({ file }) => file),
    gaps: [...gaps.filter(({ lines }) => lines.length > 0), ...unseen],
    least: all
      .filter(({ missed }) => missed > 0)
      .toSorted((a, b) => b.missed - a.missed)
      .slice(0, 10),
  };
}

/** A file of types alone leaves nothing behind when its types are taken away. Zero for such a file. */
function codeLines(path: string): number {
  const source = readFileSync(path, "utf8");
  const code = stripTypeScriptTypes(source).replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return code.trim() === "" ? 0 : source.trimEnd().split("\n").length;
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

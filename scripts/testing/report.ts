import { styleText } from "node:util";
import { type CoverageReport, wantedPercent } from "./coverage.ts";
import type { FileResult, TestCase } from "./results.ts";

export interface Counts {
  passed: number;
  failed: number;
}

const red = (text: string): string => styleText("red", text, { stream: process.stdout });
const dim = (text: string): string => styleText("dim", text, { stream: process.stdout });

export function countsOf(cases: TestCase[]): Counts {
  const passed = cases.filter((test) => test.problem === null).length;
  return { passed, failed: cases.length - passed };
}

/** The line that scripts read: `N passed, N failed`. */
export const countsLine = ({ passed, failed }: Counts): string => `${passed} passed, ${failed} failed`;

export function fileLine({ file, cases, ms }: FileResult): string {
  const { passed, failed } = countsOf(cases);
  const time = dim(`${(ms / 1000).toFixed(1)} s`);
  return failed === 0
    ? `ok    ${file}  ${passed} passed  ${time}`
    : `${red("FAIL")}  ${file}  ${passed} passed, ${red(`${failed} failed`)}  ${time}`;
}

/** Every failure whole, with what its file wrote. */
export function failures(files: FileResult[]): string {
  const failed = files.filter(({ cases }) => countsOf(cases).failed > 0);
  return failed.map((file) => [...file.cases.filter((test) => test.problem !== null).map(failure), outputOf(file)].join("")).join("");
}

function failure({ file, path, line, problem }: TestCase): string {
  return `\n${red("FAIL")}  ${file}${line === null ? "" : `:${line}`}  ${path.join(" > ")}\n${indent(problem ?? "")}\n`;
}

const outputOf = ({ file, output }: FileResult): string =>
  output.trim() === "" ? "" : `\n${dim(`output of ${file}`)}\n${indent(output.trimEnd())}\n`;

const indent = (text: string): string => text.replaceAll(/^/gm, "    ");

/** A case of the suite that both databases are held to: it is called `store: ...`, or stands in a suite `... store`. */
const isStoreCase = ({ path }: TestCase): boolean =>
  path.some((name, depth) => name.startsWith("store: ") || (depth < path.length - 1 && name.endsWith(" store")));

/**
 * The same suite must pass, whole, on both databases.
 * @returns the line, and what is wrong
 */
export function storeSuites(cases: TestCase[]): { line: string; problems: string[] } {
  const of = (file: string): TestCase[] => cases.filter((test) => test.file === file && isStoreCase(test));
  const sqlite = of("src/db/sqlite.test.ts");
  const postgres = of("src/db/postgres.test.ts");
  const passed = { sqlite: countsOf(sqlite).passed, postgres: countsOf(postgres).passed };
  const line = `sqlite: ${passed.sqlite} passed, postgres: ${passed.postgres} passed`;
  const problems = [];
  if (passed.sqlite === 0 && passed.postgres === 0) problems.push("the store suite did not run: no test of it was found");
  if (passed.sqlite !== passed.postgres || sqlite.length !== postgres.length)
    problems.push("the two databases did not pass the same store suite");
  return { line, problems };
}

/** @returns the lines to print, and what is wrong */
export function coverageLines(report: CoverageReport): { lines: string[]; problems: string[] } {
  const lines = [`coverage: ${report.percent.toFixed(1)} % of lines (at least ${wantedPercent} %)`];
  for (const { file, missed, total } of report.least) lines.push(dim(`  ${missed} of ${total} lines are reached by no test  ${file}`));
  const problems = report.gaps.map(({ file, lines: missed }) =>
    missed.length === 0
      ? `${file} is loaded by no test`
      : `${file} is what its noun is and must be covered whole: no test reaches line ${missed.join(", ")}`,
  );
  if (report.percent < wantedPercent) problems.push(`coverage is below ${wantedPercent} %`);
  if (report.gaps.length === 0) lines.push("coverage of the nouns' own files: 100 %");
  return { lines, problems };
}

import { globSync } from "node:fs";
import { dirname } from "node:path";
import { startPostgres } from "../test/support/postgres.ts";
import { reportCoverage } from "./testing/coverage.ts";
import { countsLine, countsOf, coverageLines, failures, fileLine, storeSuites } from "./testing/report.ts";
import { runFiles } from "./testing/run-files.ts";
import { isTestFile } from "./testing/source-files.ts";

/**
 * `npm test` runs everything, once, against one PostgreSQL, and holds it to the gates (both databases alike, coverage).
 * `npm test -- src/tasks test/lock.test.ts` runs the files whose path holds one of the words, without the gates.
 */
const root = dirname(import.meta.dirname);

// Those that need programs from npm, or many minutes, run when they are asked for by name.
const onlyByName = ["test/agents/", "test/slow/"];

function chooseFiles(filters: string[]): string[] {
  const all = globSync(["src/**/*.test.ts", "test/**/*.test.ts", "dashboard/src/**/*.test.ts", "bench/*.test.ts"], {
    cwd: root,
  }).toSorted();
  if (filters.length === 0) return all.filter((file) => !onlyByName.some((folder) => file.startsWith(folder)));
  return all.filter((file) => filters.some((filter) => file.includes(filter.replace(/^\.\//, ""))));
}

/** The settings of the person who runs the tests (and her own server) are none of the tests' business. */
function forgetSettings(): void {
  for (const name of Object.keys(process.env)) {
    if (name === "DATABASE_URL" || (name.startsWith("TUTTI_") && !name.startsWith("TUTTI_TEST_"))) delete process.env[name];
  }
}

async function main(filters: string[]): Promise<number> {
  const files = chooseFiles(filters);
  if (files.length === 0) {
    console.error(`no test file's path holds ${filters.join(" or ")}`);
    return 1;
  }
  forgetSettings();
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopped.abort());
  const postgres = await startPostgres();
  process.env["TUTTI_TEST_POSTGRES"] = postgres.url;
  try {
    return await runAll(files, filters.length === 0, stopped.signal);
  } finally {
    await postgres.stop();
  }
}

async function runAll(chosen: string[], gated: boolean, signal: AbortSignal): Promise<number> {
  const onFile = (file: Parameters<typeof fileLine>[0]): void => console.log(fileLine(file));
  const { files, coverage } = await runFiles(chosen, { root, concurrency: 2, coverage: gated, signal, timeout: 180_000, onFile });
  const cases = files.flatMap((file) => file.cases);
  const counts = countsOf(cases);
  console.log(failures(files));
  console.log(countsLine(counts));
  const problems = gated ? checkGates(cases, coverage) : [];
  for (const problem of problems) console.log(`FAIL  ${problem}`);
  return counts.failed === 0 && problems.length === 0 && !signal.aborted ? 0 : 1;
}

function checkGates(cases: Parameters<typeof storeSuites>[0], coverage: Parameters<typeof reportCoverage>[0]): string[] {
  const sources = globSync("src/**/*.ts", { cwd: root }).filter((file) => !isTestFile(file));
  const stores = storeSuites(cases);
  const covered = coverageLines(reportCoverage(coverage, sources, root));
  console.log(stores.line);
  for (const line of covered.lines) console.log(line);
  return [...stores.problems, ...covered.problems];
}

process.exitCode = await main(process.argv.slice(2));

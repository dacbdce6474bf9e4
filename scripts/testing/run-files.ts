import { run } from "node:test";
import { join, relative } from "node:path";
import { type FileResult, Results, type TestEvent } from "./results.ts";
import { testFilesOfSource } from "./source-files.ts";

/** The lines of one source file, as node:test counts them (every line of the file, comments too). */
export interface FileCoverage {
  path: string;
  totalLineCount: number;
  coveredLineCount: number;
  lines: { line: number; count: number }[];
}

interface RunEvent extends TestEvent {
  data: TestEvent["data"] & { summary?: { files: FileCoverage[] }; counts?: { passed: number } };
}

interface RunOptions {
  root: string;
  concurrency: number;
  coverage: boolean;
  signal: AbortSignal;
  /** One test may take this long, in milliseconds. */
  timeout: number;
  /** Only the tests whose name holds this. */
  only?: string | undefined;
  onFile: (result: FileResult) => void;
}

/**
 * Runs test files, each in a process of its own.
 * @param files relative to `root`
 * @returns what ran, and the coverage of `src/` when it was asked for
 */
export async function runFiles(files: string[], options: RunOptions): Promise<{ files: FileResult[]; coverage: FileCoverage[] }> {
  const { root, concurrency, coverage, signal, timeout, only, onFile } = options;
  const results = new Results((file) => relative(root, file));
  let covered: FileCoverage[] = [];
  const events = run({
    files: files.map((file) => join(root, file)),
    cwd: root,
    concurrency,
    timeout,
    signal,
    ...(only === undefined ? {} : { testNamePatterns: [new RegExp(RegExp.escape(only))] }),
    execArgv: ["--import", join(import.meta.dirname, "test-process.ts")],
    coverage,
    coverageIncludeGlobs: ["src/**"],
    coverageExcludeGlobs: testFilesOfSource,
  });
  let passed: number | undefined;
  for await (const event of events as AsyncIterable<RunEvent>) {
    if (event.type === "test:coverage") covered = event.data.summary?.files ?? [];
    if (event.type === "test:summary" && !event.data.file) passed = event.data.counts?.passed;
    const finished = results.add(event);
    if (finished) onFile(finished);
  }
  const lost = files.filter((file) => !results.files.some((result) => result.file === file));
  for (const file of lost) results.files.push(broken(file, "it never ended"));
  const miscounted = results.files.length > 0 && lost.length === 0 && passed !== results.passedByNode;
  if (miscounted)
    results.files.push(broken("scripts/testing/results.ts", `node:test counted ${passed} passed, not ${results.passedByNode}`));
  return { files: results.files, coverage: covered.map((entry) => ({ ...entry, path: relative(root, entry.path) })) };
}

function broken(file: string, problem: string): FileResult {
  return { file, cases: [{ file, path: ["(the file itself)"], line: null, problem }], ms: 0, output: "" };
}

import { inspect } from "node:util";

/** One test that ran, in a file given relative to the repository. */
export interface TestCase {
  file: string;
  /** The names of its suites and its own, from the outside in. */
  path: string[];
  line: number | null;
  /** Why it did not pass; null when it did. */
  problem: string | null;
}

export interface FileResult {
  file: string;
  cases: TestCase[];
  ms: number;
  /** What the file wrote, for when it fails. */
  output: string;
}

/** The part of node:test's events that is read here. */
export interface TestEvent {
  type: string;
  data: {
    name?: string;
    /** Where the test is written down, which for a suite is another file than the one that runs it. */
    file?: string;
    /** The file that runs the test; absent in the events of the file itself. */
    entryFile?: string;
    /** Numbers within a file; the parent of what stands outermost is 0. */
    testId?: number;
    parentId?: number;
    line?: number;
    skip?: unknown;
    todo?: unknown;
    message?: string;
    details?: { type?: string; duration_ms?: number; error?: unknown };
  };
}

const keptOutput = 20_000;

/**
 * Turns the events of node:test into results. A test counts as passed only if it ran and passed: skipped ones and ones to do
 * are failures here, and so are a file that cannot be loaded, that ends on its own, or that holds no test.
 */
export class Results {
  /** The files that ended. What they wrote may still arrive after their end. */
  readonly files: FileResult[] = [];
  readonly #known = new Map<string, FileResult>();
  /** By file and number. */
  readonly #tests = new Map<string, { name: string; parent: string }>();
  readonly #relative: (file: string) => string;
  #emptyFiles = 0;

  constructor(relative: (file: string) => string) {
    this.#relative = relative;
  }

  /** Takes one event; returns the file's result when it was the file's end. */
  add({ type, data }: TestEvent): FileResult | null {
    const path = data.entryFile ?? data.file;
    if (!path) return null;
    const result = this.#resultOf(this.#relative(path));
    if (type === "test:enqueue" && data.entryFile)
      this.#tests.set(keyOf(path, data.testId), { name: data.name ?? "", parent: keyOf(path, data.parentId) });
    if (type === "test:stdout" || type === "test:stderr") write(result, data.message ?? "");
    if (type === "test:diagnostic") write(result, `${data.message ?? ""}\n`);
    if (type !== "test:complete") return null;
    if (!data.entryFile) return this.#finish(result, data);
    const found = caseOf(result.file, this.#pathOf(keyOf(path, data.testId)), data);
    if (found) result.cases.push(found);
    return null;
  }

  /** How many node:test should have counted as passed: it takes a file without tests for a test that passed. */
  get passedByNode(): number {
    return this.#emptyFiles + this.files.flatMap(({ cases }) => cases).filter((test) => test.problem === null).length;
  }

  #pathOf(key: string): string[] {
    const test = this.#tests.get(key);
    return test ? [...this.#pathOf(test.parent), test.name] : [];
  }

  #resultOf(file: string): FileResult {
    const known = this.#known.get(file) ?? { file, cases: [], ms: 0, output: "" };
    this.#known.set(file, known);
    return known;
  }

  #finish(result: FileResult, data: TestEvent["data"]): FileResult {
    const error = data.details?.error;
    if (!error && result.cases.length === 0) this.#emptyFiles += 1;
    const problem = error ? failureOf(error) : result.cases.length === 0 ? "the file holds no test" : null;
    if (problem) result.cases.push({ file: result.file, path: ["(the file itself)"], line: null, problem });
    result.ms = data.details?.duration_ms ?? 0;
    this.files.push(result);
    return result;
  }
}

function write(result: FileResult, text: string): void {
  result.output = (result.output + text).slice(-keptOutput);
}

const keyOf = (file: string, id: number | undefined): string => `${id ?? 0} ${file}`;

function caseOf(file: string, path: string[], data: TestEvent["data"]): TestCase | null {
  const problem = problemOf(data);
  // A suite or a parent that fails only because of what is inside is counted there.
  if (problem === null && (data.details?.type === "suite" || isOnlyParent(data.details?.error))) return null;
  return { file, path, line: data.line ?? null, problem };
}

function problemOf(data: TestEvent["data"]): string | null {
  if (data.skip !== undefined && data.skip !== false) return `skipped${typeof data.skip === "string" && data.skip ? `: ${data.skip}` : ""}`;
  if (data.todo !== undefined && data.todo !== false) return "marked as to do";
  return data.details?.error ? failureOf(data.details.error) : null;
}

const isOnlyParent = (error: unknown): boolean => (error as { failureType?: string } | undefined)?.failureType === "subtestsFailed";

/** Null when the failure only repeats that something inside failed. */
function failureOf(error: unknown): string | null {
  if (isOnlyParent(error)) return null;
  const { cause, exitCode, signal } = error as { cause?: unknown; exitCode?: number; signal?: string };
  if (exitCode !== undefined || signal) return `the process ended with ${signal ?? exitCode}`;
  return inspect(cause ?? error, { depth: 8, breakLength: 120 });
}

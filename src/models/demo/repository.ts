import { call, type Behaviour } from "./behaviour.ts";
import { parseTestOutput, type TestReport } from "./test-output.ts";

/** What the demo model knows of a repository: only what its tools showed. */
export interface Repository {
  tests: string[];
  sources: string[];
  /** The command line that runs all tests; null when none was found. */
  testCommand: string | null;
  /** Whether single test files can be run with `node --test`. */
  isNodeTest: boolean;
}

const isCode = (path: string): boolean => /\.[cm]?[jt]sx?$/.test(path) && !/\.d\.[cm]?ts$/.test(path);
const isTest = (path: string): boolean => /(^|\/)(tests?|__tests__|spec)\//.test(path) || /[.-](test|spec)\.[cm]?[jt]sx?$/.test(path);
/** Names that are put into a command line: others are left out, whatever they are. */
const isPlain = (path: string): boolean => /^[\w@][\w@./+-]*$/.test(path);

/** Lists the files and finds out how tests are run. */
export function* look(): Behaviour<Repository> {
  const listed = yield* call("I look at what is here.", "list", {});
  const files = listed.ok ? listed.output.split("\n").filter((path) => isCode(path) && isPlain(path)) : [];
  const manifest = yield* call("I look how the tests are run.", "read", { path: "package.json" });
  const script = manifest.ok ? testScript(manifest.output) : null;
  const tests = files.filter(isTest);
  const isNodeTest = script === null ? tests.length > 0 : /^node (--[\w=-]+ )*--test( [\w./*"' -]+)?$/.test(script);
  return {
    tests,
    sources: files.filter((path) => !isTest(path)),
    testCommand: isNodeTest
      ? (script ?? "node --test").replace("--test", "--test --test-reporter=tap")
      : script === null
        ? null
        : "npm test",
    isNodeTest,
  };
}

function testScript(manifest: string): string | null {
  try {
    const script = (JSON.parse(manifest) as { scripts?: { test?: unknown } }).scripts?.test;
    return typeof script === "string" && !script.includes("no test specified") ? script : null;
  } catch {
    // A broken package.json says nothing about tests.
    return null;
  }
}

export const commandFor = (repository: Repository, tests: string[]): string | null =>
  repository.isNodeTest && tests.length > 0 ? `node --test --test-reporter=tap ${tests.join(" ")}` : repository.testCommand;

export function* runTests(say: string, command: string, repository: Repository): Behaviour<TestReport> {
  const result = yield* call(say, "shell", { command, timeoutMs: 60_000 });
  return parseTestOutput(result.output, repository.tests);
}

/** Files that the prompt names, in the order of the listing. */
export const namedIn = (prompt: string, files: string[]): string[] =>
  files.filter((path) => new RegExp(`(^|[^\\w./-])(\\./)?${RegExp.escape(path)}(?![\\w/-])`, "m").test(prompt));

/** The files of the repository that a file imports, in their order. */
export function importsOf(path: string, text: string, files: string[]): string[] {
  const folder = path.split("/").slice(0, -1);
  const found = [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["'](\.[^"'\n]+)["']/g)].map((match) =>
    resolveIn(folder, match[1] ?? ""),
  );
  const bare = (file: string): string => file.replace(/\.\w+$/, "");
  // A test may import "x.js" that is written as x.ts, or a folder by its index.
  const match = (wanted: string): string | undefined =>
    files.find((file) => file === wanted) ?? files.find((file) => bare(file) === bare(wanted) || bare(file) === `${wanted}/index`);
  return [...new Set([...new Set(found)].flatMap((wanted) => match(wanted) ?? []))];
}

function resolveIn(folder: string[], relative: string): string {
  const parts = [...folder];
  for (const part of relative.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

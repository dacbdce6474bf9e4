import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { before, after, test } from "node:test";
import { countsOf, storeSuites } from "../scripts/testing/report.ts";
import { reportCoverage } from "../scripts/testing/coverage.ts";
import type { FileCoverage } from "../scripts/testing/run-files.ts";
import type { FileResult, TestCase } from "../scripts/testing/results.ts";

const root = dirname(import.meta.dirname);
const runFiles = join(root, "scripts/testing/run-files.ts");

const sources: Record<string, string> = {
  "src/tasks/task.ts": "export function half(n: number): number {\n  if (n > 1) {\n    return n / 2;\n  }\n  return 0;\n}\n",
  "src/tasks/unloaded.ts": "export const two = 2;\n",
  "src/tasks/types.ts": "/** Only words. */\nexport interface Two {\n  two: 2;\n}\n",
  "src/shared.suite.ts":
    'import { describe, test } from "node:test";\nexport const shared = (): void => void describe("x store", () => void test("rule", () => {}));\n',
  "src/good.test.ts": `import { test, describe } from "node:test";
    import { half } from "./tasks/task.ts";
    test("one", () => void half(1));
    describe("outer", () => describe("inner", () => { test("deep", () => {}); test("bad", () => { console.log("said"); throw new Error("planted"); }); }));
    test("parent", async (t) => { await t.test("child", () => {}); });`,
  "src/db/sqlite.test.ts": 'import { shared } from "../shared.suite.ts"; shared();',
  "src/db/postgres.test.ts": 'import { shared } from "../shared.suite.ts"; shared();',
  "src/skipped.test.ts": 'import { test } from "node:test"; test.skip("left out", () => {}); test("later", { todo: true }, () => {});',
  "src/empty.test.ts": 'import "node:test";',
  "src/broken.test.ts": 'throw new Error("cannot be loaded");',
  "src/exit.test.ts": 'import { test } from "node:test"; test("leaves", () => process.exit(3));',
  "src/open.test.ts": 'import { test } from "node:test"; test("leaves a timer", () => void setInterval(() => {}, 1000));',
};

let folder = "";
let files: FileResult[] = [];
let coverage: FileCoverage[] = [];

/** In a process of its own: node:test does not run inside of itself. */
before(() => {
  folder = mkdtempSync(join(tmpdir(), "tutti-test-run-"));
  for (const [name, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const tests = Object.keys(sources).filter((name) => name.endsWith(".test.ts"));
  const options = `{ root: ${JSON.stringify(folder)}, concurrency: 2, coverage: true, timeout: 10_000, signal: new AbortController().signal, onFile() {} }`;
  const program = `const { runFiles } = await import(${JSON.stringify(runFiles)});
    console.log(JSON.stringify(await runFiles(${JSON.stringify(tests)}, ${options})));`;
  writeFileSync(join(folder, "run.mjs"), program);
  const { NODE_TEST_CONTEXT: _context, NODE_V8_COVERAGE: _coverage, ...env } = process.env;
  const output = execFileSync(process.execPath, [join(folder, "run.mjs")], {
    env: { ...env, TUTTI_TEST_GRACE_MS: "300" },
    encoding: "utf8",
  });
  ({ files, coverage } = JSON.parse(output) as { files: FileResult[]; coverage: FileCoverage[] });
});
after(() => rmSync(folder, { recursive: true, force: true }));

const casesOf = (file: string): TestCase[] => files.find((result) => result.file === file)?.cases ?? [];
const problemsOf = (file: string): string[] => casesOf(file).flatMap(({ problem }) => problem ?? []);

test("what passed and what failed is counted once, under its whole name", () => {
  const names = casesOf("src/good.test.ts").map(({ path, problem }) => `${path.join(" > ")}${problem === null ? "" : "!"}`);
  assert.deepEqual(
    names,
    ["one", "outer > inner > deep", "outer > inner > bad!", "child", "parent"].map((name) => (name === "child" ? "parent > child" : name)),
  );
  assert.match(problemsOf("src/good.test.ts")[0] ?? "", /Error: planted\n\s+at /);
  assert.match(files.find(({ file }) => file === "src/good.test.ts")?.output ?? "", /said/);
});

test("skipped tests and tests to do are failures", () => {
  assert.deepEqual(problemsOf("src/skipped.test.ts"), ["skipped", "marked as to do"]);
});

test("a file that holds no test, cannot be loaded, ends itself or stays open is a failure", () => {
  assert.deepEqual(problemsOf("src/empty.test.ts"), ["the file holds no test"]);
  assert.match(problemsOf("src/broken.test.ts")[0] ?? "", /the process ended with/);
  assert.match(files.find(({ file }) => file === "src/broken.test.ts")?.output ?? "", /cannot be loaded/);
  assert.match(problemsOf("src/exit.test.ts")[0] ?? "", /the process ended with 3/);
  assert.match(problemsOf("src/open.test.ts")[0] ?? "", /the process ended with 70/);
  assert.match(files.find(({ file }) => file === "src/open.test.ts")?.output ?? "", /kept it open: Timeout/);
});

test("nothing is lost: every file has its result, and the counts are those of node:test", () => {
  assert.deepEqual(
    files.map(({ file }) => file).toSorted(),
    Object.keys(sources)
      .filter((name) => name.endsWith(".test.ts"))
      .toSorted(),
  );
  assert.deepEqual(countsOf(files.flatMap(({ cases }) => cases)), { passed: 7, failed: 7 });
});

test("a suite counts for the file that runs it, and both databases must pass the same one", () => {
  const cases = files.flatMap((file) => file.cases);
  assert.deepEqual(storeSuites(cases), { line: "sqlite: 1 passed, postgres: 1 passed", problems: [] });
  const withoutOne = cases.filter(({ file }) => file !== "src/db/postgres.test.ts");
  assert.deepEqual(storeSuites(withoutOne).problems, ["the two databases did not pass the same store suite"]);
  assert.equal(storeSuites([]).problems.length, 1);
});

test("coverage counts files that no test loads, and names the lines of a noun that no test reaches", () => {
  const all = Object.keys(sources).filter((name) => !/\.(test|suite)\.ts$/.test(name));
  const report = reportCoverage(coverage, all, folder);
  assert.deepEqual(report.gaps, [{ file: "src/tasks/task.ts", lines: [3, 4] }]);
  assert.deepEqual(report.unloaded, ["src/tasks/unloaded.ts"]);
  assert.equal(report.percent, (100 * 4) / 7);
});

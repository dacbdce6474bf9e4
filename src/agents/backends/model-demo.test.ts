import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { makeBench, oneTurn, takeTurn, type Bench } from "../../../test/support/model-bench.ts";
import { modelBackend } from "./model.ts";

const sample = fileURLToPath(new URL("../../../examples/sample", import.meta.url));

async function bench(t: TestContext, files: Record<string, string> | "sample"): Promise<Bench> {
  const made = await makeBench();
  t.after(() => made.close());
  if (files === "sample") await made.copy(sample);
  else await made.write({ "package.json": '{ "type": "module", "scripts": { "test": "node --test" } }', ...files });
  return made;
}

const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...args], { cwd, encoding: "utf8" });

/** What differs from the first commit, as git has it. */
function commitAll({ cwd }: Bench): void {
  git(cwd, "init", "--quiet");
  git(cwd, "add", ".");
  git(cwd, "commit", "--quiet", "-m", "The shop opens");
}

const ran = async ({ processes, cwd }: Bench, argv: string[]): Promise<number | null> =>
  (
    await processes.run(
      { argv, cwd, env: { PATH: process.env.PATH ?? "" }, stdin: "ignore", session: null, sandbox: null, timeoutMs: 20_000 },
      new AbortController().signal,
    )
  ).exit.code;

test("the demo model repairs both bugs of the sample, changes nothing else, and marks what it says", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  assert.equal(await ran(here, ["node", "--test"]), 1);
  const { events, said } = await oneTurn(modelBackend, here.spec(), "Fix the failing tests.");
  assert.equal(await ran(here, ["node", "--test"]), 0, said);
  assert.deepEqual(git(here.cwd, "diff", "--name-only").trim().split("\n"), ["src/prices.js", "src/stock.js"]);
  assert.equal(git(here.cwd, "diff", "--shortstat").trim(), "2 files changed, 2 insertions(+), 2 deletions(-)");
  assert.match(said, /^\[demo\] I changed/);
  for (const event of events) if (event.kind === "text") assert.match(event.text, /^\[demo\] /);
  const usage = events.find((event) => event.kind === "usage");
  assert.deepEqual(usage?.kind === "usage" && usage.usage, {
    model: "tutti-demo",
    inputTokens: 0,
    outputTokens: 0,
    cachedTokens: 0,
    costUsd: 0,
  });
});

test("told which files are its part, it leaves the other bug to others", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  await oneTurn(modelBackend, here.spec(), "Repair canServe.\n\nThe test test/stock.test.js fails. The cause is in: src/stock.js");
  assert.equal(git(here.cwd, "diff", "--name-only").trim(), "src/stock.js");
  assert.equal(await ran(here, ["node", "--test", "test/stock.test.js"]), 0);
});

test("asked for parts it answers JSON with one part for each failing test, and changes nothing", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  const { said } = await oneTurn(
    modelBackend,
    here.spec(),
    'Plan the repair. Answer with JSON: {"parts": [{"title": "...", "test": "...", "files": ["..."]}]}',
  );
  const { parts } = JSON.parse(said) as { parts: { title: string; test: string; files: string[] }[] };
  assert.deepEqual(
    parts.map(({ test: file, files }) => [file, files]),
    [
      ["test/prices.test.js", ["src/prices.js"]],
      ["test/stock.test.js", ["src/stock.js"]],
    ],
  );
  assert.ok(parts.every(({ title }) => title.startsWith("[demo] ")));
  assert.equal(git(here.cwd, "status", "--short"), "");
});

const pick = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T;
const word = (): string => `${pick(["quark", "zebra", "ferry", "mango", "pixel", "tundra"])}${Math.floor(Math.random() * 10_000)}`;

/** A function with a slip of one kind, and what its test demands; names and numbers are new each time. */
const slips: Record<string, (name: string, n: number) => { wrong: string; right: string; test: string }> = {
  "wrong sign": (name, n) => ({
    wrong: `return a - b + ${n};`,
    right: `return a + b + ${n};`,
    test: `assert.equal(${name}(7, 4), ${11 + n}); assert.equal(${name}(1, 1), ${2 + n});`,
  }),
  "wrong comparison": (name, n) => ({
    wrong: `return a < ${n} || b < 0;`,
    right: `return a <= ${n} || b < 0;`,
    test: `assert.equal(${name}(${n}, 1), true); assert.equal(${name}(${n + 1}, 0), false); assert.equal(${name}(${n - 1}, 1), true);`,
  }),
  "and for or": (name, n) => ({
    wrong: `return a > ${n} || b > ${n};`,
    right: `return a > ${n} && b > ${n};`,
    test: `assert.equal(${name}(${n + 1}, ${n}), false); assert.equal(${name}(${n + 1}, ${n + 1}), true); assert.equal(${name}(${n}, ${n + 1}), false);`,
  }),
  "off by one": (name, n) => ({
    wrong: `return (a * b) % ${n + 1};`,
    right: `return (a * b) % ${n};`,
    test: `assert.equal(${name}(${n}, 3), 0); assert.equal(${name}(${n + 2}, 1), 2 % ${n}); assert.equal(${name}(1, 1), 1 % ${n});`,
  }),
  "min for max": (name, n) => ({
    wrong: `return Math.min(a, b, ${n});`,
    right: `return Math.max(a, b, ${n});`,
    test: `assert.equal(${name}(1, 2), ${n}); assert.equal(${name}(${n + 5}, 0), ${n + 5});`,
  }),
  "arguments exchanged": (name, n) => ({
    wrong: `return Math.pow(b, a) + ${n};`,
    right: `return Math.pow(a, b) + ${n};`,
    test: `assert.equal(${name}(2, 5), ${32 + n}); assert.equal(${name}(3, 2), ${9 + n});`,
  }),
  "true for false": (name, n) => ({
    wrong: `if (a > ${n}) return true;\n  return b > ${n};`,
    right: `if (a > ${n}) return false;\n  return b > ${n};`,
    test: `assert.equal(${name}(${n + 1}, ${n + 1}), false); assert.equal(${name}(${n}, ${n + 1}), true); assert.equal(${name}(0, 0), false);`,
  }),
};

for (const kind of [pick(Object.keys(slips).slice(0, 4)), pick(Object.keys(slips).slice(4))]) {
  test(`a project that it has never seen is repaired too: ${kind}`, async (t) => {
    const [file, name, other] = [word(), word(), `${word()}x`];
    const { wrong, right, test: asserts } = slips[kind]?.(name, 5 + Math.floor(Math.random() * 40)) ?? { wrong: "", right: "", test: "" };
    const source = (line: string): string =>
      `export function ${other}(a) {\n  return a + 1;\n}\n\nexport function ${name}(a, b) {\n  ${line}\n}\n`;
    const head = `import assert from "node:assert/strict";\nimport test from "node:test";\nimport { ${name}, ${other} } from "../lib/${file}.js";\n`;
    const here = await bench(t, {
      [`lib/${file}.js`]: source(wrong),
      [`test/${file}.test.js`]: `${head}test("${name} is right", () => {\n  ${asserts}\n});\ntest("the other", () => assert.equal(${other}(1), 2));\n`,
    });
    const { said } = await oneTurn(modelBackend, here.spec(), "A test fails. Please fix it.");
    assert.equal(await readFile(join(here.cwd, `lib/${file}.js`), "utf8"), source(right), said);
  });
}

test("what it cannot repair it says, and leaves every file as it was", async (t) => {
  const here = await bench(t, {
    "src/words.js": "export function inGerman(number) {\n  return number > 2 ? String(number + 1) : `${number - 1}`;\n}\n",
    "test/words.test.js":
      'import assert from "node:assert/strict";\nimport test from "node:test";\nimport { inGerman } from "../src/words.js";\ntest("two", () => assert.equal(inGerman(2), "zwei"));\n',
  });
  commitAll(here);
  const { said } = await oneTurn(modelBackend, here.spec(), "Fix the failing test");
  assert.match(
    said,
    /^\[demo\] I could not repair what test\/words\.test\.js shows: nothing helped after \d+ small changes\. The files are as they were\.$/,
  );
  assert.equal(git(here.cwd, "status", "--short"), "");
});

test("a change that mends one test and breaks another is not kept", async (t) => {
  const here = await bench(t, {
    "src/both.js": "export const grown = (a) => a + 1;\n",
    "test/one.test.js":
      'import assert from "node:assert/strict";\nimport test from "node:test";\nimport { grown } from "../src/both.js";\ntest("one", () => assert.equal(grown(1), 3));\n',
    "test/two.test.js":
      'import assert from "node:assert/strict";\nimport test from "node:test";\nimport { grown } from "../src/both.js";\ntest("two", () => assert.equal(grown(1), 2));\n',
  });
  commitAll(here);
  const { said } = await oneTurn(modelBackend, here.spec(), "Fix the failing test");
  assert.match(said, /could not repair/);
  assert.equal(git(here.cwd, "status", "--short"), "");
});

test("when a person refuses its edits it says so and goes no further", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  const connection = await modelBackend.open(here.spec({ permissions: "ask" }), new AbortController().signal);
  t.after(() => connection.close());
  const { said } = await takeTurn(connection, "Fix the failing test test/stock.test.js", {
    onEvent: (event) => event.kind === "permission" && connection.answer(event.id, event.tool === "shell" ? "session" : "deny"),
  });
  assert.match(said, /could not repair.*refused by the person/);
  assert.equal(git(here.cwd, "status", "--short"), "");
});

test("after a failing check it goes on in the same conversation", async (t) => {
  const here = await bench(t, "sample");
  const connection = await modelBackend.open(here.spec(), new AbortController().signal);
  t.after(() => connection.close());
  await takeTurn(connection, "Repair src/stock.js so that test/stock.test.js passes.");
  const { said } = await takeTurn(connection, "The check `node --test` does not pass yet. Its output:\n\nnot ok\n\nPlease make it pass.");
  assert.match(said, /test\/stock\.test\.js passes already/);
});

test("release notes get the commits that they do not have yet, and only those", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  const subject = `Sell the last packet too (${word()})`;
  git(here.cwd, "commit", "--quiet", "--allow-empty", "-m", subject);
  const before = await readFile(join(here.cwd, "CHANGELOG.md"), "utf8");
  const prompt = "Draft the release notes: add to CHANGELOG.md what changed since the newest entry.";
  await oneTurn(modelBackend, here.spec(), prompt);
  const after = await readFile(join(here.cwd, "CHANGELOG.md"), "utf8");
  assert.equal(after.replace(`## Unreleased\n\n- ${subject}\n- The shop opens\n\n`, ""), before);
  git(here.cwd, "commit", "--quiet", "--all", "-m", "The shop opens");
  const again = await oneTurn(modelBackend, here.spec(), prompt);
  assert.match(again.said, /has every commit already/);
  git(here.cwd, "commit", "--quiet", "--allow-empty", "-m", "One more");
  await oneTurn(modelBackend, here.spec(), prompt);
  assert.match(await readFile(join(here.cwd, "CHANGELOG.md"), "utf8"), /## Unreleased\n\n- One more\n- Sell/);
});

test("a summary is made of the results in the prompt", async (t) => {
  const here = await bench(t, {});
  const results = [word(), word(), word()];
  const { said, events } = await oneTurn(
    modelBackend,
    here.spec(),
    `Summarise what was fixed.\n\nData for this step (JSON):\n${JSON.stringify({ items: results }, null, 2)}`,
  );
  assert.equal(said, `[demo] 3 results:\n${results.map((result) => `- ${result}`).join("\n")}`);
  assert.equal(
    events.some(({ kind }) => kind === "tool"),
    false,
  );
});

test("for anything else it says what it is and can do, and edits nothing", async (t) => {
  const here = await bench(t, "sample");
  commitAll(here);
  const { said } = await oneTurn(modelBackend, here.spec(), "Write me a poem about tea.");
  assert.match(said, /^\[demo\] I am the built-in demo model/);
  assert.equal(git(here.cwd, "status", "--short"), "");
});

import assert from "node:assert/strict";
import test from "node:test";
import { demoModel } from "../demo.ts";
import { nextMove } from "./behaviour.ts";
import { commandFor, importsOf, look, namedIn } from "./repository.ts";
import { behaviourFor } from "./role.ts";
import { parseTestOutput } from "./test-output.ts";

const first = (...prompts: string[]): string => {
  const move = nextMove(behaviourFor(prompts), []);
  return move.kind === "step" ? `${move.step.calls[0]?.tool} ${JSON.stringify(move.step.calls[0]?.input)}` : move.text;
};

test("what a prompt names first decides what is done", () => {
  assert.match(first("Fix the bug, then write a summary"), /^list \{\}/);
  assert.match(first("Summarise the fixes"), /no results to sum up/);
  assert.match(first("Draft release notes of what was fixed"), /^shell .*git log/);
  assert.match(first("Sing"), /^list \{"depth":4\}/);
  assert.match(first("Fix the bug", "Go on"), /^list \{\}/);
});

test("the same conversation gets the same answer, whole and as a stream", async () => {
  const options = { prompt: [{ role: "user" as const, content: [{ type: "text" as const, text: "Fix it" }] }] };
  const whole = await demoModel().doGenerate(options);
  assert.deepEqual(await demoModel().doGenerate(options), whole);
  const { stream } = await demoModel().doStream(options);
  const parts = await Array.fromAsync(stream);
  assert.deepEqual(
    parts.flatMap((part) => (part.type === "tool-call" ? [part] : [])),
    whole.content.slice(1),
  );
  assert.equal(parts.at(-1)?.type, "finish");
});

test("failing tests are found in what test runners print", () => {
  const files = ["test/a.test.js", "test/b.test.js"];
  const tap = `not ok 1 - outer\n  ---\n  failureType: 'subtestsFailed'\n  ...\n    not ok 2 - inner\n      ---\n      location: '/x/test/a.test.js:5:1'\n      ...\n[exit code 1]`;
  assert.deepEqual(parseTestOutput(tap, files).failures, [{ name: "inner", file: "test/a.test.js", line: 5 }]);
  const spec = "✖ failing tests:\n\ntest at test/b.test.js:7:3\n✖ it is (1.2ms)\n  Error\n[exit code 1]";
  assert.deepEqual(parseTestOutput(spec, files).failures, [{ name: "it is", file: "test/b.test.js", line: 7 }]);
  assert.deepEqual(parseTestOutput("FAIL test/a.test.js\n[exit code 1]", files).failures, [
    { name: "test/a.test.js", file: "test/a.test.js", line: null },
  ]);
  assert.deepEqual(parseTestOutput("boom\n[exit code 2]", files).failures, [{ name: "the test command", file: null, line: null }]);
  assert.deepEqual(parseTestOutput("all fine\n[exit code 0]\n", files), { passed: true, ended: true, failures: [] });
  assert.equal(parseTestOutput("half\n[killed after 5 ms]", files).ended, false);
});

test("names with anything unusual in them never come into a command line", () => {
  const list = { ok: true, output: "test/a.test.js\ntest/$(id).test.js\ntest/a b.test.js\ntest/';id;'.test.js\n-x.test.js\nsrc/a.js" };
  const steps = look();
  steps.next();
  steps.next([list]);
  const { value } = steps.next([{ ok: true, output: '{"scripts":{"test":"node --test"}}' }]);
  assert.ok(value && "tests" in value);
  assert.deepEqual(value.tests, ["test/a.test.js"]);
  assert.equal(commandFor(value, value.tests), "node --test --test-reporter=tap test/a.test.js");
});

test("another test command than Node's own is run through npm", () => {
  const steps = look();
  steps.next();
  steps.next([{ ok: true, output: "a.js" }]);
  const { value } = steps.next([{ ok: true, output: '{"scripts":{"test":"node --test; rm -rf /"}}' }]);
  assert.ok(value && "tests" in value);
  assert.equal(value.testCommand, "npm test");
});

test("files are found in prompts and imports", () => {
  const files = ["src/a.js", "src/a.json.js", "lib/src/a.js", "src/deep/index.ts", "src/deep/other.mts"];
  assert.deepEqual(namedIn("Look at `src/a.js`, please", files), ["src/a.js"]);
  assert.deepEqual(namedIn("in: ./lib/src/a.js.", files), ["lib/src/a.js"]);
  const text =
    'import { a } from "../src/a.js";\nimport "../src/deep/index.js";\nimport "../src/deep/other.mjs";\nconst b = require("../src/deep");\nimport x from "node:test";';
  assert.deepEqual(importsOf("test/x.test.js", text, files), ["src/a.js", "src/deep/index.ts", "src/deep/other.mts"]);
});

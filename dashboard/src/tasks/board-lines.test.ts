import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mostLines, readLines } from "./board-lines.ts";

test("each line is a task; lists that were pasted lose their marks", () => {
  const { tasks, problems } = readLines("Fix the cart\n\n- Add a test\n2) Write docs\n- [ ] Tidy up");
  assert.deepEqual(problems, []);
  assert.deepEqual(
    tasks.map(({ prompt }) => prompt),
    ["Fix the cart", "Add a test", "Write docs", "Tidy up"],
  );
});

test("who and how urgent are words of their own", () => {
  assert.deepEqual(readLines("Fix @goose the cart !5").tasks, [{ prompt: "Fix the cart", agent: "goose", priority: 5 }]);
  assert.deepEqual(readLines("Mail a@b.c and say hi! to x!2").tasks, [
    { prompt: "Mail a@b.c and say hi! to x!2", agent: null, priority: 0 },
  ]);
  assert.deepEqual(readLines("!-3 later").tasks, [{ prompt: "later", agent: null, priority: -3 }]);
});

test("what cannot be meant is said, with its line, and the other lines are good", () => {
  const { tasks, problems } = readLines("good\n@a @b two\n!200 far\n@a\n!1 !2 x");
  assert.equal(tasks.length, 1);
  assert.deepEqual(
    problems.map(({ line }) => line),
    [2, 3, 4, 5],
  );
  assert.equal(readLines(Array.from({ length: mostLines + 1 }, () => "x").join("\n")).problems.length, 1);
});

test("whatever is pasted, no task is empty and no line is both a task and a problem", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", " ", "@", "!", "1", "\n", "-", "é", "😀") }), (text) => {
      const { tasks, problems } = readLines(text);
      assert.ok(tasks.every(({ prompt, priority }) => prompt.trim() !== "" && Math.abs(priority) <= 100));
      assert.ok(tasks.length + problems.length <= text.split("\n").length);
    }),
  );
});

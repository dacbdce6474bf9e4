import assert from "node:assert/strict";
import { test } from "node:test";
import { readAction } from "./read-action.ts";

test("a command is shown as one, wherever the program puts it, and nothing beside it is left out", () => {
  assert.deepEqual(readAction({ title: "Run", kind: "execute", rawInput: { command: "rm -rf /", cwd: "/x" } }), {
    command: "rm -rf /",
    rest: [
      { name: "title", text: "Run" },
      { name: "kind", text: "execute" },
      { name: "cwd", text: "/x" },
    ],
  });
});

test("of a request as it is kept the action is shown, and what each answer does", () => {
  const options = [
    { id: "1", label: "Reject", allows: true, lasting: true },
    { id: "2", label: "No", allows: false, lasting: false },
  ];
  const action = { title: "Run", kind: "execute", input: { command: "rm -rf /" } };
  assert.deepEqual(readAction({ permission: "p-1", tool: "bash", action, options }), {
    command: "rm -rf /",
    rest: [
      { name: "title", text: "Run" },
      { name: "kind", text: "execute" },
      { name: "answers", text: "Reject: allows from now on; No: refuses" },
    ],
  });
});

test("the words of an argv stay apart", () => {
  assert.equal(readAction({ command: ["git", "commit", "-m", "it's; rm -rf /"] }).command, `git commit -m 'it'\\''s; rm -rf /'`);
});

test("what is no command is shown whole", () => {
  assert.deepEqual(readAction({ path: "a.txt", content: "x\ny" }), {
    command: null,
    rest: [
      { name: "path", text: "a.txt" },
      { name: "content", text: "x\ny" },
    ],
  });
  assert.deepEqual(readAction("bare"), { command: null, rest: [{ name: "action", text: "bare" }] });
  assert.deepEqual(readAction([1]), { command: null, rest: [{ name: "action", text: "[\n  1\n]" }] });
  assert.equal(readAction({ command: "" }).command, null);
});

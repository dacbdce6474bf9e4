import assert from "node:assert/strict";
import { test } from "node:test";
import type { TranscriptEntry } from "../../../../src/sessions/session.ts";
import { blockHas, callLine, isError, turnsOf } from "./blocks.ts";

const entry = (kind: TranscriptEntry["kind"], text: string, more: Partial<TranscriptEntry> = {}): TranscriptEntry => ({
  turn: 0,
  at: 1,
  kind,
  text,
  ...more,
});

test("texts that came in pieces are one, and a tool's beginning and end are one call", () => {
  const [turn] = turnsOf([
    entry("prompt", "do"),
    entry("text", "I will "),
    entry("text", "look"),
    entry("tool", '{"command":"ls"}', { name: "bash", state: "started" }),
    entry("tool", '{"path":"a"}', { name: "read", state: "started" }),
    entry("tool", '{"command":"ls"}\na.txt\nb.txt', { name: "bash", state: "done" }),
    entry("tool", "no such file", { name: "read", state: "failed" }),
    entry("outcome", "", { name: "done" }),
  ]);
  assert.deepEqual(
    turn?.blocks.map(({ kind }) => kind),
    ["prompt", "text", "calls", "outcome"],
  );
  const calls = turn?.blocks[2];
  assert.ok(calls?.kind === "calls");
  assert.deepEqual(calls.calls, [
    { name: "bash", state: "done", input: '{"command":"ls"}', output: "a.txt\nb.txt" },
    { name: "read", state: "failed", input: '{"path":"a"}', output: "no such file" },
  ]);
  assert.ok(isError(calls));
});

test("turns follow each other, and nothing is lost", () => {
  const entries = [entry("prompt", "one"), entry("note", "n"), entry("prompt", "two", { turn: 1 }), entry("answer", "yes", { turn: 1 })];
  const turns = turnsOf(entries);
  assert.deepEqual(
    turns.map(({ turn }) => turn),
    [0, 1],
  );
  assert.equal(turns.flatMap(({ blocks }) => blocks).length, entries.length);
});

test("a call's line is what it is about", () => {
  const call = (input: string, output = "") => callLine({ name: "x", state: "done", input, output });
  assert.equal(call('{"command":"npm test\\nrm"}'), "npm test");
  assert.equal(call('{"file_path":"src/a.ts","content":"long"}'), "src/a.ts");
  assert.equal(call("", "plain output\nmore"), "plain output");
  assert.equal(call('{"a":1}'), '{"a":1}');
});

test("words are found anywhere in what was said or done", () => {
  const [turn] = turnsOf([entry("tool", '{"command":"ls"}\nNEEDLE here', { name: "bash", state: "done" })]);
  const block = turn?.blocks[0];
  assert.ok(block && blockHas(block, ["needle", "bash"]));
  assert.ok(!blockHas(block, ["needle", "absent"]));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TranscriptEntry } from "../../../../src/sessions/session.ts";
import { blockHas, callLine, grown, isError, turnsOf } from "./blocks.ts";

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

test("an input that is told after its call began makes no second call; another call of the same tool is one", () => {
  const told = (text: string, state: string): TranscriptEntry => entry("tool", text, { name: "write", state });
  const [turn] = turnsOf([
    told("", "started"),
    told('{"path":"a"}', "started"),
    told('{"path":"b"}', "started"),
    told('{"path":"b"}\nwrote b', "done"),
    told('{"path":"a"}\nwrote a', "done"),
  ]);
  const [calls] = turn?.blocks ?? [];
  assert.ok(calls?.kind === "calls");
  assert.deepEqual(
    calls.calls.map(({ state, input }) => [state, input]),
    [
      ["done", '{"path":"a"}'],
      ["done", '{"path":"b"}'],
    ],
  );
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

test("a conversation that comes in pieces is the same, and what a piece does not touch is not made again", () => {
  const entries = Array.from({ length: 300 }, (_, at): TranscriptEntry => {
    const turn = Math.floor(at / 120);
    if (at % 7 === 0) return entry("text", `text ${at}. `, { turn });
    if (at % 11 === 0) return entry("note", `note ${at}`, { turn });
    return entry("tool", `{"path":"${at}"}`, { turn, name: "read", state: at % 2 === 0 ? "started" : "done" });
  });
  const many = Array.from({ length: 100 }, (_, at) => entry("tool", `{"path":"${at}"}`, { turn: 3, name: "read", state: "done" }));
  const whole = turnsOf([...entries, ...many]);
  for (const size of [1, 3, 50, 128]) {
    let turns = turnsOf([]);
    for (let from = 0; from < entries.length + many.length; from += size) {
      const before = turns;
      turns = grown(before, [...entries, ...many].slice(from, from + size), from);
      const [old, now] = [before, turns].map((each) => each.flatMap(({ blocks }) => blocks));
      for (const [at, block] of (old ?? []).slice(0, -2).entries()) assert.ok(block === now?.[at] || (old?.length ?? 0) < 3);
    }
    assert.deepEqual(turns, whole);
  }
  assert.ok(whole.at(-1)?.blocks.every((block) => block.kind !== "calls" || block.calls.length <= 40));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as breathe } from "node:timers/promises";
import type { TranscriptEntry } from "../sessions/session.ts";
import { writeTranscript } from "./transcript.ts";

const text = (length: number, letter = "x") => ({ kind: "text" as const, text: letter.repeat(length) });

test("parts are numbered from 1, sent one at a time and in their order, also when a later one would be quicker", async () => {
  const sent: number[] = [];
  let inFlight = 0;
  const writer = writeTranscript({
    turn: 1,
    now: () => 7,
    async send(part) {
      assert.equal((inFlight += 1), 1);
      for (let turns = 0; turns < (part === 1 ? 20 : 0); turns += 1) await breathe();
      sent.push(part);
      inFlight -= 1;
    },
  });
  for (let count = 0; count < 5; count += 1) writer.add(text(64 * 1024));
  await writer.flush();
  assert.deepEqual(sent, [1, 2, 3, 4, 5]);
});

test("neighbouring pieces of text are one entry, and other entries keep their place between them", async () => {
  const stored: TranscriptEntry[] = [];
  const writer = writeTranscript({ turn: 2, now: () => 7, send: async (_part, entries) => void stored.push(...entries) });
  for (const piece of ["a ", "whole ", "sentence"]) writer.add({ kind: "text", text: piece });
  writer.add({ kind: "tool", name: "write", state: "done", text: "{}" });
  writer.add({ kind: "text", text: "and on" });
  await writer.flush();
  assert.deepEqual(
    stored.map(({ kind, text: said, turn }) => [kind, said, turn]),
    [
      ["text", "a whole sentence", 2],
      ["tool", "{}", 2],
      ["text", "and on", 2],
    ],
  );
});

test("a part that is refused is told to whoever flushes", async () => {
  const writer = writeTranscript({ turn: 1, now: () => 7, send: () => Promise.reject(new Error("no longer ours")) });
  writer.add(text(1));
  await assert.rejects(writer.flush(), /no longer ours/);
  await assert.rejects(writer.flush(), /no longer ours/);
});

test("a single entry is cut, so that an agent that prints without end does not fill the store", async () => {
  const stored: TranscriptEntry[] = [];
  const writer = writeTranscript({ turn: 1, now: () => 7, send: async (_part, entries) => void stored.push(...entries) });
  writer.add({ kind: "tool", text: "x".repeat(3 * 1024 * 1024) });
  await writer.flush();
  assert.ok((stored[0]?.text.length ?? 0) < 1_100_000);
  assert.match(stored[0]?.text ?? "", /\[cut: 3145728 characters\]$/);
});

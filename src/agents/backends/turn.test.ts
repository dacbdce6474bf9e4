import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent } from "../backend.ts";
import { Turn } from "./turn.ts";

const text = (index: number): AgentEvent => ({ kind: "text", text: String(index) });

/** What the promise is after everything that can happen by itself has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test("whoever sends too much waits until the reader has taken some", async () => {
  const turn = new Turn();
  const reader = turn.read();
  assert.equal(await isSettled(turn.room()), true);
  for (let index = 0; index < 500; index += 1) turn.push(text(index));
  const room = turn.room();
  assert.equal(await isSettled(room), false);
  assert.deepEqual((await reader.next()).value, text(0));
  assert.equal(await isSettled(room), true);
});

test("the end lets everybody go, comes once, and nothing comes after it", async () => {
  const turn = new Turn();
  for (let index = 0; index < 500; index += 1) turn.push(text(index));
  const room = turn.room();
  turn.end({ kind: "cancelled" });
  turn.end({ kind: "done", output: "too late" });
  turn.push(text(501));
  await room;
  const events = await Array.fromAsync(turn.read());
  assert.equal(events.length, 501);
  assert.deepEqual(events.at(-1), { kind: "outcome", outcome: { kind: "cancelled" } });
});

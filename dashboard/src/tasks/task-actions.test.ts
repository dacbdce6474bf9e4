import assert from "node:assert/strict";
import { test } from "node:test";
import { nextAction, possible } from "./task-actions.ts";

const result = { output: "", commit: "c", base: "b", files: ["a"], branch: null, note: null };
const task = (more: object) => ({ state: "done" as const, kind: "agent" as const, run: null, session: "S-1", result, ...more });

test("what is over can be merged or retried, what is not can be stopped", () => {
  assert.equal(possible(task({})).merge, null);
  assert.equal(possible(task({})).stop, "it is done");
  assert.equal(possible(task({ state: "running" })).stop, null);
  assert.equal(possible(task({ state: "failed" })).retry, null);
  assert.equal(possible(task({ result: { ...result, commit: null } })).merge, "it changed nothing");
});

test("a step of a run is not retried or talked to by itself", () => {
  assert.match(possible(task({ run: "R-1", state: "failed" })).retry ?? "", /R-1/);
  assert.match(possible(task({ run: "R-1" })).reply ?? "", /R-1/);
});

test("nobody can talk to an agent in the middle of its turn, and that is said", () => {
  assert.match(possible(task({ state: "running" })).reply ?? "", /middle of a turn/);
  assert.equal(possible(task({})).reply, null);
});

test("the next thing is to retry what failed, or to merge what is done", () => {
  assert.equal(nextAction(task({ state: "failed" })), "retry");
  assert.equal(nextAction(task({})), "merge");
  assert.equal(nextAction(task({ run: "R-1" })), null);
  assert.equal(nextAction(task({ state: "running" })), null);
});

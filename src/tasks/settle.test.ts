import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fullDelay, maxCrashes, RetryPolicy, usualRetry } from "./retry.ts";
import { settle, type AttemptEnd } from "./settle.ts";
import { isTerminal, titleOf } from "./task.ts";

const fresh = { id: "T-1", failures: 0, crashes: 0, cancelRequested: 0 };
const work = { commit: "c1", base: "b0", files: ["a.txt"] };
const done: AttemptEnd = { kind: "done", output: "text", ...work, branch: "tutti/T-1", note: null, verified: true };
const failure = (retryable: boolean): AttemptEnd => ({ kind: "failed", reason: "agent failed", message: "no", retryable, ...work });

test("a done attempt ends its task with its result, and keeps whether it was verified", () => {
  const settled = settle(done, fresh, 5);
  assert.deepEqual(settled.task, { state: "done", reason: null, message: null });
  assert.equal(settled.verified, true);
  assert.equal(settled.result?.commit, "c1");
});

test("a retryable failure goes back to the queue with a growing pause, until the attempts are used up", () => {
  const first = settle(failure(true), fresh, 1000);
  assert.deepEqual([first.task.state, first.task.reason, first.failures], ["queued", "retry", 1]);
  assert.ok(first.readyAt > 1000 && first.readyAt <= 1000 + fullDelay(usualRetry, 1), String(first.readyAt));
  assert.equal(first.attempt.state, "failed");
  const last = settle(failure(true), { ...fresh, failures: usualRetry.attempts - 1 }, 1000);
  assert.deepEqual([last.task.state, last.task.reason], ["failed", "agent failed"]);
});

test("a task's own policy says how often it is tried", () => {
  const retry = RetryPolicy.parse({ attempts: 5 });
  assert.equal(settle(failure(true), { ...fresh, failures: 3, retry }, 0).task.state, "queued");
  assert.equal(settle(failure(true), { ...fresh, failures: 4, retry }, 0).task.state, "failed");
  assert.equal(settle(failure(true), { ...fresh, retry: RetryPolicy.parse({ attempts: 1 }) }, 0).task.state, "failed");
});

test("a task whose deadline is over fails for that, and is done when it was done in time", () => {
  const late = { ...fresh, cancelRequested: 2 };
  assert.deepEqual(settle({ kind: "cancelled" }, late, 0).task.reason, "deadline");
  assert.equal(settle(failure(true), late, 0).task.state, "failed");
  assert.equal(settle(done, late, 0).task.state, "done");
});

test("a failure that cannot be mended by trying again ends the task at once, with the work that there was", () => {
  const settled = settle(failure(false), fresh, 0);
  assert.equal(settled.task.state, "failed");
  assert.deepEqual(settled.result?.files, ["a.txt"]);
});

test("a failed check says that the work is not verified; other failures do not know", () => {
  assert.equal(settle({ ...failure(false), reason: "check failed" } as AttemptEnd, fresh, 0).verified, false);
  assert.equal(settle(failure(false), fresh, 0).verified, null);
});

test("a limit of the provider parks the task until its reset", () => {
  const settled = settle({ kind: "limited", retryAt: 99_000, message: "limit" }, fresh, 1000);
  assert.deepEqual([settled.task.state, settled.task.reason, settled.readyAt], ["paused", "quota", 99_000]);
  assert.equal(settle({ kind: "limited", retryAt: null, message: "" }, fresh, 1000).readyAt, 61_000);
});

test("an interrupted or lost attempt goes on later; only the lost one counts as a crash", () => {
  assert.deepEqual(settle({ kind: "interrupted" }, fresh, 0).task, { state: "queued", reason: "interrupted", message: null });
  assert.equal(settle({ kind: "interrupted" }, fresh, 0).crashes, 0);
  assert.equal(settle({ kind: "lost" }, fresh, 0).crashes, 1);
});

test("a task that dies with its runner again and again ends as a crash loop", () => {
  const settled = settle({ kind: "lost" }, { ...fresh, crashes: maxCrashes - 1 }, 0);
  assert.deepEqual([settled.task.state, settled.task.reason], ["failed", "crash loop"]);
});

test("when a person stopped the task every end but done is cancelled", () => {
  const ends: AttemptEnd[] = [
    failure(true),
    { kind: "lost" },
    { kind: "interrupted" },
    { kind: "cancelled" },
    { kind: "limited", retryAt: null, message: "" },
  ];
  for (const end of ends) assert.equal(settle(end, { ...fresh, cancelRequested: 1 }, 0).task.state, "cancelled");
  assert.equal(settle(done, { ...fresh, cancelRequested: 1 }, 0).task.state, "done");
});

test("whatever happens, an attempt is over, and a task is either over or ready again not before now", () => {
  const ends = fc.constantFrom<AttemptEnd>(
    done,
    failure(true),
    failure(false),
    { kind: "lost" },
    { kind: "interrupted" },
    { kind: "cancelled" },
  );
  fc.assert(
    fc.property(ends, fc.nat(20), fc.nat(20), fc.constantFrom(0, 1, 2), fc.nat(), (end, failures, crashes, cancelRequested, now) => {
      const { task, readyAt } = settle(end, { id: "T-1", failures, crashes, cancelRequested }, now);
      return isTerminal(task.state) || readyAt >= now;
    }),
  );
});

test("a task's title is the first line of its prompt, at most 80 characters", () => {
  assert.equal(titleOf("\n  fix it \nplease"), "fix it ".trim());
  assert.equal(titleOf("x".repeat(200)).length, 80);
});

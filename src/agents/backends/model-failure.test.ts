import assert from "node:assert/strict";
import test from "node:test";
import { judgeFailure, readFailure, retryAfter, type Failure } from "./model-failure.ts";

const now = 1_000_000;
const policy = { tries: 4, pauseMs: 500, longestPauseMs: 20_000, now };
const failure = (changed: Partial<Failure>): Failure => ({
  kind: "failure",
  cause: "refused",
  message: "no",
  status: 500,
  retryAfterMs: null,
  spoke: false,
  ...changed,
});

test("pauses double, and the last try ends the turn as one that may be tried again", () => {
  const pauses = [1, 2, 3].map((attempt) => judgeFailure(failure({}), { ...policy, attempt }));
  assert.deepEqual(
    pauses,
    [500, 1000, 2000].map((pauseMs) => ({ kind: "again", pauseMs })),
  );
  const last = judgeFailure(failure({}), { ...policy, attempt: 4 });
  assert.deepEqual(last, { kind: "end", outcome: { kind: "failed", cause: "model", message: "no (asked 4 times)", retryable: true } });
});

test("the provider's own time is honoured up to the bound, beyond it the turn is limited", () => {
  assert.deepEqual(judgeFailure(failure({ status: 429, retryAfterMs: 3_000 }), { ...policy, attempt: 1 }), {
    kind: "again",
    pauseMs: 3_000,
  });
  for (const status of [429, 503]) {
    assert.deepEqual(judgeFailure(failure({ status, retryAfterMs: 20_001 }), { ...policy, attempt: 1 }), {
      kind: "end",
      outcome: { kind: "limited", retryAt: now + 20_001, message: "no" },
    });
  }
});

test("a limit that stays, or a used-up account, is limited and not failed", () => {
  assert.deepEqual(judgeFailure(failure({ status: 429 }), { ...policy, attempt: 4 }), {
    kind: "end",
    outcome: { kind: "limited", retryAt: null, message: "no" },
  });
  const usedUp = judgeFailure(failure({ status: 429, message: "x (insufficient_quota)" }), { ...policy, attempt: 1 });
  assert.equal(usedUp.kind === "end" && usedUp.outcome.kind, "limited");
});

test("what asking again does not mend ends at once; silence is a matter of time", () => {
  for (const changed of [{ status: 400 }, { status: 401 }, { status: 404 }, { cause: "ended", status: null }] as const) {
    const verdict = judgeFailure(failure(changed), { ...policy, attempt: 1 });
    assert.ok(verdict.kind === "end" && verdict.outcome.kind === "failed" && !verdict.outcome.retryable);
  }
  const silent = judgeFailure(failure({ cause: "silence", status: null }), { ...policy, attempt: 1 });
  assert.ok(silent.kind === "end" && silent.outcome.kind === "failed" && silent.outcome.cause === "time" && silent.outcome.retryable);
  assert.equal(judgeFailure(failure({ cause: "broken", status: null }), { ...policy, attempt: 1 }).kind, "again");
});

test("errors of any shape are read; only a status from 300 on is a refusal", () => {
  assert.equal(readFailure(new Error("socket hang up"), now).cause, "broken");
  assert.equal(readFailure(Object.assign(new Error("half"), { statusCode: 200 }), now).cause, "broken");
  assert.equal(readFailure("what", now).cause, "broken");
  const refused = readFailure(
    Object.assign(new Error("slow"), { statusCode: 429, responseHeaders: { "retry-after": "2" }, data: { error: { type: "rate" } } }),
    now,
  );
  assert.deepEqual(refused, {
    kind: "failure",
    cause: "refused",
    message: "the provider answered 429: slow (rate)",
    status: 429,
    retryAfterMs: 2_000,
  });
});

test("Retry-After is seconds, a date, or the exact header", () => {
  assert.equal(retryAfter({ "retry-after": "1.5" }, now), 1_500);
  assert.equal(retryAfter({ "retry-after": new Date(now + 9_000).toUTCString() }, now), 9_000);
  assert.equal(retryAfter({ "retry-after": "9", "retry-after-ms": "70" }, now), 70);
  assert.equal(retryAfter({ "retry-after": "soon" }, now), null);
  assert.equal(retryAfter(undefined, now), null);
});

import assert from "node:assert/strict";
import test from "node:test";
import { goesElsewhere, judgeFailure, judgeRound, readFailure, type Failure } from "./model-failure.ts";

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

const round = (...changed: Partial<Failure>[]): [Failure, ...Failure[]] => changed.map(failure) as [Failure, ...Failure[]];
const limit = (seconds: number | null): Partial<Failure> => ({
  status: 429,
  message: `limit ${seconds}`,
  retryAfterMs: seconds === null ? null : seconds * 1000,
});

test("of a round the one that mends first is waited for", () => {
  assert.deepEqual(judgeRound(round(limit(3600), limit(2), { status: 503, retryAfterMs: 9_000 }), { ...policy, attempt: 1 }), {
    kind: "again",
    pauseMs: 2_000,
  });
});

test("when all are at their limit the soonest end counts; a refused key is no provider", () => {
  const limited = { kind: "end", outcome: { kind: "limited", retryAt: now + 600_000, message: "limit 600" } };
  assert.deepEqual(judgeRound(round(limit(3600), limit(600), { status: 401 }), { ...policy, attempt: 1 }), limited);
  assert.deepEqual(judgeRound(round(limit(null), limit(600)), { ...policy, attempt: 4 }), limited);
  const mixed = judgeRound(round(limit(3600), { status: 503 }), { ...policy, attempt: 4 });
  assert.ok(mixed.kind === "end" && mixed.outcome.kind === "failed" && mixed.outcome.retryable, "one of them is down, at no limit");
  const keys = judgeRound(round({ status: 401 }, { status: 401 }), { ...policy, attempt: 1 });
  assert.ok(keys.kind === "end" && keys.outcome.kind === "failed" && !keys.outcome.retryable);
});

test("the next provider goes on after limits, overload, refused keys and lost connections, and only while nothing was heard", () => {
  for (const changed of [
    { status: 429 },
    { status: 500 },
    { status: 529 },
    { status: 408 },
    { status: 401 },
    { cause: "broken", status: null },
    { cause: "silence", status: null },
  ] as const) {
    assert.equal(goesElsewhere(failure(changed)), true, JSON.stringify(changed));
    assert.equal(goesElsewhere(failure({ ...changed, spoke: true })), false, JSON.stringify(changed));
  }
  for (const changed of [{ status: 400 }, { status: 403 }, { status: 404 }, { cause: "ended", status: null }] as const) {
    assert.equal(goesElsewhere(failure(changed)), false, JSON.stringify(changed));
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { delayBefore, fullDelay, mayRetry, RetryPolicy, usualRetry } from "./retry.ts";

/** Policies as people could write them. */
const policies = fc
  .record({
    attempts: fc.integer({ min: 1, max: 20 }),
    backoff: fc.record({
      base_ms: fc.integer({ min: 0, max: 3_600_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      max_ms: fc.integer({ min: 0, max: 86_400_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  })
  .map((written) => RetryPolicy.parse(written));
const failureCounts = fc.integer({ min: 1, max: 10_000 });

test("a policy that says nothing tries three times, after 1 s and 4 s, with a fifth cut off at most", () => {
  assert.deepEqual(usualRetry, { attempts: 3, backoff: { base_ms: 1_000, factor: 4, max_ms: 300_000, jitter: 0.2 } });
  assert.deepEqual(RetryPolicy.parse({ attempts: 5, backoff: { base_ms: 10 } }).backoff, { ...usualRetry.backoff, base_ms: 10 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((failures) => fullDelay(usualRetry, failures)),
    [1_000, 4_000, 16_000, 64_000, 256_000, 300_000],
  );
  assert.deepEqual(
    [1, 2, 3].map((failures) => mayRetry(usualRetry, failures)),
    [true, true, false],
  );
});

test("what is no policy is refused: no try, too many, a shrinking wait, more jitter than there is wait, unknown fields", () => {
  for (const wrong of [
    { attempts: 0 },
    { attempts: 21 },
    { attempts: 1.5 },
    { backoff: { factor: 0.5 } },
    { backoff: { jitter: 1.1 } },
    { backoff: { base_ms: -1 } },
    { tries: 3 },
  ])
    assert.equal(RetryPolicy.safeParse(wrong).success, false, JSON.stringify(wrong));
});

test("a wait lies between its full length and that less the jitter, in whole milliseconds, and never above the longest", () => {
  fc.assert(
    fc.property(policies, failureCounts, fc.string(), (policy, failures, seed) => {
      const delay = delayBefore(policy, failures, seed);
      const full = fullDelay(policy, failures);
      assert.ok(Number.isInteger(delay), String(delay));
      assert.ok(delay <= Math.round(full) && delay <= policy.backoff.max_ms, `${delay} of ${full}`);
      assert.ok(delay >= Math.floor(full * (1 - policy.backoff.jitter)), `${delay} of ${full}`);
    }),
  );
});

test("before anything is cut off, no wait is shorter than the one before it", () => {
  fc.assert(
    fc.property(policies, failureCounts, (policy, failures) => {
      assert.ok(fullDelay(policy, failures + 1) >= fullDelay(policy, failures));
    }),
  );
});

test("the same task waits the same after the same failure, and another time after the next", () => {
  assert.equal(delayBefore(usualRetry, 1, "T-1"), delayBefore(usualRetry, 1, "T-1"));
  const flat = RetryPolicy.parse({ backoff: { factor: 1, base_ms: 100_000 } });
  assert.notEqual(delayBefore(flat, 1, "T-1"), delayBefore(flat, 2, "T-1"));
});

test("a thousand tasks that fail at once come back spread over the whole of the jitter", () => {
  const policy = RetryPolicy.parse({ backoff: { base_ms: 10_000 } });
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let task = 1; task <= 1_000; task += 1) {
    const tenth = Math.min(9, Math.floor((delayBefore(policy, 1, `T-${task}`) - 8_000) / 200));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  // 100 in each would be even; beyond 60 to 140 (four deviations) it would not be chance.
  for (const count of tenths) assert.ok(count >= 60 && count <= 140, tenths.join(" "));
});

test("control: without jitter they all come back at once", () => {
  const policy = RetryPolicy.parse({ backoff: { jitter: 0 } });
  const delays = new Set(Array.from({ length: 1_000 }, (_, task) => delayBefore(policy, 1, `T-${task}`)));
  assert.deepEqual([...delays], [1_000]);
});

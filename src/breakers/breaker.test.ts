import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { changeOf, endOfAttempt, failuresToOpen, mayChoose, openMs, tips, windowMs, type BreakerRow } from "./breaker.ts";

const now = 1_000_000_000;
const rowOf = (more: Partial<BreakerRow> = {}): BreakerRow => ({
  subject: "agent:ada",
  state: "closed",
  failures: 1,
  window_at: now,
  window_ok: 0,
  window_failed: 1,
  openings: 0,
  opened_at: null,
  retry_at: null,
  trial_attempt: null,
  trial_until: null,
  reason: "it failed",
  updated_at: now,
  ...more,
});
const change = (row: BreakerRow | null, ended: "ok" | "failed" | "unclear", attempt = "T-1/1"): string =>
  changeOf(row, { ended, attempt, now }).kind;

test("what goes well has no breaker: a good end without one changes nothing", () => {
  assert.equal(change(null, "ok"), "nothing");
  assert.equal(change(null, "unclear"), "nothing");
  assert.equal(mayChoose(undefined, now), "yes");
});

test("failures are counted while it is closed, and the fifth in a row opens it", () => {
  assert.equal(change(null, "failed"), "count failure");
  assert.equal(change(rowOf({ failures: failuresToOpen - 2 }), "failed"), "count failure");
  assert.equal(change(rowOf({ failures: failuresToOpen - 1 }), "failed"), "open");
});

test("a good end breaks the row of failures; long after the trouble it forgets it", () => {
  assert.equal(change(rowOf({ failures: 4 }), "ok"), "count success");
  assert.equal(change(rowOf({ failures: 4, window_at: now - windowMs }), "ok"), "forget");
});

test("failing every second time opens it too, when there are enough ends to tell, and only those of the window count", () => {
  const often = { failures: 0, window_ok: 10, window_failed: 9 };
  assert.equal(tips(rowOf(often), now), true);
  assert.equal(tips(rowOf({ ...often, window_ok: 11 }), now), false, "10 of 21");
  assert.equal(tips(rowOf({ failures: 0, window_ok: 1, window_failed: 9 }), now), false, "too few");
  assert.equal(tips(rowOf({ ...often, window_at: now - windowMs }), now), false, "too long ago");
});

test("an open one is not chosen until its time is over, and then for a trial", () => {
  const open = rowOf({ state: "open", retry_at: now + 1 });
  assert.equal(mayChoose(open, now), "no");
  assert.equal(mayChoose(open, now + 1), "trial");
});

test("while a trial runs nobody else is let through, unless it takes too long to tell", () => {
  const trial = rowOf({ state: "half-open", trial_attempt: "T-2/1", trial_until: now + 1 });
  assert.equal(mayChoose(trial, now), "no");
  assert.equal(mayChoose(trial, now + 1), "trial");
});

test("only the trial decides: late ends of others change nothing", () => {
  const trial = rowOf({ state: "half-open", trial_attempt: "T-2/1", openings: 1 });
  assert.equal(change(trial, "ok", "T-2/1"), "close");
  assert.deepEqual(changeOf(trial, { ended: "failed", attempt: "T-2/1", now }), { kind: "open again", openings: 2 });
  assert.equal(change(trial, "unclear", "T-2/1"), "release");
  for (const ended of ["ok", "failed", "unclear"] as const) {
    assert.equal(change(trial, ended, "T-1/1"), "nothing");
    assert.equal(change(rowOf({ state: "open", retry_at: now }), ended, "T-1/1"), "nothing");
  }
});

test("each opening without closing in between doubles the wait, from 30 s to 30 min, less a fifth at most", () => {
  assert.deepEqual(
    [1, 2, 3, 7, 8, 2_000].map((openings) => openMs(openings, 0)),
    [30_000, 60_000, 120_000, 1_800_000, 1_800_000, 1_800_000],
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (openings, fraction) => {
      const full = openMs(openings, 0);
      const wait = openMs(openings, fraction);
      assert.ok(wait <= full && wait >= Math.floor(full * 0.8));
    }),
  );
});

test("only what is the agent's own counts against it", () => {
  for (const reason of ["agent failed", "output invalid", "time limit", "error", "signed out"] as const)
    assert.equal(endOfAttempt({ kind: "failed", reason }), "failed", reason);
  assert.equal(endOfAttempt({ kind: "failed", reason: "check failed" }), "ok", "it worked, and its work was judged");
  assert.equal(endOfAttempt({ kind: "done" }), "ok");
  for (const reason of ["need failed", "person", "merge conflict", "quota"] as const)
    assert.equal(endOfAttempt({ kind: "failed", reason }), "unclear", reason);
  for (const kind of ["limited", "cancelled", "interrupted", "lost"] as const) assert.equal(endOfAttempt({ kind }), "unclear", kind);
});

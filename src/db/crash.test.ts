import assert from "node:assert/strict";
import { test } from "node:test";
import { makeCrashCounter, parseCrashPoint } from "./crash.ts";

test("a crash point names a transaction from 1 and a moment, before when it is not said", () => {
  assert.equal(parseCrashPoint(undefined), null);
  assert.equal(parseCrashPoint(""), null);
  assert.deepEqual(parseCrashPoint("commit:1"), { commit: 1, moment: "before" });
  assert.deepEqual(parseCrashPoint("commit:20:before"), { commit: 20, moment: "before" });
  assert.deepEqual(parseCrashPoint("commit:3:after"), { commit: 3, moment: "after" });
});

test("any other crash point is refused with examples of good ones", () => {
  for (const text of [
    "commit",
    "commit:",
    "commit:0",
    "commit:-1",
    "commit:1.5",
    "commit:01",
    "commit:1:",
    "commit:1:during",
    " commit:1",
    "x",
  ]) {
    assert.throws(
      () => parseCrashPoint(text),
      { code: "invalid_input", fix: ["TUTTI_CRASH_AT=commit:3", "TUTTI_CRASH_AT=commit:3:after"] },
      text,
    );
  }
});

test("only the named transaction at the named moment is the one", () => {
  const crash = makeCrashCounter({ commit: 2, moment: "after" });
  const seen = [1, 2, 3].map(() => {
    crash.begin();
    return [crash.isAt("before"), crash.isAt("after")];
  });
  assert.deepEqual(seen, [
    [false, false],
    [false, true],
    [false, false],
  ]);
  // Without a point nothing ever happens.
  const never = makeCrashCounter(null);
  never.begin();
  never.check("before");
  never.check("after");
});

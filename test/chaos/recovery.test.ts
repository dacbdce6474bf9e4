import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change } from "./history.ts";
import type { Fault } from "./nemesis.ts";
import { quantile, recoveryTimes } from "./recovery.ts";

const runners = new Map([
  ["one", "runner-1"],
  ["two", "runner-2"],
]);

let numbers = 0;
const change = (at: number, name: string, after: string, attempt: number, runner = "runner-1"): Change => ({
  id: (numbers += 1),
  at,
  began: at,
  thing: "task",
  name,
  before: null,
  after,
  reason: null,
  attempt,
  runner,
  epoch: 1,
  runner_epoch: 1,
  lease_until: at + 15_000,
});

const fault = (kind: Fault["kind"], node: string | null, at: number, until = at): Fault => ({ kind, node, at, until });

/** At work from 1,000 on; the second attempt begins at 5,000. */
const history = [change(1_000, "T-1", "starting", 1), change(4_000, "T-1", "queued", 1), change(5_000, "T-1", "starting", 2)];

const times = (faults: Fault[], changes = history, isShared = true): number[] =>
  recoveryTimes(changes, faults, { runners, isShared }).map(({ ms }) => ms);

test("from a kill it is the time until the next attempt of what was at work begins", () => {
  assert.deepEqual(times([fault("kill", "one", 2_000)]), [3_000]);
});

test("what another runner has, what waits, and faults that stop nothing do not count", () => {
  assert.deepEqual(
    times([fault("kill", "two", 2_000), fault("kill", "one", 500), fault("kill", "one", 4_500), fault("front reset", "one", 2_000)]),
    [],
  );
});

test("a fault of the database stops all runners, and counts from its end", () => {
  assert.deepEqual(times([fault("postgres restart", null, 2_000, 3_500)]), [1_500]);
});

test("from a freeze on: others could have taken it; on SQLite nobody could, so from its end", () => {
  assert.deepEqual(times([fault("long freeze", "one", 2_000, 4_500)]), [3_000]);
  assert.deepEqual(times([fault("long freeze", "one", 2_000, 4_500)], history, false), [500]);
});

test("a task that is done after all has gone on by that", () => {
  assert.deepEqual(
    times([fault("freeze", "one", 2_000, 2_500)], [change(1_000, "T-1", "running", 1), change(2_600, "T-1", "done", 1)]),
    [600],
  );
});

test("what is hit again before it went on counts from the last time", () => {
  assert.deepEqual(times([fault("kill", "one", 2_000), fault("kill", "one", 3_000), fault("kill", "two", 3_500)]), [2_000]);
});

test("a history whose clock was moved by an hour is read by the clock of the faults", () => {
  const hour = 3_600_000;
  const moved = [change(1_000, "T-1", "running", 1), change(hour + 4_000, "T-1", "done", 1)];
  assert.deepEqual(times([fault("kill", "one", 2_000)], moved), [2_000]);
});

test("a quantile is one of the values, and of none it is 0", () => {
  assert.deepEqual([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.99), quantile([], 0.99)], [2, 3, 0]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Contender } from "./contenders.ts";
import { countEffects, createAll, percentile, type Measured } from "./peer.ts";
import { needsOf, stepsOfRun } from "./run-shape.ts";
import { takeTurns } from "./rows.ts";
import { onMedium } from "./servers/medium.ts";

const measured = (more: Partial<Measured> = {}): Measured => ({ figures: { perSecond: 1 }, lost: 0, doubled: 0, ...more });

const contender = (name: string, run: () => Measured): Contender => ({ name, about: "", run: async () => run() });

test("contenders take turns, round after round", async () => {
  const order: string[] = [];
  const noting = (name: string) => contender(name, () => (order.push(name), measured()));
  const { values, violations } = await takeTurns([noting("tutti sqlite"), noting("a"), noting("b")], 2);
  assert.deepEqual(order, ["tutti sqlite", "a", "b", "tutti sqlite", "a", "b"]);
  assert.deepEqual([values.get("a")?.length, violations], [2, []]);
});

test("a task of ours that is lost or done twice is a violation; of a peer it is only said", async () => {
  const ours = contender("tutti sqlite", () => measured({ lost: 1 }));
  const twice = contender("tutti postgres", () => measured({ doubled: 2 }));
  const peer = contender("peer", () => measured({ doubled: 1 }));
  const { violations, notes } = await takeTurns([ours, twice, peer], 1);
  assert.equal(violations.length, 2);
  assert.equal(notes.length, 3);
});

test("a program of ours that fails is a violation, a peer that fails is said, and the others go on", async () => {
  const fails = (name: string) =>
    contender(name, () => {
      throw new Error("it fell over");
    });
  const { violations, notes, values } = await takeTurns([fails("tutti sqlite"), fails("peer"), contender("other", () => measured())], 2);
  assert.deepEqual(violations, ["tutti sqlite: it fell over"]);
  assert.deepEqual(notes, ["tutti sqlite: it fell over", "peer: it fell over"]);
  assert.equal(values.get("other")?.length, 2);
});

test("so many creations are under way at once, and each number is created once", async () => {
  let underWay = 0;
  let most = 0;
  const created: number[] = [];
  await createAll({ tasks: 100, inFlight: 7 }, async (number) => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    created.push(number);
  });
  assert.equal(most, 7);
  assert.deepEqual(
    created.toSorted((one, other) => one - other),
    Array.from({ length: 100 }, (_, number) => number),
  );
});

test("effects are counted: what had none is lost, what had two is doubled", async () => {
  const { effect, all, lost, doubled } = countEffects(3);
  effect(0);
  effect(2);
  effect(2);
  assert.deepEqual([lost(), doubled()], [1, 1]);
  effect(1);
  await all;
  assert.deepEqual([lost(), doubled()], [0, 1]);
});

test("a percentile is a value that was measured", () => {
  const sorted = Array.from({ length: 100 }, (_, at) => at + 1);
  assert.deepEqual([percentile(sorted, 0.5), percentile(sorted, 0.99), percentile([5], 0.99)], [50, 99, 5]);
});

test("a run has one diamond: two steps wait for the first, one for both", () => {
  const needs = Array.from({ length: stepsOfRun }, (_, step) => needsOf(step));
  assert.deepEqual(needs.slice(0, 5), [[], [0], [0], [1, 2], [3]]);
  assert.ok(needs.every((of, step) => of.every((need) => need < step)));
});

test("on tmpfs and disk a program runs as it is", () => {
  assert.deepEqual(onMedium("tmpfs", ["redis-server"]), ["redis-server"]);
  assert.deepEqual(onMedium("disk", ["redis-server"]), ["redis-server"]);
});

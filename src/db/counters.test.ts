import assert from "node:assert/strict";
import { test } from "node:test";
import { makeCounters } from "./counters.ts";

/** A database's side: numbers from 1, with what was asked for, and held back until it is let go. */
function makeSource(): { reserve: (counter: string, size: number) => Promise<number>; sizes: number[]; fail(error: Error | null): void } {
  let next = 1;
  let failure: Error | null = null;
  const sizes: number[] = [];
  return {
    sizes,
    fail: (error) => void (failure = error),
    async reserve(_counter, size) {
      sizes.push(size);
      if (failure) throw failure;
      next += size;
      return next - size;
    },
  };
}

const takeMany = (counters: ReturnType<typeof makeCounters>, count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, () => counters.take("task")));

test("numbers come in order without a gap, however many ask at once", async () => {
  const source = makeSource();
  const counters = makeCounters({ smallest: 2, largest: 64 }, source.reserve);
  const numbers = [...(await takeMany(counters, 1)), ...(await takeMany(counters, 300)), ...(await takeMany(counters, 7))];
  assert.deepEqual(
    numbers,
    Array.from({ length: 308 }, (_, index) => index + 1),
  );
});

test("blocks double while callers wait, up to the largest, and a fixed size stays", async () => {
  const growing = makeSource();
  await takeMany(makeCounters({ smallest: 2, largest: 16 }, growing.reserve), 60);
  assert.deepEqual(growing.sizes.slice(0, 5), [2, 4, 8, 16, 16]);
  const fixed = makeSource();
  await takeMany(makeCounters({ smallest: 20, largest: 20 }, fixed.reserve), 60);
  assert.deepEqual(new Set(fixed.sizes), new Set([20]));
});

test("what was reserved and never taken can be given back", async () => {
  const counters = makeCounters({ smallest: 10, largest: 10 }, makeSource().reserve);
  assert.deepEqual(await counters.unused(), []);
  await takeMany(counters, 3);
  assert.deepEqual(await counters.unused(), [{ counter: "task", next: 4, end: 11 }]);
});

test("a reservation that fails is told to whoever waits, and the next caller tries again", async () => {
  const source = makeSource();
  const counters = makeCounters({ smallest: 2, largest: 2 }, source.reserve);
  source.fail(new Error("the disk is full"));
  const answers = await Promise.allSettled([counters.take("task"), counters.take("task")]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  source.fail(null);
  assert.equal(await counters.take("task"), 1);
});

test("a failure in the background costs nobody a number that is there", async () => {
  const source = makeSource();
  const counters = makeCounters({ smallest: 2, largest: 2 }, source.reserve);
  assert.equal(await counters.take("task"), 1);
  source.fail(new Error("the disk is full"));
  assert.equal(await counters.take("task"), 2);
  await assert.rejects(counters.take("task"), /disk is full/);
  source.fail(null);
  assert.equal(await counters.take("task"), 3);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, markdownOf, median, tableOf, worseBy, type Line } from "./figures.ts";

test("the median of an even number of rounds lies between the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("of a throughput the highest peer is the best, of a latency the lowest, and a ratio above 1 is ours ahead", () => {
  const throughput = judge({ better: "higher", target: 100 }, [90, 200, 210], { slow: [10], fast: [100, 50, 120] });
  assert.deepEqual(throughput, { ours: 200, peers: { slow: 10, fast: 100 }, best_peer: "fast", ratio: 2, target: 100, met: true });
  const latency = judge({ better: "lower", target: 5 }, [8], { slow: [10], fast: [4] });
  assert.deepEqual([latency.best_peer, latency.ratio, latency.met], ["fast", 0.5, false]);
});

test("a target that asks to be ahead of every peer is not met by its number alone", () => {
  const aim = { better: "higher", target: 100, ahead: true } as const;
  assert.equal(judge(aim, [150], { peer: [200] }).met, false);
  assert.equal(judge(aim, [250], { peer: [200] }).met, true);
  assert.equal(judge(aim, [150], {}).met, true);
});

test("without a figure of ours nothing is met and nothing is missed", () => {
  assert.equal(judge({ better: "higher", target: 1 }, [], { peer: [1] }).met, null);
  assert.equal(judge({ better: "higher", target: null }, [1], {}).met, null);
});

test("worse means less of a throughput and more of a latency", () => {
  assert.equal(worseBy("higher", 100, 90), 10);
  assert.equal(worseBy("lower", 100, 110), 10);
  assert.equal(worseBy("lower", 100, 50), -50);
});

test("the table and its Markdown name every peer and the note", () => {
  const line: Line = {
    row: "queue",
    store: "sqlite",
    medium: "tmpfs",
    unit: "tasks/s",
    rounds: 3,
    note: "as it was",
    ...judge({ better: "higher", target: 20_000 }, [21_234.5], { bullmq: [10_000], dbos: [1_000] }),
  };
  const table = tableOf([line]);
  for (const word of ["21,230", "20,000", "yes", "2.12x", "bullmq", "dbos 1,000", "as it was"]) assert.ok(table.includes(word), word);
  const markdown = markdownOf([line]).split("\n");
  assert.equal(new Set(markdown.map((text) => text.match(/\|/g)?.length)).size, 1);
});

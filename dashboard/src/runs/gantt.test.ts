import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeScale, partsOf, quietOf, spanOf, ticksOf, type Part } from "./gantt.ts";

const step = (more: object) => ({ queuedAt: 0, startedAt: 10, finishedAt: 100, waitedForPersonMs: 0, ...more });

test("a step's life is waiting, running, and standing still for a person", () => {
  assert.deepEqual(partsOf(step({ waitedForPersonMs: 40 }), 500), [
    { kind: "queued", from: 0, to: 10 },
    { kind: "running", from: 10, to: 60 },
    { kind: "person", from: 60, to: 100 },
  ]);
});

test("what still runs reaches until now, what has not started only waits, what never could has no part", () => {
  assert.deepEqual(partsOf(step({ finishedAt: null }), 50).at(-1), { kind: "running", from: 10, to: 50 });
  assert.deepEqual(partsOf(step({ startedAt: null, finishedAt: null }), 50), [{ kind: "queued", from: 0, to: 50 }]);
  assert.deepEqual(partsOf(step({ queuedAt: null, startedAt: null, finishedAt: null }), 50), []);
});

const times = fc.integer({ min: 0, max: 10_000_000 });
const timed = fc.record({
  queuedAt: fc.option(times),
  startedAt: fc.option(times),
  finishedAt: fc.option(times),
  waitedForPersonMs: fc.integer({ min: -5, max: 10_000_000 }),
});

test("whatever the clocks say, parts follow each other without holes and never run backwards", () => {
  fc.assert(
    fc.property(timed, times, (one, now) => {
      const parts = partsOf(one, now);
      for (const [index, { from, to }] of parts.entries()) {
        assert.ok(to > from);
        assert.ok(index === 0 || parts[index - 1]?.to === from);
      }
    }),
  );
});

test("a scale never falls, begins at 0 and ends at 1, with short stretches or without", () => {
  fc.assert(
    fc.property(fc.array(timed, { minLength: 1, maxLength: 30 }), times, fc.boolean(), (all, now, compress) => {
      const parts: Part[] = all.flatMap((one) => partsOf(one, now));
      const span = spanOf(parts, now);
      const scale = makeScale(span, compress ? quietOf(parts, span) : []);
      const moments = Array.from({ length: 50 }, (_, index) => span.from + ((span.to - span.from) * index) / 49);
      const shares = moments.map((moment) => scale.at(moment));
      assert.ok(Math.abs((shares[0] ?? 1) - 0) < 1e-9);
      assert.ok(Math.abs((shares.at(-1) ?? 0) - 1) < 1e-9);
      for (const [index, share] of shares.entries()) assert.ok(index === 0 || share >= (shares[index - 1] ?? 2) - 1e-9);
    }),
  );
});

test("an hour in which nothing ran is drawn short, and the work beside it gets the room", () => {
  const parts: Part[] = [
    { kind: "running", from: 0, to: 60_000 },
    { kind: "person", from: 60_000, to: 3_660_000 },
    { kind: "running", from: 3_660_000, to: 3_720_000 },
  ];
  const span = spanOf(parts, 0);
  const quiet = quietOf(parts, span);
  assert.deepEqual(quiet, [{ from: 60_000, to: 3_660_000 }]);
  assert.ok(makeScale(span, []).at(60_000) < 0.02);
  assert.ok(makeScale(span, quiet).at(60_000) > 0.4);
});

test("the axis has round moments, not too many", () => {
  const scale = makeScale({ from: 500, to: 95_000 }, []);
  const ticks = ticksOf(scale, 8);
  assert.ok(ticks.length > 2 && ticks.length <= 9);
  assert.ok(ticks.every(({ time }) => time % 15_000 === 0));
});

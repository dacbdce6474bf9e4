import assert from "node:assert/strict";
import { test } from "node:test";
import { endingAt, oneLine } from "./activity.ts";
import { hotList, stuckAfterMs, type Running } from "./hot.ts";

const now = 100_000_000;
const work = (task: string, more: Partial<Running> = {}): Running => ({
  task,
  session: `S-${task}`,
  agent: "ann",
  project: "shop",
  title: task,
  startedAt: now - 1_000,
  activeAt: now,
  tokens: 0,
  ...more,
});
const hour = 3_600_000;

test("what is silent is stuck, what uses most is burning, what runs longest is long; each stands once", () => {
  const hot = hotList(
    [
      work("T-1", { activeAt: now - stuckAfterMs, startedAt: now - hour, tokens: 9_000 }),
      work("T-2", { activeAt: now - stuckAfterMs + 1 }),
      work("T-3", { tokens: 500, startedAt: now - 2 * hour }),
      work("T-4", { startedAt: now - 3 * hour }),
      work("T-5", { startedAt: now - hour / 4 }),
    ],
    now,
  );
  assert.deepEqual(
    hot.map(({ kind, task, since, value }) => [kind, task, since, value]),
    [
      ["stuck", "T-1", now - stuckAfterMs, stuckAfterMs],
      ["burning", "T-3", now - 2 * hour, 500],
      ["longest", "T-4", now - 3 * hour, 3 * hour],
    ],
  );
});

test("at most five of a kind, the worst first", () => {
  const many = Array.from({ length: 50 }, (_, index) => work(`T-${index}`, { tokens: 1 + index }));
  assert.deepEqual(
    hotList(many, now).map(({ value }) => value),
    [50, 49, 48, 47, 46],
  );
});

test("the time of an entry of which only the end is known, and its text as one plain line", () => {
  assert.equal(endingAt('… the end of it","turn":1,"at":1234}\n'), 1234);
  assert.equal(endingAt('"at":1234} and more'), null);
  assert.equal(oneLine("a\n\u001b[31m b\u2028c \r\n"), "a [31m b c");
  assert.equal(oneLine("x".repeat(1_000)).length, 200);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kind } from "./chaos/nemesis.ts";
import { runChaos } from "./chaos/run.ts";

/**
 * A short part of `npm run chaos`, with a seed that stays: real servers, each kind of fault that is over quickly. What takes
 * longer (a server stopped past its lease, a restarted PostgreSQL, moved clocks) is in test/two-servers.test.ts and the long run.
 */
const without: readonly Kind[] = ["long freeze", "runner long freeze", "clock", "runner clock", "postgres restart"];

for (const [store, name, size] of [
  ["sqlite", "SQLite", { runner: "own", tasks: 30, faults: 20 }],
  ["postgres", "PostgreSQL", { runner: "separate", tasks: 30, faults: 24 }],
] as const) {
  test(`${name}: under faults nothing is lost, done twice, stale, out of order or left over`, async (t) => {
    const report = await runChaos({ store, ...size, seed: 7, without, calm: 0.5 });
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.violations, []);
    const { lost, doubled, stale, order, orphans, gaps, exits, stuck } = report;
    assert.deepEqual(
      { lost, doubled, stale, order, orphans, gaps, exits, stuck },
      { lost: 0, doubled: 0, stale: 0, order: 0, orphans: 0, gaps: 0, exits: 0, stuck: 0 },
    );
    assert.ok(report.tasks >= size.tasks && report.faults >= size.faults, "there was enough of both");
    assert.ok(report.faults > 0 && Object.keys(report.by_kind).length > 3, "the faults bit");
  });
}

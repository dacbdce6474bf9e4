import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { runnerLeaseMs } from "../src/runners/store.ts";
import { check } from "./chaos/checker.ts";
import { findBroken } from "./chaos/evidence.ts";
import { readPostgres } from "./chaos/history.ts";
import { makeRandom } from "./chaos/random.ts";
import { makeWorkload, readEffects, writeAgent } from "./chaos/workload.ts";
import { agentName, closeWorld, emptyWorld, finish, openWorld, prepare, recordHistory } from "./chaos/world.ts";
import { startPostgres } from "./support/postgres.ts";
import { until } from "./support/processes.ts";

/** Two servers with homes of their own on one PostgreSQL. TUTTI_TEST_PROJECTS=50 for as many projects as a small department has. */
const projects = Number(process.env["TUTTI_TEST_PROJECTS"] ?? 10);

test("two servers share a database: one is killed, the other is stopped past its lease and continued; all is done, each effect once", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tutti-two-"));
  const postgres = await startPostgres();
  const world = emptyWorld(folder);
  try {
    const databaseUrl = await postgres.freshDatabase();
    await openWorld(world, { databaseUrl, canMoveClock: false, runner: "own" });
    const [one, two] = world.nodes;
    assert.ok(one && two);
    const { program, effects } = writeAgent(folder);
    const ids = await prepare(
      world,
      program,
      Array.from({ length: projects }, (_, index) => `plain ${index}`),
    );
    await recordHistory(world, databaseUrl);
    const done = (): number => new Set(readEffects(effects).map(({ key }) => key)).size;

    const workload = makeWorkload({
      random: makeRandom(20),
      tasks: projects * 8,
      urls: world.nodes.map(({ url }) => url),
      token: one.token(),
      projects: ids,
      agent: agentName,
      clients: 6,
    });
    // The second half is asked for after the faults.
    let share = 0.5;
    const submitted = workload.submit(() => share);
    await until("a part of the work is done", () => done() > workload.tasks / 8);
    assert.ok(one.kill(500), "the first server was killed");
    await until("it is up again", () => one.isUp(), 30_000);
    await until("more of the work is done", () => done() > workload.tasks / 4, 60_000);
    const frozen = two.freeze(runnerLeaseMs + 1_000);
    share = 1;
    assert.ok(await frozen, "the second server was stopped and continued");
    await submitted;
    const final = await finish(world, { stuck: () => 0 }, 60_000);
    for (const node of world.nodes) await node.stop();
    await pause(2_100); // What the killed server had started is looked for 2 s later.

    const history = await readPostgres(databaseUrl);
    const verdict = check({
      history,
      accepted: workload.accepted,
      acceptedRuns: workload.acceptedRuns,
      ...final,
      effects: readEffects(effects),
      broken: await findBroken(one.home, databaseUrl),
    });
    assert.deepEqual(verdict, { lost: [], doubled: [], stale: [], order: [], gaps: [] });
    assert.deepEqual([...one.orphans, ...two.orphans, ...one.exits, ...two.exits], []);
    assert.equal(final.tasks.length, workload.tasks);
    const lost = history.filter(({ thing, after, reason }) => thing === "attempt" && after === "failed" && reason === "interrupted");
    t.diagnostic(`${final.tasks.length} tasks, ${lost.length} attempts died with their server`);
    assert.ok(lost.length > 0, "the faults bit");
  } finally {
    await closeWorld(world);
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

import assert from "node:assert/strict";
import { mock } from "node:test";
import { setImmediate as breathe } from "node:timers/promises";
import { onBothStores, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { keepRunnerLease, runnerLeaseMs, type RunnerLease } from "./lease.ts";

const renewEveryMs = 3_000;

/** A lease whose renewals come when the test says so. */
async function withTimer(store: TestStore, use: (lease: RunnerLease, renewals: () => void) => Promise<void>, name?: string): Promise<void> {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    const lease = await keepRunnerLease(store.db, name ?? store.fresh("runner"), "this-server");
    await use(lease, () => mock.timers.tick(renewEveryMs));
    await lease.stop();
  } finally {
    mock.timers.reset();
  }
}

const leftMs = async (store: TestStore, runner: string): Promise<number> =>
  Number((await store.rows(sql`select lease_until - tutti_now() as ms from runners where id = ${runner}`))[0]?.["ms"]);

async function poll(what: string, ask: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + 5_000; !(await ask()); await breathe()) assert.ok(Date.now() < limit, `waited for ${what}`);
}

onBothStores((rule) => {
  rule("taking the runner's lease again raises its epoch", async (store) => {
    const name = store.fresh("runner");
    const first = await keepRunnerLease(store.db, name, "one");
    const second = await keepRunnerLease(store.db, name, "two");
    assert.equal(second.epoch, first.epoch + 1);
    await first.stop();
    assert.ok((await leftMs(store, name)) > 0, "the old life's stop must not end the new one's lease");
    await second.stop();
    assert.ok((await leftMs(store, name)) <= 0, "a lease that was given back is over at once");
  });

  rule("the lease is renewed while it holds", async (store) => {
    await withTimer(store, async (lease, renewals) => {
      await store.moveClock(runnerLeaseMs - 5_000);
      assert.ok((await leftMs(store, lease.runner)) <= 5_000);
      renewals();
      await poll("the renewal", async () => (await leftMs(store, lease.runner)) > runnerLeaseMs - 5_000);
      assert.equal(lease.lost.aborted, false);
    });
  });

  rule("a runner whose lease somebody else took is told that it is lost", async (store) => {
    await withTimer(store, async (lease, renewals) => {
      const other = await keepRunnerLease(store.db, lease.runner, "another");
      renewals();
      await poll("the end", () => lease.lost.aborted);
      assert.equal(other.lost.aborted, false);
      await other.stop();
    });
  });

  rule("a lease that lapsed cannot be renewed: its attempts may be somebody else's already", async (store) => {
    await withTimer(store, async (lease, renewals) => {
      await store.moveClock(runnerLeaseMs + 1_000);
      renewals();
      await poll("the end", () => lease.lost.aborted);
      assert.ok((await leftMs(store, lease.runner)) < 0);
    });
  });

  rule("a runner that cannot reach its store ends by itself before its lease is over", async (store) => {
    const gone = await store.otherServer();
    const db = { ...gone, commit: (plan: Parameters<typeof gone.commit>[0]) => (isGone ? closed.commit(plan) : gone.commit(plan)) };
    const closed = await store.closedServer();
    let isGone = false;
    const real = performance.now.bind(performance);
    let movedMs = 0;
    const clock = mock.method(performance, "now", () => real() + movedMs);
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const lease = await keepRunnerLease(db, store.fresh("runner"), "this-server");
      isGone = true;
      for (const ms of [3_000, 6_000, 8_000]) {
        movedMs = ms;
        mock.timers.tick(renewEveryMs);
        await breathe();
        assert.equal(lease.lost.aborted, false, `after ${ms} ms`);
      }
      movedMs = 12_000;
      mock.timers.tick(renewEveryMs);
      assert.equal(lease.lost.aborted, true);
      assert.ok(movedMs < runnerLeaseMs);
      isGone = false;
      await lease.stop();
    } finally {
      mock.timers.reset();
      clock.mock.restore();
    }
  });
});

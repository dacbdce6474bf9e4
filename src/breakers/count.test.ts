import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { mergePlans, sql, statement, type Db, type Plan } from "../db/plan.ts";
import { openPostgres } from "../db/postgres.ts";
import { openSqlite } from "../db/sqlite.ts";
import { transact } from "../db/transact.ts";
import { failuresToOpen, mayChoose, trialMs, windowMs, type BreakerRow, type End } from "./breaker.ts";
import { planBreaker, planTrial } from "./count.ts";
import { findBreaker, openBreakers } from "./store.ts";

const start = 1_700_000_000_000;

/** A real store and another server's connection to it; of SQLite the same one, because one process owns the file. */
interface Store {
  db: Db;
  other: Db;
}

let subjects = 0;
const freshSubject = (): string => `agent:ada-${(subjects += 1)}`;

async function openBoth(kind: Db["kind"], folder: string, postgres: TestPostgres | null): Promise<Store> {
  if (kind === "sqlite") {
    const db = await openSqlite({ file: join(folder, "tutti.db") });
    return { db, other: db };
  }
  const url = (await postgres?.freshDatabase()) ?? "";
  return { db: await openPostgres({ url, poolSize: 4 }), other: await openPostgres({ url, poolSize: 4 }) };
}

function onBothStores(define: (rule: (rule: string, run: (store: Store) => Promise<void>) => void) => void): void {
  for (const kind of ["sqlite", "postgres"] as const) {
    const opened = Promise.withResolvers<Store>();
    const closing: (() => Promise<unknown>)[] = [];
    const open = async (): Promise<Store> => {
      const folder = await mkdtemp(join(tmpdir(), "tutti-breakers-"));
      closing.push(() => rm(folder, { recursive: true, force: true }));
      const postgres = kind === "postgres" ? await startPostgres() : null;
      if (postgres) closing.push(() => postgres.stop());
      const store = await openBoth(kind, folder, postgres);
      closing.push(
        () => store.db.close(),
        () => store.other.close(),
      );
      return store;
    };
    let begun = false;
    after(async () => {
      for (const close of closing.toReversed()) await close();
    });
    define((rule, run) => {
      test(`${kind}: ${rule}`, async () => {
        if (!begun) open().then(opened.resolve, opened.reject);
        begun = true;
        await run(await opened.promise);
      });
    });
  }
}

async function write(db: Db, plan: Plan): Promise<void> {
  const committed = await db.commit(plan);
  assert.equal(committed.kind, "committed");
}

/** As an attempt's settling does it: read, plan, and decide again when overtaken. */
async function end(db: Db, subject: string, ended: End, { attempt = "T-1/1", now = start } = {}): Promise<string[]> {
  const { events } = await transact(db, async () => {
    const plan = planBreaker(await findBreaker(db.read, subject), { subject, ended, attempt, reason: `${attempt} failed`, now });
    return { plan: plan.statements.length > 0 ? plan : null, result: null };
  });
  return events.map(({ type }) => type);
}

async function rowOf({ db }: Store, subject: string): Promise<BreakerRow> {
  const row = await findBreaker(db.read, subject);
  assert.ok(row, `${subject} has no breaker`);
  return row;
}

async function opened(store: Store): Promise<{ subject: string; retryAt: number }> {
  const subject = freshSubject();
  for (let failure = 1; failure <= failuresToOpen; failure += 1) await end(store.db, subject, "failed");
  return { subject, retryAt: (await rowOf(store, subject)).retry_at ?? 0 };
}

test("ends that go well plan nothing at all", () => {
  assert.deepEqual(planBreaker(null, { subject: "agent:ada", ended: "ok", attempt: "T-1/1", now: start }), { statements: [], events: [] });
});

onBothStores((rule) => {
  rule("five failures in a row open the breaker, with one event, for 24 to 30 s; it says what failed", async (store) => {
    const subject = freshSubject();
    const events: string[] = [];
    for (let failure = 1; failure <= 6; failure += 1)
      events.push(...(await end(store.db, subject, "failed", { attempt: `T-${failure}/1` })));
    const row = await rowOf(store, subject);
    assert.deepEqual(events, ["breaker.opened"]);
    assert.equal(row.state, "open");
    assert.equal(row.failures, 5, "the sixth had begun before it opened");
    assert.equal(row.reason, "T-5/1 failed");
    assert.ok(row.retry_at && row.retry_at >= start + 24_000 && row.retry_at <= start + 30_000, String(row.retry_at));
    assert.ok((await openBreakers(store.db.read)).has(subject));
  });

  rule("a good end in between begins the row anew", async (store) => {
    const subject = freshSubject();
    for (let round = 0; round < 3; round += 1) {
      for (let failure = 1; failure < failuresToOpen; failure += 1) await end(store.db, subject, "failed");
      await end(store.db, subject, "ok");
      await end(store.db, subject, "ok");
    }
    // 12 failures of 18 ends: too few to judge by the share.
    assert.equal((await rowOf(store, subject)).state, "closed");
    assert.equal((await rowOf(store, subject)).failures, 0);
  });

  rule("one that fails every second time is opened by its share, after 20 ends", async (store) => {
    const subject = freshSubject();
    const events: string[][] = [];
    for (let round = 0; round < 10; round += 1) {
      await end(store.db, subject, "ok");
      events.push(await end(store.db, subject, "failed"));
      await end(store.db, subject, "ok");
      events.push(await end(store.db, subject, "failed"));
    }
    assert.equal(
      events.findIndex((some) => some.length > 0),
      10,
      "10 good ends behind the first failure, and the 11th failure",
    );
    assert.equal((await rowOf(store, subject)).state, "open");
  });

  rule("what failed long ago is forgotten by the next good end, and counts no share", async (store) => {
    const subject = freshSubject();
    await end(store.db, subject, "failed");
    await end(store.db, subject, "failed", { now: start + windowMs + 1 });
    assert.equal((await rowOf(store, subject)).window_failed, 1, "a new window");
    assert.equal((await rowOf(store, subject)).failures, 2, "still in a row");
    await end(store.db, subject, "ok", { now: start + 3 * windowMs });
    assert.equal(await findBreaker(store.db.read, subject), null);
  });

  rule("two servers that count at once lose no failure, and open it once", async (store) => {
    const { db, other } = store;
    const subject = freshSubject();
    const counted = await Promise.all([db, other, db].map((server, at) => end(server, subject, "failed", { attempt: `T-${at}/1` })));
    assert.deepEqual(counted.flat(), []);
    assert.equal((await rowOf(store, subject)).failures, 3);
    const more = await Promise.all([db, other, db, other].map((server) => end(server, subject, "failed")));
    assert.deepEqual(more.flat(), ["breaker.opened"], "of four, the second opens it and the others come too late");
    assert.equal((await rowOf(store, subject)).failures, 5);
  });

  rule("a trial begins once, of two servers that want it, and not before its time", async (store) => {
    const { subject, retryAt } = await opened(store);
    const row = await rowOf(store, subject);
    const early = await store.db.commit(planTrial(row, { attempt: "T-7/1", now: retryAt - 1 }));
    assert.equal(early.kind, "conflict");
    const { other } = store;
    const both = await Promise.all([store.db, other].map((db, at) => db.commit(planTrial(row, { attempt: `T-${at}/1`, now: retryAt }))));
    assert.deepEqual(both.map(({ kind }) => kind).toSorted(), ["committed", "conflict"]);
    const trial = await rowOf(store, subject);
    assert.equal(mayChoose(trial, retryAt + 1), "no");
    assert.equal((await store.db.commit(planTrial(trial, { attempt: "T-9/1", now: retryAt + 1 }))).kind, "conflict");
  });

  rule("a trial that goes well closes it: no row is left, and it says so", async (store) => {
    const { subject, retryAt } = await opened(store);
    await write(store.db, planTrial(await rowOf(store, subject), { attempt: "T-7/1", now: retryAt }));
    assert.deepEqual(await end(store.db, subject, "ok", { attempt: "T-6/1", now: retryAt + 1 }), [], "a late one is not the trial");
    assert.deepEqual(await end(store.db, subject, "ok", { attempt: "T-7/1", now: retryAt + 2 }), ["breaker.closed"]);
    assert.equal(await findBreaker(store.db.read, subject), null);
  });

  rule("a trial that fails opens it for twice as long; one that says nothing lets the next begin at once", async (store) => {
    const { subject, retryAt } = await opened(store);
    await write(store.db, planTrial(await rowOf(store, subject), { attempt: "T-7/1", now: retryAt }));
    assert.deepEqual(await end(store.db, subject, "failed", { attempt: "T-7/1", now: retryAt }), ["breaker.opened"]);
    const again = await rowOf(store, subject);
    assert.equal(again.openings, 2);
    assert.ok(again.retry_at && again.retry_at >= retryAt + 48_000 && again.retry_at <= retryAt + 60_000);
    await write(store.db, planTrial(again, { attempt: "T-8/1", now: again.retry_at }));
    assert.deepEqual(await end(store.db, subject, "unclear", { attempt: "T-8/1", now: again.retry_at + 5 }), []);
    const released = await rowOf(store, subject);
    assert.deepEqual([released.state, released.openings, released.trial_attempt, released.reason], ["open", 2, null, "T-7/1 failed"]);
    assert.equal(mayChoose(released, again.retry_at + 5), "trial");
  });

  rule("a trial that takes too long gives its place up, and its late result changes nothing", async (store) => {
    const { subject, retryAt } = await opened(store);
    const row = await rowOf(store, subject);
    await write(store.db, planTrial(row, { attempt: "T-7/1", now: retryAt }));
    const late = retryAt + trialMs;
    assert.equal((await store.db.commit(planTrial(row, { attempt: "T-8/1", now: late - 1 }))).kind, "conflict");
    await write(store.db, planTrial(row, { attempt: "T-8/1", now: late }));
    assert.deepEqual(await end(store.db, subject, "ok", { attempt: "T-7/1", now: late + 1 }), []);
    assert.equal((await rowOf(store, subject)).trial_attempt, "T-8/1");
  });

  rule("the breaker and what it counts are one transaction: a plan in conflict counts nothing", async (store) => {
    const subject = freshSubject();
    const plan = planBreaker(null, { subject, ended: "failed", attempt: "T-1/1", now: start });
    const stale = statement(sql`update tasks set attempt = 2 where id = 'T-none'`);
    const committed = await store.db.commit(mergePlans(plan, { statements: [stale], events: [] }));
    assert.equal(committed.kind, "conflict");
    assert.equal(await findBreaker(store.db.read, subject), null);
  });
});

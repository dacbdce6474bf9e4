import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { firstBrokenEvent } from "./chain.ts";
import { type Committed, type Db, list, onlyPostgres, type Plan, sql, type SqlValue, statement, type StoredEvent } from "./plan.ts";
import { migrations } from "./migrate.ts";

/** What the suite needs of a database that it cannot ask of a Db. A store is named; a new name is a new, empty store. */
export interface StoreHarness {
  open(store: string, options?: { maxQueue?: number }): Promise<Db>;
  /** Runs SQL on a connection that no Db owns; rows as this database gives them. */
  outside(store: string, text: string): Promise<Record<string, unknown>[]>;
  /** Moves `tutti_now()` of a store by ms. */
  moveClock(store: string, ms: number): Promise<void>;
  readonly bytesType: "blob" | "bytea";
  stop(): Promise<void>;
}

interface Case {
  rule: string;
  run: (context: Context) => Promise<void>;
}

interface Context {
  db: Db;
  harness: StoreHarness;
  /** The name of the store that `db` is open on. */
  store: string;
}

/** Where the cases keep their rows, beside the product's own tables. */
const tables = (bytesType: string): string[] => [
  "create table notes (id text primary key, owner text, epoch bigint not null default 0)",
  `create table samples (id text primary key, words text, whole bigint, part double precision, raw ${bytesType})`,
];

const insertNote = (id: string, owner: string | null = null): Plan["statements"][number] =>
  statement(sql`insert into notes (id, owner) values (${id}, ${owner})`);

const claimNote = (id: string, owner: string): Plan["statements"][number] =>
  statement(sql`update notes set owner = ${owner} where id = ${id} and owner is null`);

const event = (stream: string, data: Record<string, unknown> = {}): Plan["events"][number] => ({ stream, type: "note.made", data });

const plan = (statements: Plan["statements"], events: Plan["events"] = []): Plan => ({ statements, events });

const conflictAt = (index: number): Committed => ({ kind: "conflict", statement: index });

async function noteOwners(db: Db, prefix: string): Promise<Record<string, string | null>> {
  const rows = await db.read.all<{ id: string; owner: string | null }>(
    sql`select id, owner from notes where id like ${`${prefix}%`} order by id`,
  );
  return Object.fromEntries(rows.map(({ id, owner }) => [id, owner]));
}

const eventsOf = (db: Db, stream: string): Promise<{ seq: number; data: string }[]> =>
  db.read.all(sql`select seq, data from events where stream = ${stream} order by seq`);

/** `count` plans at once, each made by its number. */
const together = (db: Db, count: number, make: (index: number) => Plan): Promise<PromiseSettledResult<Committed>[]> =>
  Promise.allSettled(Array.from({ length: count }, (_, index) => db.commit(make(index))));

const kinds = (results: PromiseSettledResult<Committed>[]): string[] =>
  results.map((result) => (result.status === "fulfilled" ? result.value.kind : "rejected"));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

const cases: Case[] = [
  {
    rule: "all statements and events of a plan are written together",
    async run({ db }) {
      const answer = await db.commit(plan([insertNote("all-1"), insertNote("all-2", "ann")], [event("all", { n: 1 })]));
      assert.equal(answer.kind, "committed");
      assert.deepEqual(await noteOwners(db, "all-"), { "all-1": null, "all-2": "ann" });
      assert.deepEqual(await eventsOf(db, "all"), [{ seq: 1, data: '{"n":1}' }]);
    },
  },
  {
    rule: "an empty plan is committed and costs nothing",
    async run({ db }) {
      assert.deepEqual(await db.commit(plan([])), { kind: "committed", events: [] });
    },
  },
  {
    rule: "a plan whose expectation fails writes nothing and names the statement",
    async run({ db }) {
      assert.deepEqual(await db.commit(plan([insertNote("half-1"), claimNote("nobody", "ann"), insertNote("half-2")])), conflictAt(1));
      assert.deepEqual(await noteOwners(db, "half-"), {});
    },
  },
  {
    rule: "expectations count touched rows, and returned rows where a statement returns any",
    async run({ db }) {
      await db.commit(plan([insertNote("count-1"), insertNote("count-2"), insertNote("count-3")]));
      const three = sql`update notes set epoch = 1 where id like 'count-%'`;
      assert.deepEqual(await db.commit(plan([statement(three, 2)])), conflictAt(0));
      assert.equal((await db.commit(plan([statement(three, 3)]))).kind, "committed");
      assert.equal((await db.commit(plan([statement(sql`select id from notes where id like 'count-%'`, 3)]))).kind, "committed");
      assert.deepEqual(await db.commit(plan([statement(sql`select id from notes where id = 'count-1'`, 0)])), conflictAt(0));
      const returning = sql`update notes set epoch = 2 where id in (${list(["count-1", "count-2"])}) returning id`;
      assert.equal((await db.commit(plan([statement(returning, 2)]))).kind, "committed");
      assert.equal((await db.commit(plan([statement(sql`update notes set epoch = 3 where id = 'nobody'`, "any")]))).kind, "committed");
      const skipped = sql`insert into notes (id) values ('count-1') on conflict (id) do nothing`;
      assert.equal((await db.commit(plan([statement(skipped, 0)]))).kind, "committed");
      assert.deepEqual(await db.commit(plan([statement(skipped, 1)])), conflictAt(0));
    },
  },
  {
    rule: "a unique key that is taken is a conflict, for primary keys and others",
    async run({ db }) {
      await db.commit(plan([insertNote("taken-1")]));
      assert.deepEqual(await db.commit(plan([insertNote("taken-2"), insertNote("taken-1")])), conflictAt(1));
      const project = (id: string): Plan["statements"][number] =>
        statement(
          sql`insert into projects (id, name, source, base_branch, settings, created_at) values (${id}, 'n', '/same', 'main', '{}', 1)`,
        );
      assert.equal((await db.commit(plan([project("p1")]))).kind, "committed");
      assert.deepEqual(await db.commit(plan([project("p2")])), conflictAt(0));
      assert.deepEqual(await noteOwners(db, "taken-"), { "taken-1": null });
    },
  },
  {
    rule: "a plan with a statement that cannot run is rejected with the database's error and writes nothing",
    async run({ db }) {
      const bad = db.commit(plan([insertNote("bad-1"), statement(sql`insert into no_such_table (id) values (1)`)], [event("bad")]));
      await assert.rejects(bad, /no_such_table/);
      const notNull = db.commit(plan([insertNote("bad-2"), statement(sql`insert into notes (id, epoch) values ('bad-3', null)`)]));
      await assert.rejects(notNull, /epoch/);
      assert.deepEqual(await noteOwners(db, "bad-"), {});
      assert.deepEqual(await eventsOf(db, "bad"), []);
    },
  },
  {
    rule: "bad plans do not take along the good ones that wait beside them",
    async run({ db }) {
      await db.commit(plan([insertNote("beside-taken")]));
      const results = await together(db, 60, (index) => {
        if (index % 10 === 3) return plan([insertNote(`beside-no-${index}`), statement(sql`insert into no_such_table (id) values (1)`)]);
        if (index % 10 === 5) return plan([insertNote(`beside-no-${index}`), insertNote("beside-taken")], [event("beside")]);
        if (index % 10 === 7) return plan([insertNote(`beside-no-${index}`), claimNote("nobody", "ann")], [event("beside")]);
        return plan([insertNote(`beside-yes-${index}`)], [event("beside", { index })]);
      });
      const wanted = upTo(60).map((n) => ["rejected", "conflict", "conflict"][[4, 6, 8].indexOf(n % 10)] ?? "committed");
      assert.deepEqual(kinds(results), wanted);
      assert.equal(Object.keys(await noteOwners(db, "beside-yes-")).length, 42);
      assert.deepEqual(await noteOwners(db, "beside-no-"), {});
      const seqs = (await eventsOf(db, "beside")).map(({ seq }) => seq);
      assert.deepEqual(seqs, upTo(42));
      assert.equal(await firstBrokenEvent(db.read, "beside"), null);
    },
  },
  {
    rule: "events are dense and in order in each stream under 50 commits at once, and each caller hears its own numbers",
    async run({ db }) {
      const answers = await together(db, 200, (index) =>
        plan([insertNote(`dense-${index}`)], [event(`dense-${index % 7}`, { index }), event(`dense-${(index + 3) % 7}`, { index })]),
      );
      const told = answers.flatMap((answer) =>
        answer.status === "fulfilled" && answer.value.kind === "committed" ? answer.value.events : [],
      );
      assert.equal(told.length, 400);
      for (const stream of upTo(7).map((n) => `dense-${n - 1}`)) {
        const stored = await eventsOf(db, stream);
        assert.deepEqual(
          stored.map(({ seq }) => seq),
          upTo(stored.length),
        );
        const mine = told.filter((each) => each.stream === stream).map(({ seq, data }) => ({ seq, data: JSON.stringify(data) }));
        assert.deepEqual(
          mine.toSorted((a, b) => a.seq - b.seq),
          stored,
        );
      }
    },
  },
  {
    rule: "several events of one plan in one stream keep their order",
    async run({ db }) {
      const answer = await db.commit(plan([], [event("row", { n: 1 }), event("row", { n: 2 }), event("other"), event("row", { n: 3 })]));
      assert.deepEqual(answer.kind === "committed" && answer.events.map(({ stream, seq }) => [stream, seq]), [
        ["row", 1],
        ["row", 2],
        ["other", 1],
        ["row", 3],
      ]);
      assert.deepEqual(
        (await eventsOf(db, "row")).map(({ data }) => data),
        ['{"n":1}', '{"n":2}', '{"n":3}'],
      );
    },
  },
  {
    rule: "the chain of hashes holds, and shows a changed, a lost and a cut-off event",
    async run({ db, harness, store }) {
      const spoils = {
        changed: "update events set data = '{\"n\":9}' where stream = 'changed' and seq = 2",
        swapped: "update events set type = 'note.lost' where stream = 'swapped' and seq = 2",
        lost: "delete from events where stream = 'lost' and seq = 2",
        "cut-off": "delete from events where stream = 'cut-off' and seq = 3",
      };
      for (const [stream, spoil] of Object.entries(spoils)) {
        for (const n of [1, 2, 3]) await db.commit(plan([], [event(stream, { n })]));
        assert.equal(await firstBrokenEvent(db.read, stream), null);
        await harness.outside(store, spoil);
        assert.equal(await firstBrokenEvent(db.read, stream), stream === "cut-off" ? 3 : 2, stream);
      }
    },
  },
  {
    rule: "erasing an event's data leaves its chain whole",
    async run({ db, harness, store }) {
      await db.commit(plan([], [event("erased", { secret: 1 }), event("erased")]));
      await harness.outside(store, "update events set data = '' where stream = 'erased' and seq = 1");
      assert.equal(await firstBrokenEvent(db.read, "erased"), null);
    },
  },
  {
    rule: "a conflicting plan leaves no event and no number",
    async run({ db }) {
      await db.commit(plan([], [event("numbers")]));
      assert.equal((await db.commit(plan([claimNote("nobody", "ann")], [event("numbers"), event("fresh")]))).kind, "conflict");
      const answer = await db.commit(plan([], [event("numbers")]));
      assert.equal(answer.kind === "committed" && answer.events[0]?.seq, 2);
      assert.deepEqual(await eventsOf(db, "fresh"), []);
    },
  },
  {
    rule: "data of an event may have 4096 bytes as JSON and not one more",
    async run({ db }) {
      const fits = { text: "ä".repeat(2042) };
      assert.equal(Buffer.byteLength(JSON.stringify(fits)), 4095);
      assert.equal((await db.commit(plan([], [event("size", { text: `${fits.text}a` })]))).kind, "committed");
      const tooLong = plan([insertNote("size-1")], [event("size", { text: `${fits.text}aa` })]);
      await assert.rejects(db.commit(tooLong), { code: "invalid_input", message: /4097 bytes/ });
      assert.deepEqual(await noteOwners(db, "size-"), {});
      assert.equal((await eventsOf(db, "size")).length, 1);
    },
  },
  {
    rule: "an event comes back with all it was given, its time and its number",
    async run({ db }) {
      const before = await db.now();
      const full = {
        stream: "whole",
        type: "task.created",
        task: "T-1",
        run: "R-1",
        session: "S-1",
        data: { b: [1, { d: 1, c: null }], a: "ü\0" },
      };
      const answer = await db.commit(plan([], [full, event("whole")]));
      const stored = answer.kind === "committed" ? answer.events : [];
      const at = stored[0]?.at ?? 0;
      assert.ok(at >= before && at <= (await db.now()));
      assert.deepEqual(stored, [
        { ...full, seq: 1, at },
        { stream: "whole", seq: 2, type: "note.made", at, task: null, run: null, session: null, data: {} },
      ]);
      const rows = await db.read.all(sql`select type, task, run, session, data, at from events where stream = 'whole' order by seq`);
      const data = '{"a":"ü\\u0000","b":[1,{"c":null,"d":1}]}';
      assert.deepEqual(rows[0], { type: "task.created", task: "T-1", run: "R-1", session: "S-1", data, at });
      assert.deepEqual(rows[1], { type: "note.made", task: null, run: null, session: null, data: "{}", at });
    },
  },
  {
    rule: "what was acknowledged can be read at once, here and on another connection",
    async run({ db, harness, store }) {
      for (const n of upTo(20)) {
        await db.commit(plan([insertNote(`seen-${n}`)]));
        const here = await db.read.one<{ n: number }>(sql`select count(*) as n from notes where id like 'seen-%'`);
        assert.equal(here?.n, n);
        assert.equal(Number((await harness.outside(store, "select count(*) as n from notes where id like 'seen-%'"))[0]?.["n"]), n);
      }
    },
  },
  {
    rule: "a fence that no longer holds stops the plan behind it",
    async run({ db }) {
      await db.commit(plan([insertNote("fence")]));
      // PostgreSQL must keep a takeover from changing the row until this plan has committed; SQLite has one writer.
      const fenced = (epoch: number, id: string): Plan =>
        plan([
          statement(sql`select 1 as held from notes where id = 'fence' and epoch = ${epoch} ${onlyPostgres("for share")}`),
          insertNote(id),
        ]);
      assert.equal((await db.commit(fenced(0, "fenced-1"))).kind, "committed");
      await db.commit(plan([statement(sql`update notes set epoch = epoch + 1 where id = 'fence'`)]));
      assert.deepEqual(await db.commit(fenced(0, "fenced-2")), conflictAt(0));
      assert.equal((await db.commit(fenced(1, "fenced-3"))).kind, "committed");
      assert.deepEqual(Object.keys(await noteOwners(db, "fenced-")), ["fenced-1", "fenced-3"]);
    },
  },
  {
    rule: "of many plans that race for one row exactly one wins, also from two servers",
    async run({ db, harness, store }) {
      // SQLite has one server; there the second Db is the first.
      const other = db.kind === "postgres" ? await harness.open(store) : db;
      await db.commit(plan([insertNote("race")]));
      const results = await Promise.all([
        together(db, 25, (index) => plan([claimNote("race", `a${index}`)], [event("race", { by: `a${index}` })])),
        together(other, 25, (index) => plan([claimNote("race", `b${index}`)], [event("race", { by: `b${index}` })])),
      ]);
      const all = results.flatMap(kinds);
      assert.equal(all.filter((kind) => kind === "committed").length, 1);
      assert.equal(all.filter((kind) => kind === "conflict").length, 49);
      const { race } = await noteOwners(db, "race");
      assert.deepEqual(await eventsOf(db, "race"), [{ seq: 1, data: JSON.stringify({ by: race }) }]);
      if (other !== db) await other.close();
    },
  },
  {
    rule: "counters give each number once, in ascending order, from 1, also after closing and opening",
    async run({ harness }) {
      const store = "counting";
      const first = await harness.open(store);
      assert.equal(await first.nextNumber("task"), 1);
      const many = await Promise.all(upTo(200).map(() => first.nextNumber("task")));
      assert.deepEqual(
        many,
        many.toSorted((a, b) => a - b),
      );
      assert.equal(new Set([1, ...many]).size, 201);
      assert.equal(await first.nextNumber("run"), 1);
      await first.close();
      const second = await harness.open(store);
      const next = await second.nextNumber("task");
      assert.ok(next > Math.max(...many), "never one that was given before");
      await second.close();
    },
  },
  {
    rule: "migrations that were done are not done again, and rows stay",
    async run({ harness, db, store }) {
      await db.commit(plan([insertNote("stays")]));
      const [before] = await harness.outside(store, "select * from schema");
      const again = await harness.open(store);
      assert.deepEqual(await noteOwners(again, "stays"), { stays: null });
      await again.close();
      assert.deepEqual(await harness.outside(store, "select * from schema"), [before]);
    },
  },
  {
    rule: "a store that only newer servers understand is refused with both versions, one that is merely newer is not",
    async run({ harness }) {
      const store = "newer";
      await (await harness.open(store)).close();
      await harness.outside(store, "update schema set version = 7777, oldest_server = 7776");
      await assert.rejects(harness.open(store), { code: "conflict", message: new RegExp(`7777.*version ${migrations.at(-1)?.version}$`) });
      await harness.outside(store, "update schema set oldest_server = 1");
      await (await harness.open(store)).close();
      assert.equal(Number((await harness.outside(store, "select version from schema"))[0]?.["version"]), 7777);
    },
  },
  {
    rule: "five megabytes of text come back as they went in",
    async run({ db }) {
      const text = "größer\n".repeat(625_000);
      await db.commit(plan([statement(sql`insert into samples (id, words) values ('big', ${text})`)]));
      const row = await db.read.one<{ words: string }>(sql`select words from samples where id = 'big'`);
      assert.ok(row?.words === text);
    },
  },
  {
    rule: "null, text, numbers and bytes come back as they went in",
    async run({ db }) {
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const rows: Record<string, SqlValue>[] = [
        { id: "v1", words: null, whole: null, part: null, raw: null },
        { id: "v2", words: "", whole: 0, part: 0.1, raw: new Uint8Array() },
        { id: "v3", words: "'; drop table notes; -- $1 ? 👍\n\\", whole: Number.MAX_SAFE_INTEGER, part: -1.5e300, raw: bytes },
        { id: "v4", words: "{1,2}", whole: Number.MIN_SAFE_INTEGER, part: 7, raw: bytes.subarray(100, 110) },
      ];
      for (const { id = null, words = null, whole = null, part = null, raw = null } of rows) {
        await db.commit(
          plan([statement(sql`insert into samples (id, words, whole, part, raw) values (${id}, ${words}, ${whole}, ${part}, ${raw})`)]),
        );
      }
      assert.deepEqual(await db.read.all(sql`select id, words, whole, part, raw from samples where id like 'v%' order by id`), rows);
      const found = await db.read.all(
        sql`select count(*) as n, sum(whole) as total, max(id) = 'v4' as last from samples where id in ('v1', 'v2')`,
      );
      assert.deepEqual(found, [{ n: 2, total: 0, last: 0 }]);
    },
  },
  {
    rule: "values that no database keeps are refused the same way on both",
    async run({ db }) {
      await assert.rejects(db.commit(plan([insertNote("nul\0byte")])), { code: "invalid_input" });
      for (const value of [Number.NaN, undefined, true, new Date()]) {
        const odd = sql`insert into notes (id, owner) values ('odd', ${value as unknown as string})`;
        await assert.rejects(db.commit(plan([statement(odd)])), TypeError, String(value));
      }
      assert.deepEqual(await noteOwners(db, "odd"), {});
    },
  },
  {
    rule: "reading one row answers null for none, and more than one is an error",
    async run({ db }) {
      await db.commit(plan([insertNote("one-1"), insertNote("one-2")]));
      assert.equal(await db.read.one(sql`select id from notes where id = 'nobody'`), null);
      assert.deepEqual(await db.read.one(sql`select id from notes where id = 'one-1'`), { id: "one-1" });
      await assert.rejects(db.read.one(sql`select id from notes where id like 'one-%'`), /one row returned 2/);
      await assert.rejects(db.read.all(sql`select id from no_such_table`), /no_such_table/);
    },
  },
  {
    rule: "listeners hear of events after their commit only, and of a plan without events or in conflict nothing",
    async run({ db }) {
      const heard: { streams: string[]; events: StoredEvent[]; stored: Promise<unknown[]> }[] = [];
      const stop = db.onCommit(({ streams, events }) => void heard.push({ streams, events, stored: eventsOf(db, "heard") }));
      await db.commit(plan([insertNote("quiet")]));
      await db.commit(plan([claimNote("nobody", "ann")], [event("heard")]));
      const answer = await db.commit(plan([], [event("heard", { n: 1 }), event("heard-2")]));
      stop();
      await db.commit(plan([], [event("heard", { n: 2 })]));
      assert.equal(heard.length, 1);
      assert.deepEqual(heard[0]?.streams.toSorted(), ["heard", "heard-2"]);
      assert.deepEqual(heard[0]?.events, answer.kind === "committed" ? answer.events : []);
      assert.deepEqual((await heard[0]?.stored)?.at(0), { seq: 1, data: '{"n":1}' });
    },
  },
  {
    rule: "one listener twice is told twice, and can leave by itself",
    async run({ db }) {
      let calls = 0;
      const listener = (): void => void (calls += 1);
      const stops = [db.onCommit(listener), db.onCommit(listener)];
      await db.commit(plan([], [event("twice")]));
      stops[0]?.();
      await db.commit(plan([], [event("twice")]));
      stops[1]?.();
      await db.commit(plan([], [event("twice")]));
      assert.equal(calls, 3);
    },
  },
  {
    rule: "closing finishes what was accepted, refuses what comes later, and is harmless twice",
    async run({ harness }) {
      const store = "closing";
      const db = await harness.open(store);
      const accepted = together(db, 50, (index) => plan([], [event("closing", { index })]));
      const closing = [db.close(), db.close()];
      await assert.rejects(db.commit(plan([], [event("closing")])), { code: "unreachable" });
      await assert.rejects(db.nextNumber("task"), { code: "unreachable" });
      await Promise.all(closing);
      await db.close();
      assert.deepEqual(new Set(kinds(await accepted)), new Set(["committed"]));
      await assert.rejects(db.read.all(sql`select 1 as n`), { code: "unreachable" });
      assert.equal(Number((await harness.outside(store, "select count(*) as n from events"))[0]?.["n"]), 50);
      const again = await harness.open(store);
      const number = again.nextNumber("task");
      await again.close();
      assert.equal(await number, 1);
    },
  },
  {
    rule: "more plans than the queue holds are refused as busy, and it takes plans again afterwards",
    async run({ harness }) {
      const db = await harness.open("bounded", { maxQueue: 3 });
      const results = await together(db, 10, (index) => plan([], [event("bounded", { index })]));
      assert.deepEqual(kinds(results), [...upTo(3).map(() => "committed"), ...upTo(7).map(() => "rejected")]);
      const refused = results[3];
      assert.ok(refused?.status === "rejected");
      assert.deepEqual([refused.reason.code, refused.reason.retryable], ["busy", true]);
      assert.equal((await db.commit(plan([], [event("bounded")]))).kind, "committed");
      await db.close();
    },
  },
  {
    rule: "tutti_now() in writes, in reads and in events is one clock that a test can move",
    async run({ harness }) {
      const store = "clock";
      const db = await harness.open(store);
      const hour = 3_600_000;
      const instants = async (): Promise<number[]> => {
        const answer = await db.commit(
          plan(
            [
              statement(
                sql`insert into counters (name, next) values ('now', tutti_now()) on conflict (name) do update set next = excluded.next`,
              ),
            ],
            [event("clock")],
          ),
        );
        const written = await db.read.one<{ next: number }>(sql`select next from counters where name = 'now'`);
        const read = await db.read.one<{ at: number }>(sql`select tutti_now() as at`);
        const numbered = answer.kind === "committed" ? answer.events[0]?.at : undefined;
        return [written?.next ?? 0, numbered ?? 0, read?.at ?? 0, await db.now()];
      };
      const near = (instant: number, base: number): boolean => Number.isInteger(instant) && Math.abs(instant - base) < 60_000;
      for (const instant of await instants()) assert.ok(near(instant, Date.now()), String(instant));
      await harness.moveClock(store, hour);
      for (const instant of await instants()) assert.ok(near(instant, Date.now() + hour), String(instant));
      await harness.moveClock(store, -2 * hour);
      for (const instant of await instants()) assert.ok(near(instant, Date.now() - hour), String(instant));
      await db.close();
    },
  },
];

/** Holds one database to all rules of the store. */
export function storeSuite(name: string, makeHarness: () => Promise<StoreHarness>): void {
  describe(`${name} store`, () => {
    const store = "shared";
    let context: Context;
    let harness: StoreHarness;
    before(async () => {
      harness = await makeHarness();
      const db = await harness.open(store);
      for (const text of tables(harness.bytesType)) await harness.outside(store, text);
      context = { db, harness, store };
    });
    after(async () => {
      await context?.db.close();
      await harness?.stop();
    });
    for (const { rule, run } of cases) test(rule, () => run(context));
  });
}

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { firstBrokenEvent } from "./chain.ts";
import { migratePostgres, migrations, statementsFor } from "./migrate.ts";
import { type Committed, type Db, onlyPostgres, type Plan, sql, statement } from "./plan.ts";
import { openPostgres } from "./postgres.ts";
import { type StoreHarness, storeSuite } from "./store.suite.ts";

async function onClient<Result>(url: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** One PostgreSQL for the whole file, stopped when the last part of it is done. */
const postgres: Promise<TestPostgres> = startPostgres();
after(async () => (await postgres).stop());

async function makeHarness(): Promise<StoreHarness> {
  const cluster = await postgres;
  const urls = new Map<string, Promise<string>>();
  const movedMs = new Map<string, number>();
  const urlOf = (store: string): Promise<string> => {
    const url = urls.get(store) ?? cluster.freshDatabase();
    urls.set(store, url);
    return url;
  };
  const outside: StoreHarness["outside"] = async (store, text) =>
    onClient(await urlOf(store), async (client) => (await client.query(text)).rows);
  return {
    bytesType: "bytea",
    open: async (store, options) => openPostgres({ url: await urlOf(store), poolSize: 4, ...options }),
    outside,
    async moveClock(store, ms) {
      movedMs.set(store, (movedMs.get(store) ?? 0) + ms);
      await outside(
        store,
        `create or replace function tutti_now() returns bigint language sql volatile as
          $$ select floor(extract(epoch from clock_timestamp()) * 1000)::bigint + (${movedMs.get(store) ?? 0})::bigint $$`,
      );
    },
    stop: async () => undefined,
  };
}

storeSuite("PostgreSQL", makeHarness);

describe("only PostgreSQL", () => {
  let url = "";
  let db: Db;
  /** A connection that no Db owns. */
  let outsider: Client;
  before(async () => {
    url = await (await postgres).freshDatabase();
    db = await openPostgres({ url, poolSize: 4 });
    outsider = new Client({ connectionString: url });
    await outsider.connect();
    await outsider.query("create table notes (id text primary key, owner text, epoch bigint not null default 0)");
  });
  const opened: Db[] = [];
  after(async () => {
    await outsider?.end();
    for (const each of [db, ...opened]) await each?.close();
  });
  /** One more server, which is closed at the end at the latest. */
  async function open(options: Parameters<typeof openPostgres>[0]): Promise<Db> {
    const server = await openPostgres(options);
    opened.push(server);
    return server;
  }

  const plan = (statements: Plan["statements"], events: Plan["events"] = []): Plan => ({ statements, events });
  const event = (stream: string, n = 0): Plan["events"][number] => ({ stream, type: "note.made", data: { n } });
  const insertNote = (id: string): Plan["statements"][number] => statement(sql`insert into notes (id) values (${id})`);
  const rowsOf = async (text: string): Promise<Record<string, unknown>[]> => (await outsider.query(text)).rows;
  const backends = (name: string): Promise<Record<string, unknown>[]> =>
    rowsOf(`select pid, query, wait_event_type from pg_stat_activity where application_name = '${name}' and datname = current_database()`);
  const terminate = (pattern: string): Promise<unknown[]> =>
    rowsOf(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like '${pattern}' and datname = current_database()`,
    );
  /** When a backend of that name waits for a lock. */
  const whenWaiting = (name: string): Promise<void> =>
    until(async () => (await backends(name)).some((backend) => backend["wait_event_type"] === "Lock"), `${name} waits for a lock`);

  test("a takeover under way holds the fenced plan back, and its commit makes the plan a conflict", async () => {
    await db.commit(plan([insertNote("fence")]));
    await rowsOf("begin");
    await rowsOf("update notes set epoch = 1 where id = 'fence'");
    const held = sql`select 1 as held from notes where id = 'fence' and epoch = 0 ${onlyPostgres("for share")}`;
    const fenced = db.commit(plan([statement(held), insertNote("stale")], [event("fence")]));
    await whenWaiting("tutti writer");
    await rowsOf("commit");
    assert.deepEqual(await fenced, { kind: "conflict", statement: 0 });
    assert.deepEqual(await rowsOf("select id from notes where id = 'stale'"), []);
  });

  test("the same without `for share` lets the stale plan through: the fence is what holds", async () => {
    await db.commit(plan([insertNote("no-fence")]));
    await rowsOf("begin");
    await rowsOf("update notes set epoch = 1 where id = 'no-fence'");
    const unfenced = await db.commit(
      plan([statement(sql`select 1 as held from notes where id = 'no-fence' and epoch = 0`), insertNote("stale-too")]),
    );
    await rowsOf("commit");
    assert.equal(unfenced.kind, "committed");
  });

  test("two servers number the events of the same streams densely, and neither waits for the other in a circle", async () => {
    const other = await open({ url, poolSize: 2 });
    // Eight on each side, one after another, so that transactions of both overlap again and again.
    async function writeMany(by: Db, first: number): Promise<void> {
      for (let n = first; n < first + 20; n += 1) {
        const answer = await by.commit(plan([], [event(`both-${n % 3}`, n), event(`both-${(n + 1) % 3}`, n)]));
        assert.equal(answer.kind, "committed");
      }
    }
    await Promise.all(Array.from({ length: 16 }, (_, index) => writeMany(index % 2 === 0 ? db : other, index)));
    for (const stream of ["both-0", "both-1", "both-2"]) assert.equal(await firstBrokenEvent(db.read, stream), null);
    assert.deepEqual(await rowsOf("select sum(seq)::int as n from streams where id like 'both-%'"), [{ n: 640 }]);
    await other.close();
  });

  test("rows that two servers touch in opposite order deadlock, and both plans are written all the same", async () => {
    await db.commit(plan([insertNote("dead-1"), insertNote("dead-2")]));
    const touch = (id: string): Plan["statements"][number] => statement(sql`update notes set epoch = epoch + 1 where id = ${id}`);
    await rowsOf("begin");
    await rowsOf("update notes set epoch = 10 where id = 'dead-2'");
    // Soon, so that the writer is the one that finds the circle.
    const written = db.commit(plan([touch("dead-1"), touch("dead-2")]));
    await whenWaiting("tutti writer");
    const mine = rowsOf("update notes set epoch = 10 where id = 'dead-1'").then(
      () => rowsOf("commit"),
      () => rowsOf("rollback"),
    );
    assert.equal((await written).kind, "committed");
    await mine;
    const epochs = (await rowsOf("select epoch::int as epoch from notes where id like 'dead-_' order by id")).map(({ epoch }) => epoch);
    assert.ok([JSON.stringify([1, 1]), JSON.stringify([11, 11])].includes(JSON.stringify(epochs)), JSON.stringify(epochs));
  });

  test("a lock that does not come makes that plan busy, and the plans beside it are written", async () => {
    const impatient = await open({ url: `${url}?lock_timeout=100`, poolSize: 2 });
    await db.commit(plan([insertNote("locked")]));
    await rowsOf("begin");
    await rowsOf("update notes set epoch = 1 where id = 'locked'");
    const touch = statement(sql`update notes set epoch = 2 where id = 'locked'`);
    const answers = await Promise.allSettled([
      impatient.commit(plan([insertNote("free-1")], [event("lock")])),
      impatient.commit(plan([insertNote("free-no"), touch])),
      impatient.commit(plan([insertNote("free-2")], [event("lock")])),
    ]);
    await rowsOf("commit");
    assert.deepEqual(
      answers.map((answer) => (answer.status === "fulfilled" ? answer.value.kind : `${answer.reason.code} ${answer.reason.retryable}`)),
      ["committed", "busy true", "committed"],
    );
    assert.deepEqual(
      (await rowsOf("select id from notes where id like 'free-%' order by id")).map(({ id }) => id),
      ["free-1", "free-2"],
    );
    await impatient.close();
  });

  test("every connection terminated at once, again and again: the process lives and no acknowledged event is lost", async () => {
    const told: number[] = [];
    const errors: { code: string; retryable: boolean }[] = [];
    let n = 0;
    let killed = 0;
    for (let round = 0; round < 5; round += 1) {
      const writes = Promise.allSettled(Array.from({ length: 20 }, () => db.commit(plan([], [event("killed", (n += 1))]))));
      const reads = Promise.allSettled(Array.from({ length: 8 }, () => db.read.all(sql`select count(*) as n from events`)));
      killed += (await terminate("tutti %")).length;
      for (const answer of [...(await writes), ...(await reads)]) {
        if (answer.status === "rejected") errors.push(answer.reason);
        else if ("kind" in answer.value && answer.value.kind === "committed") told.push(...answer.value.events.map(({ seq }) => seq));
      }
    }
    assert.ok(killed >= 10, `${killed} backends were terminated`);
    for (const error of errors) assert.deepEqual([error.code, error.retryable], ["unreachable", true]);
    // The writer answers again at once, without help.
    await until(async () => (await Promise.allSettled([db.commit(plan([], [event("killed")]))]))[0].status === "fulfilled", "a commit");
    const stored = (await rowsOf("select seq::int as seq from events where stream = 'killed' order by seq")).map(({ seq }) => Number(seq));
    assert.deepEqual(
      told.filter((seq) => !stored.includes(seq)),
      [],
    );
    assert.equal(await firstBrokenEvent(db.read, "killed"), null);
  });

  test("a connection lost before COMMIT says that nothing was written", async () => {
    await rowsOf("insert into notes (id) values ('before')");
    await rowsOf("begin");
    await rowsOf("update notes set epoch = 1 where id = 'before'");
    const lost = db.commit(plan([insertNote("before-2"), statement(sql`update notes set epoch = 2 where id = 'before'`)]));
    const refused = assert.rejects(lost, { code: "unreachable", retryable: true, why: /nothing was written/ });
    await whenWaiting("tutti writer");
    await terminate("tutti writer");
    await refused;
    await rowsOf("commit");
    assert.deepEqual(await rowsOf("select id from notes where id = 'before-2'"), []);
  });

  test("a connection lost at COMMIT says that the outcome is not known", async () => {
    await rowsOf(
      `create function wait_for_test() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(99); return null; end $$`,
    );
    await rowsOf("create table slow (id text primary key)");
    await rowsOf(
      "create constraint trigger slow after insert on slow deferrable initially deferred for each row execute function wait_for_test()",
    );
    await rowsOf("select pg_advisory_lock(99)");
    const unknown = db.commit(plan([statement(sql`insert into slow (id) values ('x')`)], [event("slow")]));
    const refused = assert.rejects(unknown, { code: "unreachable", retryable: true, why: /not known/ });
    await whenWaiting("tutti writer");
    await terminate("tutti writer");
    await refused;
    await rowsOf("select pg_advisory_unlock(99)");
    assert.equal((await db.commit(plan([statement(sql`insert into slow (id) values ('x')`)], [event("slow")]))).kind, "committed");
  });

  test("another server hears which streams have news, without events; the writer hears its own events, once", async () => {
    const other = await open({ url, poolSize: 2 });
    const here: unknown[] = [];
    const there: unknown[] = [];
    const stops = [db.onCommit((wake) => here.push(wake)), other.onCommit((wake) => there.push(wake))];
    const first = await db.commit(plan([], [event("news-b"), event("news-a"), event("news-a")]));
    await until(async () => there.length > 0, "news from the other server");
    await other.commit(plan([], [event("news-c")]));
    await until(async () => here.length > 1, "news back");
    // The own notification of the first commit came before the foreign one on the same connection: it was passed over.
    assert.deepEqual(here, [
      { streams: ["news-b", "news-a"], events: first.kind === "committed" ? first.events : [] },
      { streams: ["news-c"], events: [] },
    ]);
    assert.deepEqual((there[0] as { events: unknown[] }).events, []);
    assert.deepEqual((there[0] as { streams: string[] }).streams.toSorted(), ["news-a", "news-b"]);
    for (const stop of stops) stop();
    await other.close();
  });

  test("more streams than one notification holds are all named", async () => {
    const other = await open({ url, poolSize: 2 });
    const heard = new Set<string>();
    other.onCommit(({ streams }) => streams.forEach((stream) => heard.add(stream)));
    const streams = Array.from({ length: 300 }, (_, index) => `many-${index}-${"x".repeat(60)}`);
    await db.commit(
      plan(
        [],
        streams.map((stream) => event(stream)),
      ),
    );
    await until(async () => streams.every((stream) => heard.has(stream)), "all streams");
    await other.close();
  });

  test("a listener that lost its connection listens again and then names every stream, for what it may have missed", async () => {
    const heard: string[][] = [];
    const stop = db.onCommit(({ streams }) => heard.push(streams));
    const [old] = await backends("tutti listener");
    await terminate("tutti listener");
    await until(async () => {
      const [now] = await backends("tutti listener");
      return now !== undefined && now["pid"] !== old?.["pid"] && String(now["query"]).startsWith("select id from streams");
    }, "a new listener");
    const all = (await rowsOf("select id from streams")).map(({ id }) => String(id));
    await until(async () => heard.some((streams) => all.every((id) => streams.includes(id))), "every stream");
    const other = await open({ url, poolSize: 2 });
    await other.commit(plan([], [event("after-the-gap")]));
    await until(async () => heard.some((streams) => streams.length === 1 && streams[0] === "after-the-gap"), "news after the gap");
    await other.close();
    stop();
  });

  test("a table that another server's migration widens breaks neither reads nor writes that were prepared before", async () => {
    await db.commit(plan([insertNote("wide")]));
    const read = (): Promise<unknown> => db.read.all(sql`select * from notes where id = 'wide'`);
    const write = (): Promise<Committed> => db.commit(plan([statement(sql`update notes set owner = 'x' where id = 'wide' returning *`)]));
    for (let n = 0; n < 4; n += 1) await Promise.all([read(), read(), write()]);
    await rowsOf("alter table notes add column extra text default 'new'");
    assert.deepEqual(await read(), [{ id: "wide", owner: "x", epoch: 0, extra: "new" }]);
    assert.equal((await write()).kind, "committed");
  });

  test("five servers that start on an empty database at once migrate it once", async () => {
    const empty = await (await postgres).freshDatabase();
    const servers = await Promise.all(Array.from({ length: 5 }, () => open({ url: empty, poolSize: 1 })));
    assert.deepEqual(await servers[0]?.read.all(sql`select version, oldest_server from schema`), [
      { version: migrations.at(-1)?.version, oldest_server: migrations.at(-1)?.oldestServer },
    ]);
    const numbers = (
      await Promise.all(servers.map((server) => Promise.all(Array.from({ length: 30 }, () => server.nextNumber("task")))))
    ).flat();
    assert.equal(new Set(numbers).size, 150);
    await Promise.all(servers.map((server) => server.close()));
  });

  test("a migration that breaks off at any statement leaves the old schema, and starting again finishes it", async () => {
    const broken = await (await postgres).freshDatabase();
    const ask = async (text: string): Promise<unknown[]> => (await onClient(broken, (client) => client.query(text))).rows as unknown[];
    for (const [done, migration] of migrations.entries()) {
      const known = migrations.slice(0, done + 1);
      for (let at = 0; at < statementsFor(migration, "postgres").length + 2; at += 1) {
        const breakOff = (index: number): void => {
          if (index === at) throw new Error("broken off");
        };
        await assert.rejects(
          onClient(broken, (client) => migratePostgres(client, { known, beforeStatement: breakOff })),
          /broken off/,
        );
        const where = `migration ${migration.version}, at ${at}`;
        const before = migrations[done - 1];
        assert.deepEqual(await ask("select version::int from schema"), before ? [{ version: before.version }] : [], where);
        if (!before)
          assert.deepEqual(await ask("select tablename from pg_tables where schemaname = 'public'"), [{ tablename: "schema" }], where);
      }
      await onClient(broken, (client) => migratePostgres(client, { known }));
    }
    await onClient(broken, (client) => migratePostgres(client));
    await (await open({ url: broken, poolSize: 1 })).close();
  });

  test("killed before a commit the plan is gone, killed after it the plan is there and nobody was told", async () => {
    for (const [at, told, stored] of [
      ["commit:4", 3, 3],
      ["commit:4:after", 3, 4],
    ] as const) {
      const database = await (await postgres).freshDatabase();
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL("./store.child.ts", import.meta.url)), "one by one", "/nowhere", database],
        {
          stdio: ["ignore", "pipe", "inherit"],
          env: { ...process.env, TUTTI_CRASH_AT: at },
        },
      );
      const said: string[] = [];
      const lines = createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
      const [exit] = await Promise.all([once(child, "exit"), once(lines, "close")]);
      assert.deepEqual([exit[1], said.length], ["SIGKILL", told], at);
      const count = async (): Promise<number> =>
        Number((await onClient(database, (client) => client.query("select count(*) as n from events"))).rows[0].n);
      assert.equal(await count(), stored, at);
    }
  });

  test("a database that cannot be had is unreachable, and its password is in no message", async () => {
    const nobody = "postgres://postgres:secret-word@127.0.0.1:1/none";
    const wrong = new URL(url);
    wrong.password = "secret-word";
    const none = new URL(url);
    none.pathname = "/no_such_database";
    for (const [address, retryable] of [
      [nobody, true],
      [wrong.href, false],
      [none.href, false],
    ] as const) {
      await assert.rejects(openPostgres({ url: address }), (error: { code?: string; retryable?: boolean }) => {
        assert.deepEqual([error.code, error.retryable], ["unreachable", retryable]);
        assert.equal(JSON.stringify(error).includes("secret-word"), false);
        return true;
      });
    }
  });
});

/** Polls a condition for at most ten seconds. */
async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const giveUp = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > giveUp) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

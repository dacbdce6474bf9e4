import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { Client } from "pg";
import { startPostgres } from "../../test/support/postgres.ts";
import { postgresMark, sqliteMark } from "./compare-high-water.ts";
import { describeLoss, findLoss, type Found, type Loss, moveHighWater, readHighWater } from "./high-water.ts";
import { openDb } from "./open.ts";
import type { Db, Plan } from "./plan.ts";
import { sql, statement } from "./plan.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-mark-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const fresh = (): string => mkdtempSync(join(folder, "home-"));

const head = (seq: number, letter = "a"): { seq: number; head: string } => ({ seq, head: letter.repeat(64) });
const event = (stream: string): Plan => ({ statements: [], events: [{ stream, type: "task.created", data: {} }] });

suite("what is missing is found", () => {
  const marked = { commits: 9, heads: new Map([["p", head(4)]]) };
  const found = (commits: number, seq: number, hashAtMark: string | null): Found => ({
    commits,
    streams: new Map([["p", { seq, hashAtMark }]]),
  });
  const cases: [string, Found, Loss | null][] = [
    ["the same as marked", found(9, 4, "a".repeat(64)), null],
    ["further than marked (a crash before the mark moved)", found(10, 5, "a".repeat(64)), null],
    ["an event that was cleared away since", found(12, 9, null), null],
    ["fewer transactions", found(7, 4, "a".repeat(64)), { commits: 2, streams: [] }],
    ["a shorter stream", found(9, 3, null), { commits: 0, streams: [{ stream: "p", had: 4, has: 3 }] }],
    ["a stream that is gone", { commits: 9, streams: new Map() }, { commits: 0, streams: [{ stream: "p", had: 4, has: 0 }] }],
    ["another event under the same number", found(20, 8, "b".repeat(64)), { commits: 0, streams: [{ stream: "p", had: 4, has: 8 }] }],
  ];
  for (const [what, store, loss] of cases) test(what, () => assert.deepEqual(findLoss(marked, store), loss));

  test("and said in words, the first five streams by name", () => {
    const streams = Array.from({ length: 7 }, (_, index) => ({ stream: `p${index}`, had: 4, has: 3 }));
    assert.match(
      describeLoss({ commits: 1, streams }),
      /^1 committed transaction is missing; p0 had 4 events and has 3; .*p4 .*; 2 more streams$/,
    );
    assert.match(describeLoss({ commits: 0, streams: [{ stream: "p", had: 4, has: 8 }] }), /event 4 of p is not the one/);
  });
});

suite("the mark's files", () => {
  function move(path: string, commits: number, moved: [string, ReturnType<typeof head>][] = []): void {
    const mark = moveHighWater({ path, counts: true, heads: new Map(), everyMs: 0 });
    for (let n = 1; n <= commits; n += 1) mark.note(n, new Map(n === commits ? moved : []));
    mark.close();
  }

  test("a mark is read as it was written, also with names that are long or not ASCII", () => {
    for (const stream of ["p", "Zürich 東京", "x".repeat(300)]) {
      const path = join(fresh(), "mark");
      move(path, 5, [[stream, head(3)]]);
      assert.deepEqual(readHighWater(path, "sqlite"), { mark: { commits: 5, heads: new Map([[stream, head(3)]]) }, notes: [] });
      assert.equal(statSync(`${path}.commits`).size, 512);
      assert.equal(statSync(`${path}.commits`).mode & 0o777, 0o600);
    }
  });

  test("a torn slot leaves the other one; with both torn, or no file, that is said and nothing is compared", () => {
    const path = join(fresh(), "mark");
    move(path, 5);
    const whole = readFileSync(`${path}.commits`);
    for (const [at, left] of [
      [300, 4],
      [10, 5],
    ] as const) {
      const torn = Buffer.from(whole);
      torn.fill(0, at, at + 20);
      writeFileSync(`${path}.commits`, torn);
      assert.equal(readHighWater(path, "sqlite").mark.commits, left);
    }
    writeFileSync(`${path}.commits`, Buffer.alloc(512));
    writeFileSync(`${path}.heads`, "");
    const unreadable = readHighWater(path, "sqlite");
    assert.deepEqual(unreadable.mark, { commits: null, heads: new Map() });
    assert.equal(unreadable.notes.length, 2);
    assert.match(readHighWater(join(folder, "nowhere"), "sqlite").notes.join(), /is not there/);
  });

  test("a mark that cannot be written fails no commit, and a store is opened again with the older mark", () => {
    const path = join(folder, "a file", "mark");
    writeFileSync(join(folder, "a file"), "");
    move(path, 3, [["p", head(1)]]);
    assert.equal(existsSync(path), false);
  });
});

/** Writes an older state under the same name, as an old copy or a replica that lagged is one. */
type Rewind = (home: string, stream: string) => Promise<void>;

function rulesOf(name: string, urlOf: () => Promise<string | undefined>, rewind: Rewind): void {
  const openOn = async (home: string, more: object = {}): Promise<Db> =>
    openDb({ home, databaseUrl: await urlOf(), crashAt: null, ...more });
  const refused = async (home: string): Promise<boolean> => {
    try {
      await (await openOn(home)).close();
      return false;
    } catch (error) {
      assert.equal((error as { code?: string }).code, "damaged");
      return true;
    }
  };

  test(`${name}: a store that goes back is refused until the loss is accepted, and the mark stays until the first change`, async () => {
    const home = fresh();
    const notes: string[] = [];
    const db = await openOn(home, { tell: (note: string) => notes.push(note) });
    for (let n = 0; n < 4; n += 1) await db.commit(event("loses"));
    await db.close();
    assert.equal(await refused(home), false);
    await rewind(home, "loses");
    assert.equal(await refused(home), true);
    assert.equal(await refused(home), true, "a refusal changes nothing");

    const losses: Loss[] = [];
    const unused = await openOn(home, { acceptLoss: (loss: Loss) => losses.push(loss) });
    await unused.close();
    assert.deepEqual(losses[0]?.streams, [{ stream: "loses", had: 4, has: 2 }]);
    assert.equal(await refused(home), true, "nothing was written, so nothing was accepted");

    const accepting = await openOn(home, { acceptLoss: () => {} });
    await accepting.commit(event("instance"));
    await accepting.close();
    assert.equal(await refused(home), false);
  });

  test(`${name}: a mark that is gone is said once, and the store opens`, async () => {
    const home = fresh();
    const notes: string[] = [];
    const db = await openOn(home);
    await db.commit(event("here"));
    await db.close();
    rmSync(join(home, "high-water"), { recursive: true });
    const again = await openOn(home, { tell: (note: string) => notes.push(note) });
    await again.commit(event("here"));
    await again.close();
    assert.match(notes.join("\n"), /is not there/);
    notes.splice(0);
    await (await openOn(home, { tell: (note: string) => notes.push(note) })).close();
    assert.deepEqual(notes, []);
  });
}

suite("on SQLite", () => {
  rulesOf(
    "SQLite",
    async () => undefined,
    async (home, stream) => {
      const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
      const mark = readFileSync(`${sqliteMark(join(home, "tutti.db"))}.commits`);
      const { seq } = (await db.read.one<{ seq: number }>(sql`select seq from streams where id = ${stream}`)) ?? { seq: 0 };
      await db.commit({
        statements: [
          statement(sql`delete from events where stream = ${stream} and seq > 2`, seq - 2),
          statement(
            sql`update streams set seq = 2, head = (select hash from events where stream = ${stream} and seq = 2) where id = ${stream}`,
          ),
        ],
        events: [],
      });
      await db.close();
      writeFileSync(`${sqliteMark(join(home, "tutti.db"))}.commits`, mark);
    },
  );

  test("a change without events is counted in the store too: it opens again", async () => {
    const home = fresh();
    for (let life = 0; life < 2; life += 1) {
      const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
      await db.commit({ statements: [statement(sql`insert into counters (name, next) values (${`life ${life}`}, 1)`)], events: [] });
      await db.close();
    }
    await (await openDb({ home, databaseUrl: undefined, crashAt: null })).close();
  });

  test("a file that SQLite calls damaged is refused in the same words", async () => {
    const home = fresh();
    await (await openDb({ home, databaseUrl: undefined, crashAt: null })).close();
    writeFileSync(join(home, "tutti.db"), "this is no store".repeat(1000));
    await assert.rejects(openDb({ home, databaseUrl: undefined, crashAt: null }), { code: "damaged", exitCode: 11 });
  });
});

suite("on PostgreSQL", () => {
  const cluster = startPostgres();
  const url = cluster.then((running) => running.freshDatabase());
  after(async () => (await cluster).stop());

  async function outside(text: string, values: unknown[] = []): Promise<void> {
    const client = new Client({ connectionString: await url });
    await client.connect();
    await client.query(text, values);
    await client.end();
  }
  const rewind: Rewind = async (_home, stream) => {
    await outside("delete from events where stream = $1 and seq > 2", [stream]);
    await outside("update streams set seq = 2, head = (select hash from events where stream = $1 and seq = 2) where id = $1", [stream]);
  };

  rulesOf("PostgreSQL", () => url, rewind);

  test("PostgreSQL: a server whose database goes back while it runs writes nothing more", async () => {
    const home = fresh();
    const db = await openDb({ home, databaseUrl: await url, crashAt: null });
    try {
      for (let n = 0; n < 4; n += 1) await db.commit(event("fails over"));
      await rewind(home, "fails over");
      await outside("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tutti writer'");
      // The first change may meet the old connection's end.
      let code: unknown = "unreachable";
      for (let tries = 0; tries < 100 && code === "unreachable"; tries += 1) {
        code = await db.commit(event("fails over")).then(
          () => "written",
          (error: { code?: unknown }) => error.code,
        );
      }
      assert.equal(code, "damaged");
      await assert.rejects(db.commit(event("another")), { code: "damaged" });
    } finally {
      await db.close();
    }
  });

  test("PostgreSQL: the mark is of one database, and no password is in its name", () => {
    const mark = postgresMark("/home", "postgres://ann:secret@host:5432/tutti");
    assert.equal(mark, postgresMark("/home", "postgres://bob:other@host:5432/tutti"));
    assert.notEqual(mark, postgresMark("/home", "postgres://ann:secret@host:5432/other"));
    assert.ok(!mark.includes("secret"));
  });
});

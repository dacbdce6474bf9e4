import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { openArtifacts } from "../src/artifacts/open.ts";
import type { ArtifactStore } from "../src/artifacts/artifact.ts";
import { Manifest, raisedBy } from "../src/backups/backup.ts";
import { foldTask } from "../src/backups/fold-task.ts";
import { openOwn, type Source } from "../src/backups/own-connection.ts";
import { restoreBackup, type Restored } from "../src/backups/restore.ts";
import { verifyBackup } from "../src/backups/verify.ts";
import { verifyStore } from "../src/backups/verify-store.ts";
import { writeBackup } from "../src/backups/write.ts";
import { sha256 } from "../src/db/chain.ts";
import { sqliteMark } from "../src/db/compare-high-water.ts";
import { openDb } from "../src/db/open.ts";
import { sql, statement, type Db, type Plan } from "../src/db/plan.ts";
import { openWorld, type World } from "../src/workspaces/world.suite.ts";
import { startPostgres, type TestPostgres } from "./support/postgres.ts";

/** Backups of real stores, taken while they are written, and restored into the same and into the other database. */
const folder = mkdtempSync(join(tmpdir(), "tutti-backup-"));
let postgres: TestPostgres;
let world: World;
before(async () => {
  postgres = await startPostgres();
  world = await openWorld();
});
after(async () => {
  await postgres?.stop();
  world?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const fresh = (): string => mkdtempSync(join(folder, "home-"));
const kinds = ["sqlite", "postgres"] as const;

interface Store {
  home: string;
  databaseUrl: string | undefined;
  source: Source;
  db: Db;
  artifacts: ArtifactStore;
}

async function openStore(home: string, databaseUrl: string | undefined): Promise<Store> {
  const db = await openDb({ home, databaseUrl, crashAt: null });
  const artifacts = await openArtifacts({ home, databaseUrl });
  const source: Source =
    databaseUrl === undefined ? { kind: "sqlite", file: join(home, "tutti.db") } : { kind: "postgres", url: databaseUrl };
  return { home, databaseUrl, source, db, artifacts };
}

const freshUrl = async (kind: (typeof kinds)[number]): Promise<string | undefined> =>
  kind === "postgres" ? await postgres.freshDatabase() : undefined;

async function close({ db, artifacts }: Store): Promise<void> {
  await artifacts.close();
  await db.close();
}

/** A task as the product writes it, as far as a backup cares: rows of several tables and its events. */
function task(n: number, state: "queued" | "running" | "done"): Plan {
  const id = `T-${n}`;
  const told = (type: string, data = {}) => ({ stream: world.repository.project, type, task: id, data });
  const events = [told("task.created", { title: `task ${n}` })];
  if (state !== "queued") events.push(told("task.assigned", { attempt: 1 }), told("task.started"));
  if (state === "done") events.push(told("task.settled", { state: "done" }));
  return {
    statements: [
      statement(sql`
        insert into tasks (id, project, kind, state, priority, attempt, needs_left, ready_at, runner, runner_epoch, created_at, updated_at)
        values (${id}, ${world.repository.project}, 'agent', ${state}, 0, ${state === "queued" ? 0 : 1}, 0, 0,
                ${state === "running" ? "runner-1" : null}, ${state === "running" ? 3 : null}, ${n}, ${n})`),
      statement(sql`
        insert into task_details (task, title, spec, needs, result) values (${id}, ${`Ünïcode 東京 "quoted" \n ${n}`}, '{}', '[]', ${"r".repeat(n % 50)})`),
    ],
    events,
  };
}

/** A project with a mirror, an artifact, a runner, and tasks that are queued, at work and done. */
async function fill(store: Store, tasks: number): Promise<{ artifact: string }> {
  const { db, artifacts } = store;
  const { id, size } = await artifacts.put("a result that is too large for a row\0".repeat(5000));
  const { project, source, baseBranch } = world.repository;
  await db.commit({
    statements: [
      statement(
        sql`insert into projects (id, name, source, base_branch, settings, created_at) values (${project}, 'p', ${source}, ${baseBranch}, '{}', 1)`,
      ),
      statement(sql`insert into artifacts (id, size, created_at) values (${id}, ${size}, ${Date.now()})`),
      statement(sql`insert into runners (id, holder, epoch, lease_until, started_at) values ('runner-1', 'x', 3, 99999999999999, 1)`),
      statement(sql`insert into orchestrators (project, holder, epoch, lease_until) values (${project}, 'x', 7, 99999999999999)`),
      statement(
        sql`insert into tokens (id, kind, name, hash, session, created_at) values ('t1', 'person', 'ann', 'h1', null, 1), ('t2', 'agent', 'a', 'h2', 's', 1)`,
        2,
      ),
      statement(sql`insert into transcript_segments (session, turn, part, data) values ('s', 1, 1, 'said')`),
    ],
    events: [{ stream: project, type: "project.created", data: {} }],
  });
  for (let n = 1; n <= tasks; n += 1) await db.commit(task(n, n % 3 === 0 ? "running" : n % 3 === 1 ? "done" : "queued"));
  for (let n = 0; n < 5; n += 1) await db.nextNumber("task");
  return { artifact: id };
}

const write = (store: Store, to: string) =>
  writeBackup({ source: store.source, to, artifacts: store.artifacts, workspaces: world.workspaces, version: "0.0.0-test" });

const restoreInto = (from: string, home: string, databaseUrl: string | undefined): Promise<Restored> =>
  restoreBackup({
    folder: from,
    home,
    databaseUrl,
    now: 1_700_000_000_000,
    openArtifacts: () => openArtifacts({ home, databaseUrl }),
    openWorkspaces: async () => ({
      ...world.workspaces,
      // The world has one home; what the restore gives it is looked at, and its mirror stays.
      unbundle: async (repository, bytes) => {
        mirrorsRestored.push([repository.project, Buffer.concat(await Array.fromAsync(bytes)).length]);
      },
    }),
  });
let mirrorsRestored: [string, number][] = [];

const readManifest = (from: string): Manifest => Manifest.parse(JSON.parse(readFileSync(join(from, "manifest.json"), "utf8")));

/** Every row of every table, as texts in order: what two stores must agree on. */
async function everything(source: Source, without: readonly string[] = []): Promise<Record<string, string[]>> {
  const own = await openOwn(source);
  try {
    const all: Record<string, string[]> = {};
    for (const table of await own.tables()) {
      if (without.includes(table) || ["schema", "artifact_uploads", "artifact_chunks", "artifact_contents"].includes(table)) continue;
      const { columns, pages } = await own.rows(table, null);
      const rows: string[] = [];
      for await (const page of pages) {
        for (const row of page) {
          const sorted = columns.map((column, index) => [column, row[index]] as const).toSorted(([a], [b]) => (a < b ? -1 : 1));
          rows.push(JSON.stringify(sorted.filter(([column]) => !(table === "streams" && column === "commits"))));
        }
      }
      all[table] = rows.toSorted();
    }
    return all;
  } finally {
    await own.close();
  }
}

for (const from of kinds) {
  suite(`a backup of ${from}`, () => {
    let store: Store;
    let path: string;
    let artifact: string;
    let before_: Record<string, string[]>;

    before(async () => {
      store = await openStore(fresh(), await freshUrl(from));
      ({ artifact } = await fill(store, 300));
      await world.workspaces.refresh(world.repository);
      path = join(folder, `backup-${from}`);
      before_ = await everything(store.source);
    });
    after(() => close(store));

    test("holds every row of one moment, however much is written meanwhile, and nothing of what came later", async () => {
      let written = 0;
      let over = false;
      const writing = (async () => {
        for (; !over; written += 1)
          await store.db.commit({ statements: [], events: [{ stream: "later", type: "task.created", data: { written } }] });
      })();
      const made = await write(store, path);
      over = true;
      await writing;
      assert.ok(written > 0);
      const manifest = readManifest(path);
      assert.equal(
        made.rows,
        manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
      );
      assert.equal(made.artifacts, 1);
      assert.equal(made.mirrors, 1);
      const events = manifest.tables.find(({ name }) => name === "events")?.rows ?? 0;
      assert.equal(
        events,
        manifest.streams.reduce((sum, { seq }) => sum + seq, 0),
        "heads and events are of the same moment",
      );
      assert.ok(events < (before_["events"]?.length ?? 0) + written, "it did not wait for the end of the writing");
      assert.equal(statSync(path).mode & 0o777, 0o700);
      assert.deepEqual((await verifyBackup(path)).problems, []);
      await assert.rejects(write(store, path), { code: "conflict" });
    });

    for (const to of kinds) {
      test(`is restored into ${to} with every row, raised fences, and its own event`, async () => {
        const [home, databaseUrl] = [fresh(), await freshUrl(to)];
        mirrorsRestored = [];
        const restored = await restoreInto(path, home, databaseUrl);
        assert.equal(restored.missingEvents, 0);
        assert.equal(restored.artifacts, 1);
        assert.deepEqual([mirrorsRestored[0]?.[0], mirrorsRestored.length], [world.repository.project, 1]);
        assert.equal(restored.unknown.tasks.length, 200, "those that were queued or at work");
        assert.ok(!existsSync(join(home, "restoring")));

        const again = await openStore(home, databaseUrl);
        try {
          const moved = ["runners", "orchestrators", "counters", "tokens", "events", "streams"];
          const now = await everything(again.source, moved);
          for (const [table, rows] of Object.entries(now)) assert.deepEqual(rows, before_[table], table);
          const one = async <Row extends object>(query: ReturnType<typeof sql>): Promise<Row | null> => again.db.read.one<Row>(query);
          const project = world.repository.project;
          const told = await one<{ data: string; at: number }>(
            sql`select data, at from events where stream = 'instance' and type = 'store.restored'`,
          );
          assert.equal((JSON.parse(told?.data ?? "{}") as { tasks?: number }).tasks, 200);
          assert.deepEqual(
            { ...(await one<object>(sql`select epoch, lease_until from runners`)) },
            { epoch: 3 + raisedBy.epochs, lease_until: 0 },
          );
          assert.deepEqual(
            { ...(await one<object>(sql`select epoch from orchestrators where project = ${project}`)) },
            { epoch: 7 + raisedBy.epochs },
          );
          assert.ok((await again.db.nextNumber("task")) > raisedBy.numbers);
          assert.equal(
            (await one<{ n: number }>(sql`select count(*) as n from tokens where revoked_at is null`))?.n,
            1,
            "agents' tokens are over",
          );
          // A fence from after the backup, when the lease was taken a few times more, holds nowhere.
          assert.deepEqual(
            await again.db.commit({ statements: [statement(sql`select 1 from runners where id = 'runner-1' and epoch = 9`)], events: [] }),
            {
              kind: "conflict",
              statement: 0,
            },
          );
          assert.match(await again.artifacts.text(artifact), /^a result/);
          const found = await verifyStore({ ...again, read: again.db.read, workspaces: world.workspaces, compared: null });
          assert.deepEqual(found.problems, []);
          assert.equal(found.checked["tasks"], 300);
        } finally {
          await close(again);
        }
        await (await openDb({ home, databaseUrl, crashAt: null, tell: (note) => assert.fail(note) })).close();

        await assert.rejects(restoreInto(path, home, databaseUrl), { code: "conflict" }, "never over something that is there");
        if (databaseUrl !== undefined)
          await assert.rejects(restoreInto(path, fresh(), databaseUrl), { code: "conflict" }, "nor over a database");
      });
    }
  });
}

suite("a damaged backup", () => {
  let store: Store;
  let made: string;
  before(async () => {
    store = await openStore(fresh(), undefined);
    await fill(store, 20);
    await world.workspaces.refresh(world.repository);
    made = join(folder, "to-damage");
    await write(store, made);
  });
  after(() => close(store));

  test("is found in whichever file it is, and never restored", async () => {
    const files = readdirSync(made, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(files.length > 10);
    for (const { name, parentPath } of files) {
      const file = join(parentPath, name);
      const whole = readFileSync(file);
      const damaged = Buffer.from(whole);
      damaged[Math.floor(whole.length / 2)] = (damaged[Math.floor(whole.length / 2)] ?? 0) ^ 4;
      for (const bytes of [damaged, whole.subarray(0, Math.floor(whole.length / 3)), null]) {
        if (bytes) writeFileSync(file, bytes);
        else rmSync(file);
        const how = `${file} ${bytes === damaged ? "one bit" : bytes ? "cut" : "gone"}`;
        const problems = await verifyBackup(made).then(
          (verification) => verification.problems.length,
          (error: { code?: unknown }) => (["check_failed", "not_found"].includes(String(error.code)) ? 1 : 0),
        );
        assert.ok(problems > 0, how);
        if (/^[0-9a-f]{64}$/.test(name)) {
          assert.deepEqual((await restoreInto(made, fresh(), undefined)).missingArtifacts, [name], how);
          continue;
        }
        const home = fresh();
        await assert.rejects(restoreInto(made, home, undefined), (error: { code?: unknown }) =>
          ["check_failed", "not_found"].includes(String(error.code)),
        );
        assert.ok(!existsSync(join(home, "tutti.db")), `${how}: nothing is restored`);
      }
      writeFileSync(file, whole);
    }
    assert.deepEqual((await verifyBackup(made)).problems, []);
  });

  test("a restore that was broken off leaves no store, and can be done again in the same home", async () => {
    const home = fresh();
    const broken = restoreBackup({
      folder: made,
      home,
      databaseUrl: undefined,
      now: 1,
      openArtifacts: () => openArtifacts({ home, databaseUrl: undefined }),
      openWorkspaces: () => Promise.reject(new Error("broken off")),
    });
    await assert.rejects(broken, /broken off/);
    assert.ok(!existsSync(join(home, "tutti.db")) && existsSync(join(home, "restoring")));
    await assert.rejects(
      openDb({ home, databaseUrl: undefined, crashAt: null }),
      { code: "conflict" },
      "and no server starts on the half of it",
    );
    assert.equal((await restoreInto(made, home, undefined)).missingEvents, 0);
    assert.ok(!existsSync(join(home, "restoring")));
  });

  test("a backup of a newer Tutti is refused with the version that can", async () => {
    const newer = join(folder, "newer");
    cpSync(made, newer, { recursive: true });
    const text = JSON.stringify({ ...readManifest(made), schema: { version: 9999, oldestServer: 9999 } });
    writeFileSync(join(newer, "manifest.json"), text);
    writeFileSync(join(newer, "manifest.sha256"), `${sha256(text)}  manifest.json\n`);
    await assert.rejects(restoreInto(newer, fresh(), undefined), { code: "conflict", message: /schema version 9999/ });
  });

  test("an artifact that is not there any more is named by the backup and by its verification", async () => {
    const copy = await openStore(fresh(), undefined);
    const { artifact } = await fill(copy, 3);
    rmSync(join(copy.home, "artifacts", artifact.slice(0, 2), artifact));
    const path = join(folder, "without-artifact");
    await write(copy, path);
    assert.deepEqual(readManifest(path).artifacts.missing, [artifact]);
    assert.deepEqual(
      (await verifyBackup(path)).problems.map(({ area }) => area),
      ["artifacts"],
    );
    await restoreInto(path, fresh(), undefined);
    await close(copy);
  });
});

suite("a store is verified", () => {
  test("each kind of damage is found under its area; a sound store has none", async () => {
    const store = await openStore(fresh(), undefined);
    const { artifact } = await fill(store, 12);
    await world.workspaces.refresh(world.repository);
    const areas = async (): Promise<string[]> => {
      const { problems } = await verifyStore({ ...store, read: store.db.read, workspaces: world.workspaces, compared: null });
      return [...new Set(problems.map(({ area }) => area))];
    };
    const change = async (query: ReturnType<typeof sql>): Promise<unknown> =>
      store.db.commit({ statements: [statement(query, "any")], events: [] });
    assert.deepEqual(await areas(), []);

    await change(sql`update tasks set state = 'cancelled' where id = 'T-1'`);
    assert.deepEqual(await areas(), ["tasks"], "a state that no event tells of");
    await change(sql`update tasks set state = 'done' where id = 'T-1'`);

    await change(sql`update events set data = '{"forged":1}' where task = 'T-2' and type = 'task.created'`);
    assert.deepEqual(await areas(), ["events"]);
    await change(sql`update events set data = '' where task = 'T-2' and type = 'task.created'`);
    assert.deepEqual(await areas(), [], "data that was erased is no damage");

    const head = world.git(world.mirror, "rev-parse", "main");
    const session = (id: string, commit: string) => sql`
      insert into sessions (id, project, task, agent, state, branch, commit_id, not_included, demo, created_at, updated_at)
      values (${id}, ${world.repository.project}, 'T-1', 'a', 'done', 'b', ${commit}, '[]', 0, 1, 1)`;
    await change(session("s1", head));
    assert.deepEqual(await areas(), []);
    await change(session("s2", "1".repeat(40)));
    assert.deepEqual(await areas(), ["mirrors"]);
    await change(sql`delete from sessions where id = 's2'`);

    const file = join(store.home, "artifacts", artifact.slice(0, 2), artifact);
    writeFileSync(file, "something else");
    assert.deepEqual(await areas(), ["artifacts"]);
    rmSync(file);
    assert.deepEqual(await areas(), ["artifacts"]);
    await close(store);
  });

  test("pages of a SQLite file that are damaged are found", async () => {
    const store = await openStore(fresh(), undefined);
    await fill(store, 200);
    await close(store);
    const file = join(store.home, "tutti.db");
    const bytes = readFileSync(file);
    bytes.fill(0xab, 4096 * 20, 4096 * 24);
    writeFileSync(file, bytes);
    const own = await openOwn(store.source);
    const artifacts = await openArtifacts({ home: store.home, databaseUrl: undefined });
    const found = await verifyStore({
      source: store.source,
      read: { all: async () => [], one: async () => null },
      artifacts,
      workspaces: world.workspaces,
      compared: null,
    });
    await own.close();
    await artifacts.close();
    assert.ok(
      found.problems.some(({ area }) => area === "store"),
      JSON.stringify(found.problems),
    );
  });
});

test("a task's events tell the states that it can be in", () => {
  const event = (type: string, data = "{}") => ({ type, data });
  const cases: [ReturnType<typeof event>[], string[] | null][] = [
    [[], null],
    [
      [event("task.created"), event("task.assigned")],
      ["starting", "needs you"],
    ],
    [[event("task.started")], ["running", "needs you"]],
    [[event("task.started"), event("task.requeued", '{"state":"paused"}')], ["paused"]],
    [[event("task.started"), event("task.settled", '{"state":"failed"}')], ["failed"]],
    [[event("task.settled", "")], null],
    [[event("task.settled", '{"state":"done"}'), event("task.stop-requested")], ["done"]],
  ];
  for (const [events, states] of cases) assert.deepEqual(foldTask(events), states);
});

test("commits do not wait for a backup: it reads in a thread of its own", async () => {
  const store = await openStore(fresh(), undefined);
  await fill(store, 3);
  const many = 20_000;
  for (let from = 10; from < many; from += 1000) {
    await store.db.commit({ statements: [], events: [] });
    await Promise.all(Array.from({ length: 1000 }, (_, index) => store.db.commit(task(from + index, "done"))));
  }
  const latencies = async (until: Promise<unknown>): Promise<number[]> => {
    let over = false;
    void until.finally(() => (over = true));
    const each: number[] = [];
    for (let n = 0; !over; n += 1) {
      const at = performance.now();
      await store.db.commit({ statements: [], events: [{ stream: "probe", type: "task.created", data: { n } }] });
      each.push(performance.now() - at);
    }
    return each.toSorted((a, b) => a - b);
  };
  const alone = await latencies(new Promise((resolve) => setTimeout(resolve, 1000)));
  const meanwhile = await latencies(write(store, join(folder, "while-working")));
  const p99 = (values: number[]): number => values[Math.floor(values.length * 0.99)] ?? 0;
  console.log(
    `p99 of a commit: ${p99(alone).toFixed(1)} ms alone (${alone.length}), ${p99(meanwhile).toFixed(1)} ms during a backup of ${many} tasks (${meanwhile.length})`,
  );
  assert.ok(meanwhile.length > 20, `${meanwhile.length} commits during the backup`);
  assert.ok(p99(meanwhile) < 250);
  await close(store);
});

test("the mark of a restored store is there from its first start", async () => {
  const store = await openStore(fresh(), undefined);
  await fill(store, 3);
  const path = join(folder, "for-the-mark");
  await write(store, path);
  await close(store);
  const home = fresh();
  await restoreInto(path, home, undefined);
  assert.ok(existsSync(`${sqliteMark(join(home, "tutti.db"))}.commits`));
  const db = new DatabaseSync(join(home, "tutti.db"));
  db.exec("update streams set commits = commits - 2, seq = seq - 1");
  db.close();
  await assert.rejects(openDb({ home, databaseUrl: undefined, crashAt: null }), { code: "damaged" });
});

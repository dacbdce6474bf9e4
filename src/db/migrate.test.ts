import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { startPostgres } from "../../test/support/postgres.ts";
import { copyBeforeMigration, copyPath } from "./copy-before.ts";
import { type Migration, migratePostgres, migrateSqlite, migrations, pendingMigrations, statementsFor } from "./migrate.ts";
import { openDb } from "./open.ts";

type Dialect = "sqlite" | "postgres";
/** Each statement, the row that says so, and COMMIT. */
const stepsOf = (migration: Migration, dialect: Dialect = "sqlite"): number => statementsFor(migration, dialect).length + 2;
const allSteps = (dialect: Dialect): number => migrations.reduce((sum, migration) => sum + stepsOf(migration, dialect), 0);
const steps = allSteps("sqlite");
const newest = migrations.at(-1)?.version ?? 0;
const oldestServer = migrations.at(-1)?.oldestServer ?? 0;

/** The version that is in force when a start was broken off at this step: that of the last migration that was finished. */
function versionAt(step: number, dialect: Dialect = "sqlite"): number {
  let left = step;
  let version = 0;
  for (const migration of migrations) {
    left -= stepsOf(migration, dialect);
    if (left < 0) break;
    version = migration.version;
  }
  return version;
}

const versionOf = (db: DatabaseSync): number =>
  (db.prepare("select version from schema").get() as { version: number } | undefined)?.version ?? 0;

const tableNames = (db: DatabaseSync): unknown[] =>
  db
    .prepare("select name from sqlite_schema where type = 'table' order by name")
    .all()
    .map(({ name }) => name);

const schemaRow = (db: DatabaseSync): unknown => ({ ...db.prepare("select * from schema").get() });

test("broken off at any statement the schema is the old one, and starting again finishes it", () => {
  for (let at = 0; at < steps; at += 1) {
    const db = new DatabaseSync(":memory:");
    const breakOff = (index: number): void => {
      if (index === at) throw new Error("broken off");
    };
    assert.throws(() => migrateSqlite(db, { beforeStatement: breakOff }), /broken off/);
    assert.equal(versionOf(db), versionAt(at), `at ${at}`);
    if (versionAt(at) === 0) assert.deepEqual(tableNames(db), ["schema"], `at ${at}`);
    assert.equal(tableNames(db).includes("channels"), versionAt(at) >= 2, `at ${at}`);
    migrateSqlite(db);
    assert.deepEqual(schemaRow(db), { version: newest, oldest_server: oldestServer });
    assert.ok(tableNames(db).includes("events") && tableNames(db).includes("channels"));
    db.close();
  }
});

test("killed in a migration the store is the old one, and starting again finishes it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tutti-migrate-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const at of [0, 7, steps - 2, steps - 1, steps]) {
    const home = await mkdtemp(join(folder, "home-"));
    const child = spawn(process.execPath, [fileURLToPath(new URL("./store.child.ts", import.meta.url)), "migrate", home, String(at)], {
      stdio: "ignore",
    });
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    assert.deepEqual([code, signal], at === steps ? [0, null] : [null, "SIGKILL"], `at ${at}`);
    const db = new DatabaseSync(join(home, "tutti.db"));
    assert.equal(versionOf(db), at === steps ? newest : versionAt(at), `at ${at}`);
    db.close();
  }
});

test("a later migration is added to what is there, keeps the rows, and is done once", () => {
  const db = new DatabaseSync(":memory:");
  migrateSqlite(db);
  db.exec("insert into counters (name, next) values ('task', 7)");
  const later: Migration = {
    version: newest + 1,
    oldestServer: 1,
    statements: ["alter table counters add column note text", "create table extra (id text)"],
  };
  const known = [...migrations, later];
  migrateSqlite(db, { known });
  migrateSqlite(db, { known });
  assert.deepEqual({ ...db.prepare("select * from counters").get() }, { name: "task", next: 7, note: null });
  assert.deepEqual(schemaRow(db), { version: newest + 1, oldest_server: 1 });
  // The server before it goes on beside it and changes nothing.
  migrateSqlite(db);
  assert.deepEqual(schemaRow(db), { version: newest + 1, oldest_server: 1 });
  db.close();
});

test("a store is refused exactly when its oldest server is newer than this one, naming both versions", () => {
  assert.deepEqual(pendingMigrations(null), [...migrations]);
  assert.deepEqual(pendingMigrations({ version: 1, oldest_server: 1 }), migrations.slice(1));
  assert.deepEqual(pendingMigrations({ version: newest, oldest_server: 1 }), []);
  assert.deepEqual(pendingMigrations({ version: newest + 4, oldest_server: 1 }), []);
  assert.throws(() => pendingMigrations({ version: newest + 4, oldest_server: newest + 1 }), {
    code: "conflict",
    message: new RegExp(`version ${newest + 4}.*version ${newest}`),
  });
});

test("PostgreSQL: killed at any statement the schema is the old one, and the next start goes on with it to the end", async (t) => {
  const postgres = await startPostgres();
  const url = await postgres.freshDatabase();
  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: url });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  const admin = await connect();
  t.after(async () => {
    await admin.end();
    await postgres.stop();
  });
  const ask = async (text: string): Promise<unknown[]> => (await admin.query(text)).rows as unknown[];
  let killed = 0;
  for (const [done, migration] of migrations.entries()) {
    const known = migrations.slice(0, done + 1);
    const before = migrations[done - 1]?.version ?? 0;
    for (let at = 0; at < stepsOf(migration, "postgres"); at += 1) {
      const where = `migration ${migration.version}, at ${at}`;
      // Each is the next start after the one before.
      const dying = await connect();
      const [{ pid } = { pid: 0 }] = (await dying.query<{ pid: number }>("select pg_backend_pid() as pid")).rows;
      const kill = async (index: number): Promise<void> => {
        if (index === at) await admin.query("select pg_terminate_backend($1, 5000)", [pid]);
      };
      await assert.rejects(migratePostgres(dying, { known, beforeStatement: kill }), where);
      await dying.end().catch(() => undefined);
      killed += 1;
      assert.deepEqual(await ask("select version::int from schema"), before === 0 ? [] : [{ version: before }], where);
      const tables = await ask("select tablename from pg_tables where schemaname = 'public'");
      if (before === 0) assert.deepEqual(tables, [{ tablename: "schema" }], where);
    }
    const next = await connect();
    await migratePostgres(next, { known });
    await next.end();
    assert.deepEqual(await ask("select version::int, oldest_server::int from schema"), [
      { version: migration.version, oldest_server: migration.oldestServer },
    ]);
  }
  assert.equal(killed, allSteps("postgres"));
});

test("before a store is migrated it is copied, once for each upgrade, and the newest two copies are kept", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "tutti-copy-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const file = join(home, "tutti.db");
  const db = new DatabaseSync(file);
  const upTo = (version: number): readonly Migration[] => migrations.filter((migration) => migration.version <= version);
  const later = (version: number): Migration => ({ version, oldestServer: 1, statements: [`create table t${version} (id text)`] });
  assert.equal(copyBeforeMigration(file, db), null, "there is nothing to copy yet");

  migrateSqlite(db, { known: upTo(1) });
  db.exec("insert into counters (name, next) values ('task', 7)");
  const copy = copyBeforeMigration(file, db);
  assert.equal(copy, copyPath(file, newest));
  assert.equal(statSync(copy ?? "").mode & 0o777, 0o600);
  const copied = new DatabaseSync(copy ?? "");
  assert.equal(versionOf(copied), 1);
  assert.deepEqual({ ...copied.prepare("select * from counters").get() }, { name: "task", next: 7 });
  copied.close();

  // Broken off between two migrations, and started again: the copy is still that of before the first one.
  migrateSqlite(db, { known: upTo(2) });
  assert.equal(copyBeforeMigration(file, db), copy);
  const kept = new DatabaseSync(copy ?? "");
  assert.equal(versionOf(kept), 1);
  kept.close();
  migrateSqlite(db);
  assert.equal(copyBeforeMigration(file, db), null, "nothing is to be done, so nothing is copied");

  for (const version of [newest + 1, newest + 2, newest + 3]) {
    const known = [...migrations, ...[1, 2, 3].filter((more) => newest + more <= version).map((more) => later(newest + more))];
    assert.ok(copyBeforeMigration(file, db, known));
    migrateSqlite(db, { known });
  }
  assert.deepEqual(new Set(readdirSync(join(home, "backups"))), new Set([`before-${newest + 2}.db`, `before-${newest + 3}.db`]));
  db.close();
});

test("a server that starts on an older store copies and migrates it; where no copy can be made it changes nothing", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "tutti-copy-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const file = join(home, "tutti.db");
  const old = new DatabaseSync(file);
  old.exec("pragma journal_mode = wal");
  migrateSqlite(old, { known: migrations.slice(0, 2) });
  old.close();
  writeFileSync(join(home, "backups"), "in the way");
  await assert.rejects(openDb({ home, databaseUrl: undefined, crashAt: null }));
  const unchanged = new DatabaseSync(file);
  assert.equal(versionOf(unchanged), 2);
  unchanged.close();
  await rm(join(home, "backups"));
  await (await openDb({ home, databaseUrl: undefined, crashAt: null })).close();
  assert.ok(existsSync(copyPath(file, newest)));
});

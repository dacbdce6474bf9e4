import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Migration, migrateSqlite, migrations, pendingMigrations } from "./migrate.ts";

const steps = migrations.reduce((sum, { statements }) => sum + statements.length + 2, 0);
const newest = migrations.at(-1)?.version ?? 0;

/** The version that is in force when a start was broken off at this step: that of the last migration that was finished. */
function versionAt(step: number): number {
  let left = step;
  let version = 0;
  for (const migration of migrations) {
    left -= migration.statements.length + 2;
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
    assert.deepEqual(schemaRow(db), { version: newest, oldest_server: 1 });
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

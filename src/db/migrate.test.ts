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

const tableNames = (db: DatabaseSync): unknown[] =>
  db
    .prepare("select name from sqlite_schema where type = 'table' order by name")
    .all()
    .map(({ name }) => name);

const schemaRow = (db: DatabaseSync): unknown => ({ ...db.prepare("select * from schema").get() });

test("broken off at any statement the schema is the old one, and starting again finishes it", () => {
  const db = new DatabaseSync(":memory:");
  for (let at = 0; at < steps; at += 1) {
    const breakOff = (index: number): void => {
      if (index === at) throw new Error("broken off");
    };
    assert.throws(() => migrateSqlite(db, { beforeStatement: breakOff }), /broken off/);
    assert.deepEqual(tableNames(db), ["schema"], `at ${at}`);
  }
  migrateSqlite(db);
  assert.deepEqual(schemaRow(db), { version: 1, oldest_server: 1 });
  assert.ok(tableNames(db).includes("events"));
  db.close();
});

test("killed in a migration the store is the old one, and starting again finishes it", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "tutti-migrate-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  for (const at of [0, 7, steps - 2, steps - 1, steps]) {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./store.child.ts", import.meta.url)), "migrate", home, String(at)], {
      stdio: "ignore",
    });
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    assert.deepEqual([code, signal], at === steps ? [0, null] : [null, "SIGKILL"], `at ${at}`);
    const db = new DatabaseSync(join(home, "tutti.db"));
    assert.equal(tableNames(db).includes("events"), at === steps, `at ${at}`);
    db.close();
  }
});

test("a later migration is added to what is there, keeps the rows, and is done once", () => {
  const db = new DatabaseSync(":memory:");
  migrateSqlite(db);
  db.exec("insert into counters (name, next) values ('task', 7)");
  const second: Migration = {
    version: 2,
    oldestServer: 1,
    statements: ["alter table counters add column note text", "create table extra (id text)"],
  };
  const known = [...migrations, second];
  migrateSqlite(db, { known });
  migrateSqlite(db, { known });
  assert.deepEqual({ ...db.prepare("select * from counters").get() }, { name: "task", next: 7, note: null });
  assert.deepEqual(schemaRow(db), { version: 2, oldest_server: 1 });
  // The server before it goes on beside it and changes nothing.
  migrateSqlite(db);
  assert.deepEqual(schemaRow(db), { version: 2, oldest_server: 1 });
  db.close();
});

test("a store is refused exactly when its oldest server is newer than this one, naming both versions", () => {
  assert.deepEqual(pendingMigrations(null), [...migrations]);
  assert.deepEqual(pendingMigrations({ version: 1, oldest_server: 1 }), []);
  assert.deepEqual(pendingMigrations({ version: 5, oldest_server: 1 }), []);
  assert.throws(() => pendingMigrations({ version: 5, oldest_server: 2 }), { code: "conflict", message: /version 5.*version 1/ });
});

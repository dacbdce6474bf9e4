import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, openSync, closeSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { migrations } from "../db/migrate.ts";
import { onBothStores } from "../../test/support/stores.ts";
import { examineDatabase, examineLog, quickCheck } from "./examine.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-doctor-"));
after(() => rmSync(folder, { recursive: true, force: true }));

onBothStores((rule, kind) => {
  rule(
    "is described, and read whole only when that is wanted; a clock that is wrong is seen to be so",
    async ({ db, services, moveClock }) => {
      const newest = migrations.at(-1)?.version;
      const light = await examineDatabase(db, { home: services.home, deep: false });
      assert.deepEqual([light.kind, light.schema, light.newestSchema, light.integrity], [kind, newest, newest, null]);
      assert.match(light.version, /^\d+\.\d+/);
      assert.ok(Math.abs(light.skewMs) < 2_000);
      assert.equal((await examineDatabase(db, { home: services.home, deep: true })).integrity, kind === "sqlite" ? "ok" : null);
      await moveClock(60_000);
      assert.ok((await examineDatabase(db, { home: services.home, deep: false })).skewMs > 50_000);
    },
  );
});

suite("a store", () => {
  test("that was damaged on the disk is found, and what is no store at all", async () => {
    const file = join(folder, "damaged.db");
    const db = new DatabaseSync(file);
    db.exec("create table things (name text); begin");
    const insert = db.prepare("insert into things values (?)");
    for (let count = 0; count < 2_000; count += 1) insert.run(`thing ${count}`.repeat(10));
    db.exec("commit");
    db.close();
    assert.equal(await quickCheck(file), "ok");
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, 4096 * 3);
    closeSync(descriptor);
    assert.match((await quickCheck(file)) ?? "", /page|malformed|corrupt|Tree/i);
    const none = join(folder, "none.db");
    writeFileSync(none, "this is no database, and never was one".repeat(100));
    assert.match((await quickCheck(none)) ?? "", /not a database/);
    assert.match((await quickCheck(join(folder, "nowhere.db"))) ?? "", /unable to open/);
  });

  test("that takes too long to read is not called sound", async () => {
    assert.equal(await quickCheck(join(folder, "damaged.db"), 0), null);
  });
});

test("a log that is gone or cannot be written is told; looking makes none and changes none", async () => {
  const file = join(folder, "server.log");
  assert.match((await examineLog(file)) ?? "", /is gone/);
  assert.equal(statSync(file, { throwIfNoEntry: false }), undefined);
  writeFileSync(file, "before\n");
  chmodSync(file, 0o600);
  const { size, mtimeMs } = statSync(file);
  assert.equal(await examineLog(file), null);
  assert.deepEqual([statSync(file).size, statSync(file).mtimeMs], [size, mtimeMs]);
  rmSync(file);
  mkdirSync(file);
  assert.match((await examineLog(file)) ?? "", /cannot be written/);
});

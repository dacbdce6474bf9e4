import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDb } from "./open.ts";

test("without a url the store is SQLite, in the data folder", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "tutti-open-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
  assert.equal(db.kind, "sqlite");
  assert.ok(existsSync(join(home, "tutti.db")));
  await db.close();
});

test("a url of PostgreSQL is tried, in both spellings", async () => {
  for (const scheme of ["postgres", "postgresql"]) {
    await assert.rejects(openDb({ home: "/nowhere", databaseUrl: `${scheme}://127.0.0.1:1/tutti`, crashAt: null }), {
      code: "unreachable",
    });
  }
});

test("any other url is refused, and is not repeated: it may hold a password", async () => {
  for (const databaseUrl of ["", "mysql://me:secret-word@host/db", "/var/lib/tutti.db", "postgres:secret-word", "http://postgres://x"]) {
    await assert.rejects(openDb({ home: "/nowhere", databaseUrl, crashAt: null }), (error: { code?: string }) => {
      assert.equal(error.code, "invalid_input");
      assert.equal(JSON.stringify(error).includes("secret-word"), false);
      return true;
    });
  }
});

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readServerFile, removeServerFile, writeServerFile } from "./server-file.ts";

function makeHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), "tutti-file-"));
  t.after(() => rmSync(home, { recursive: true }));
  return home;
}

const file = { url: "http://127.0.0.1:7420", token: "tutti_x", version: "1.0.0" };

test("the server's file is whole, private, and read back only while its process lives", async (t) => {
  const home = makeHome(t);
  assert.equal(await readServerFile(home), null);
  await writeServerFile(home, { ...file, pid: process.pid });
  assert.equal(statSync(join(home, "server.json")).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(home), ["server.json"], "no temporary file is left");
  assert.deepEqual(await readServerFile(home), { ...file, pid: process.pid });
  await writeServerFile(home, { ...file, pid: 2 ** 22 - 1 });
  assert.equal(await readServerFile(home), null);
});

test("a server removes its own file only, and a damaged one counts as none", async (t) => {
  const home = makeHome(t);
  await writeServerFile(home, { ...file, pid: process.pid });
  await removeServerFile(home, 1);
  assert.ok(await readServerFile(home));
  await removeServerFile(home, process.pid);
  assert.equal(await readServerFile(home), null);
  await removeServerFile(home, process.pid);
  writeFileSync(join(home, "server.json"), "{");
  assert.equal(await readServerFile(home), null);
});

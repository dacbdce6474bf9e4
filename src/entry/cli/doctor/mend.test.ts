import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { mend } from "./mend.ts";

const home = mkdtempSync(join(tmpdir(), "tutti-mend-"));
after(() => rmSync(home, { recursive: true, force: true }));
const file = join(home, "server.json");
const of = (pid: number): string => JSON.stringify({ url: "http://127.0.0.1:1", token: "t", pid, version: "1" });

test("a server that started since it was looked at keeps its file", async () => {
  writeFileSync(file, of(process.pid));
  assert.equal(await mend({ kind: "remove server file" }, { home, client: null }), null);
  assert.ok(existsSync(file));
  writeFileSync(file, "{");
  assert.match((await mend({ kind: "remove server file" }, { home, client: null })) ?? "", /removed/);
  assert.ok(!existsSync(file));
});

test("a file keeps its owner's rights and loses all others; what a link leads to is left alone, and so is what is gone", async () => {
  const secret = join(home, "secret");
  writeFileSync(secret, "x");
  chmodSync(secret, 0o644);
  const link = join(home, "link");
  symlinkSync(secret, link);
  assert.equal(await mend({ kind: "close", path: link }, { home, client: null }), null);
  assert.equal(statSync(secret).mode & 0o777, 0o644);
  assert.match((await mend({ kind: "close", path: secret }, { home, client: null })) ?? "", /0600/);
  assert.equal(statSync(secret).mode & 0o777, 0o600);
  assert.equal(await mend({ kind: "close", path: join(home, "gone") }, { home, client: null }), null);
});

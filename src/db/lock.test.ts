import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { lockHome } from "./lock.ts";

async function newHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "tutti-lock-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

test("one process holds a folder; another is refused until the first is gone, even by kill -9", async (t) => {
  const home = await newHome(t);
  const holder = spawn(process.execPath, [fileURLToPath(new URL("./store.child.ts", import.meta.url)), "lock", home], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  assert.throws(() => lockHome(home), { code: "already_running" });
  assert.throws(() => lockHome(home), { code: "already_running" });
  holder.kill("SIGKILL");
  await once(holder, "exit");
  lockHome(home).release();
});

test("the same process does not get a folder twice, and asking twice does not lose the lock", async (t) => {
  const home = await newHome(t);
  const lock = lockHome(home);
  assert.throws(() => lockHome(home), { code: "already_running" });
  const other = spawn(process.execPath, [fileURLToPath(new URL("./store.child.ts", import.meta.url)), "lock", home], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => other.kill("SIGKILL"));
  other.stdout.once("data", () => other.kill("SIGKILL"));
  const [code] = (await once(other, "exit")) as [number | null];
  assert.equal(code, 1, "another process is still refused");
  lock.release();
  lock.release();
  lockHome(home).release();
});

test("two folders are two locks, and the lock's file is the owner's only", async (t) => {
  const [one, two] = [await newHome(t), await newHome(t)];
  const locks = [lockHome(one), lockHome(two)];
  assert.equal((await stat(join(one, "lock.db"))).mode & 0o077, 0);
  for (const lock of locks) lock.release();
});

test("a folder that is missing is an error of its own, not a held lock", () => {
  assert.throws(() => lockHome("/nowhere/at/all"), { code: "ENOENT" });
});

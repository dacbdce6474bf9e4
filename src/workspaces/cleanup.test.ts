import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Workspace } from "./workspace.ts";
import { openWorld, type World, write } from "./world.suite.ts";

let world: World;
let workspace: Workspace;
beforeEach(async () => {
  world = await openWorld();
  workspace = await world.open();
});
afterEach(() => world.dispose());

const remove = (session = "s1") => world.workspaces.remove({ repository: world.repository, session });
const folder = () => join(world.home, "sessions/s1");
const at = (path: string) => join(workspace.path, path);
const inClone = (...args: string[]) => world.git(workspace.path, ...args);
const refs = () => world.git(world.mirror, "for-each-ref", "--format=%(refname)", "refs/keep").split("\n");

test("the last state is kept under refs/keep before the folder goes, and again is nothing to do", async () => {
  write(at("never snapshotted.txt"), "work");
  await remove();
  assert.equal(existsSync(folder()), false);
  assert.deepEqual(readdirSync(join(world.home, "snapshots")), []);
  assert.equal(world.git(world.mirror, "show", "refs/keep/s1:never snapshotted.txt"), "work");
  assert.equal(world.git(world.mirror, "log", "-1", "--format=%an|%cn", "refs/keep/s1"), "Ada Lovelace|Tutti");
  await remove();
  await remove("never-opened");
});

test("other branches and the stash are kept too", async () => {
  inClone("switch", "-qc", "try/one");
  write(at("README.md"), "stashed");
  inClone("stash");
  write(at("one.txt"), "one");
  inClone("add", "-A");
  inClone("commit", "-qm", "one");
  inClone("switch", "-q", "tutti/T-s1");
  await remove();
  assert.deepEqual(refs(), ["refs/keep/s1", "refs/keep/s1.heads/try/one", "refs/keep/s1.stash"]);
  assert.equal(world.git(world.mirror, "show", "refs/keep/s1.heads/try/one:one.txt"), "one");
  assert.equal(world.git(world.mirror, "show", "refs/keep/s1.stash:README.md"), "stashed");
});

test("commits of a detached HEAD are kept when the session's own branch is gone", async () => {
  write(at("one.txt"), "one");
  inClone("add", "-A");
  inClone("commit", "-qm", "one");
  const commit = inClone("rev-parse", "HEAD");
  inClone("checkout", "-q", "--detach");
  inClone("branch", "-D", "-q", "tutti/T-s1");
  await remove();
  assert.equal(world.git(world.mirror, "rev-parse", "refs/keep/s1"), commit);
});

test("what could not be kept is not deleted: a file over the limit stops the removal and is named", async () => {
  world.dispose();
  world = await openWorld({ limits: { fileBytes: 1000 } });
  workspace = await world.open();
  write(at("model.bin"), Buffer.alloc(2000, "m"));
  await assert.rejects(remove(), (error: { code: string; why: string }) => {
    assert.equal(error.code, "conflict");
    assert.match(error.why, /model\.bin/);
    return true;
  });
  assert.equal(existsSync(at("model.bin")), true);
  rmSync(at("model.bin"));
  await remove();
  assert.equal(existsSync(folder()), false);
});

test("a folder in which a process still works is not removed", async () => {
  const child = spawn("cat", { cwd: workspace.path, stdio: ["pipe", "ignore", "ignore"] });
  await once(child, "spawn");
  try {
    await assert.rejects(remove(), { code: "busy" });
    assert.equal(existsSync(workspace.path), true);
  } finally {
    child.stdin.end();
    await once(child, "exit");
  }
  await remove();
  assert.equal(existsSync(folder()), false);
});

test("a folder that was replaced by a link is not followed, nor is a link within it", async () => {
  write(join(world.root, "precious/file"), "keep me");
  symlinkSync(join(world.root, "precious"), at("link"));
  await remove();
  assert.equal(existsSync(join(world.root, "precious/file")), true);

  workspace = await world.open("s2");
  renameSync(join(world.home, "sessions/s2"), join(world.root, "moved"));
  symlinkSync(join(world.root, "moved"), join(world.home, "sessions/s2"));
  await assert.rejects(remove("s2"), { code: "conflict" });
  assert.equal(existsSync(join(world.root, "moved/work/README.md")), true);
  symlinkSync(join(world.root, "precious"), join(world.home, "sessions/s3"));
  await assert.rejects(remove("s3"), { code: "conflict" });
});

test("folders that the agent closed are removed too", async () => {
  write(at("closed/file"), "x");
  chmodSync(at("closed"), 0o000);
  await remove();
  assert.equal(existsSync(folder()), false);
  assert.equal(world.git(world.mirror, "show", "refs/keep/s1:closed/file"), "x");
});

test("a removal that crashed half way is finished, and the half is never taken for work", async () => {
  write(at("a.txt"), "a");
  const kept = await world.snapshot(workspace);
  renameSync(workspace.path, `${workspace.path}.removing`);
  rmSync(join(`${workspace.path}.removing`, "src"), { recursive: true });
  const again = await world.open();
  assert.equal(again.existed, false);
  assert.equal((await world.snapshot(again, 2)).commit, null);
  await remove();
  assert.equal(existsSync(folder()), false);
  assert.equal(world.git(world.mirror, "rev-parse", "refs/tutti/s1/1"), kept.commit);
});

test("ids that lead out of the sessions folder are refused", async () => {
  mkdirSync(join(world.home, "other"));
  for (const id of ["..", "../other", "s1/../../other", ""]) await assert.rejects(remove(id), { code: "invalid_input" });
  assert.equal(existsSync(join(world.home, "other")), true);
});

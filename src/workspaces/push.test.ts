import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openWorld, write } from "./world.suite.ts";

const withRemote = async () => {
  const world = await openWorld();
  const remote = join(world.root, "remote.git");
  world.git(world.root, "clone", "-q", "--bare", world.source, remote);
  world.git(world.source, "remote", "add", "origin", remote);
  world.git(world.source, "fetch", "-q", "origin");
  world.git(world.source, "branch", "-q", "--set-upstream-to=origin/main", "main");
  return { ...world, remote };
};

test("a delivered branch is pushed to its remote, once or again, and no hook runs for it", async () => {
  const { workspaces, repository, source, remote, git, root, dispose } = await withRemote();
  try {
    const marker = join(root, "hook-ran");
    write(join(source, ".git/hooks/pre-push"), `#!/bin/sh\ntouch ${marker}\n`, 0o755);
    write(join(source, "src/two.js"), "export const two = 2;\n");
    git(source, "add", "-A");
    git(source, "commit", "-qm", "second");
    assert.deepEqual(await workspaces.push({ repository, branch: "main" }), { kind: "pushed", remote: "origin" });
    assert.deepEqual(await workspaces.push({ repository, branch: "main" }), { kind: "pushed", remote: "origin" });
    assert.equal(git(remote, "rev-parse", "main"), git(source, "rev-parse", "main"));
    assert.ok(!existsSync(marker));
  } finally {
    dispose();
  }
});

test("a remote that has moved on is not overwritten: the person gets the reason and the command", async () => {
  const { workspaces, repository, source, remote, git, root, dispose } = await withRemote();
  try {
    const other = join(root, "other");
    git(root, "clone", "-q", remote, other);
    git(other, "commit", "-q", "--allow-empty", "-m", "elsewhere");
    git(other, "push", "-q", "origin", "main");
    const before = git(remote, "rev-parse", "main");
    git(source, "commit", "-q", "--allow-empty", "-m", "here");
    const pushed = await workspaces.push({ repository, branch: "main" });
    assert.equal(pushed.kind, "refused");
    assert.match(pushed.kind === "refused" ? pushed.command : "", /git -C .* push origin main:refs\/heads\/main/);
    assert.equal(git(remote, "rev-parse", "main"), before);
  } finally {
    dispose();
  }
});

test("a repository without a remote says so", async () => {
  const { workspaces, repository, dispose } = await openWorld();
  try {
    assert.deepEqual(await workspaces.push({ repository, branch: "main" }), { kind: "no remote" });
  } finally {
    dispose();
  }
});

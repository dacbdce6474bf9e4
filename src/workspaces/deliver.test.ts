import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Delivery } from "./workspace.ts";
import { openWorld, type World, write } from "./world.suite.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const inSource = (...args: string[]) => world.git(world.source, ...args);

/** A merged commit that waits to be delivered, with the given files of an agent in it. */
async function mergedWork(files: Record<string, string> = { "made.txt": "made" }, session = "s1") {
  const workspace = await world.open(session);
  for (const [path, text] of Object.entries(files)) write(join(workspace.path, path), text);
  const { commit } = await world.snapshot(workspace, 1, session);
  const sources = [world.sourceOf(`run/${session}`, commit)];
  const result = await world.workspaces.merge({ repository: world.repository, into: "main", sources, author: world.person });
  assert.ok(result.kind === "merged");
  return { before: result.before, commit: result.commit };
}

const deliver = (work: { before: string; commit: string }) =>
  world.workspaces.deliver({ repository: world.repository, into: "main", ...work, waitingBranch: "tutti/run-1" });

function waiting(delivery: Delivery) {
  assert.ok(delivery.kind === "waiting", JSON.stringify(delivery));
  return delivery;
}

test("a branch that is checked out and clean goes forward with its files, and again is already there", async () => {
  const work = await mergedWork();
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "fast-forward" });
  assert.equal(inSource("rev-parse", "main"), work.commit);
  assert.equal(readFileSync(join(world.source, "made.txt"), "utf8"), "made");
  assert.equal(inSource("status", "--porcelain"), "");
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "fast-forward" });
  inSource("commit", "-q", "--allow-empty", "-m", "the person goes on");
  assert.equal((await deliver(work)).kind, "delivered");
  assert.equal(inSource("for-each-ref", "refs/tutti"), "");
});

test("a branch that is not checked out goes forward alone, and the person's files stay", async () => {
  inSource("switch", "-qc", "other");
  write(join(world.source, "README.md"), "half a change");
  const work = await mergedWork();
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "update-ref" });
  assert.equal(inSource("rev-parse", "main"), work.commit);
  assert.equal(existsSync(join(world.source, "made.txt")), false);
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "update-ref" });
});

test("a branch that is checked out with changes waits on a branch, and the one command finishes it", async () => {
  const work = await mergedWork();
  write(join(world.source, "README.md"), "half a change\n");
  const delivery = waiting(await deliver(work));
  assert.equal(delivery.command, "git merge tutti/run-1");
  assert.match(delivery.why, /uncommitted changes: README\.md/);
  assert.equal(inSource("rev-parse", "tutti/run-1"), work.commit);
  assert.equal(inSource("rev-parse", "main"), work.before);
  assert.deepEqual(await deliver(work), delivery, "again, as after a crash");
  execFileSync("git", delivery.command.split(" ").slice(1), { cwd: world.source, stdio: "ignore" });
  assert.equal((await deliver(work)).kind, "delivered");
  assert.equal(readFileSync(join(world.source, "README.md"), "utf8"), "half a change\n");
});

test("staged changes, and a merge that is not concluded, wait as well", async () => {
  const work = await mergedWork();
  write(join(world.source, "README.md"), "staged\n");
  inSource("add", "-A");
  assert.equal((await deliver(work)).kind, "waiting");
  inSource("reset", "-q", "--hard");
  write(join(world.source, ".git/MERGE_HEAD"), `${work.before}\n`);
  assert.equal((await deliver(work)).kind, "waiting");
});

test("an untracked file that would be overwritten makes it wait; other untracked files do not matter", async () => {
  const work = await mergedWork({ "made.txt": "the agent's" });
  write(join(world.source, "unrelated.txt"), "the person's");
  write(join(world.source, "made.txt"), "the person's");
  const delivery = waiting(await deliver(work));
  assert.match(delivery.why, /would be overwritten: made\.txt/);
  assert.equal(readFileSync(join(world.source, "made.txt"), "utf8"), "the person's");
});

test("a file that the person ignores (.env) is not overwritten by a commit that adds one; plain git would do it", async () => {
  write(join(world.source, ".gitignore"), ".env\n");
  inSource("add", "-A");
  inSource("commit", "-qm", "ignore");
  const workspace = await world.open();
  write(join(workspace.path, ".env"), "KEY=the agent's");
  world.git(workspace.path, "add", "-f", ".env");
  world.git(workspace.path, "commit", "-qm", "env");
  const { commit } = await world.snapshot(workspace);
  const sources = [world.sourceOf("run/1", commit)];
  const result = await world.workspaces.merge({ repository: world.repository, into: "main", sources, author: world.person });
  assert.ok(result.kind === "merged");
  write(join(world.source, ".env"), "KEY=the person's");
  cpSync(world.source, join(world.root, "control"), { recursive: true });
  assert.equal((await deliver(result)).kind, "waiting");
  assert.equal(readFileSync(join(world.source, ".env"), "utf8"), "KEY=the person's");
  const control = join(world.root, "control");
  world.git(control, "fetch", "-q", world.source, "tutti/run-1");
  world.git(control, "merge", "-q", "--ff-only", "FETCH_HEAD");
  assert.equal(readFileSync(join(control, ".env"), "utf8"), "KEY=the agent's", "control");
});

test("a branch that moved is said to have moved, checked out or not, and nothing is changed", async () => {
  const work = await mergedWork();
  inSource("commit", "-q", "--allow-empty", "-m", "later");
  const head = inSource("rev-parse", "main");
  assert.deepEqual(await deliver(work), { kind: "moved" });
  inSource("switch", "-qc", "other");
  assert.deepEqual(await deliver(work), { kind: "moved" });
  assert.equal(inSource("rev-parse", "main"), head);
});

test("a branch that is checked out in a linked worktree goes forward there, or waits with the command for there", async () => {
  const tree = join(world.root, "linked tree");
  inSource("switch", "-qc", "other");
  inSource("worktree", "add", "-q", tree, "main");
  const work = await mergedWork();
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "fast-forward" });
  assert.equal(readFileSync(join(tree, "made.txt"), "utf8"), "made");
  const next = await mergedWork({ "next.txt": "next" }, "s2");
  write(join(tree, "README.md"), "changed");
  assert.equal(waiting(await deliver(next)).command, `git -C '${tree}' merge tutti/run-1`);
});

test("a branch in the middle of a rebase is not moved under it", async () => {
  inSource("switch", "-qc", "topic");
  write(join(world.source, "README.md"), "topic\n");
  inSource("commit", "-qam", "topic");
  inSource("switch", "-q", "main");
  write(join(world.source, "README.md"), "main\n");
  inSource("commit", "-qam", "main");
  const work = await mergedWork();
  assert.equal(world.works(world.source, "rebase", "topic"), false);
  const delivery = waiting(await deliver(work));
  assert.match(delivery.why, /being rebased/);
  assert.equal(inSource("rev-parse", "main"), work.before);
});

test("settings of the person's repository cannot turn a delivery into something else", async () => {
  const work = await mergedWork();
  inSource("config", "branch.main.mergeOptions", "--squash --no-commit");
  inSource("config", "merge.ff", "false");
  inSource("config", "merge.verifySignatures", "true");
  inSource("config", "merge.autoStash", "true");
  assert.equal((await deliver(work)).kind, "delivered");
  assert.equal(inSource("rev-parse", "HEAD"), work.commit);
});

test("a lock that somebody holds is busy, and can be tried again", async () => {
  inSource("switch", "-qc", "other");
  const work = await mergedWork();
  write(join(world.source, ".git/refs/heads/main.lock"), "");
  await assert.rejects(deliver(work), { code: "busy", retryable: true });
  assert.equal(inSource("rev-parse", "main"), work.before);
});

test("a bare source gets a push, once, and only onto the value that was seen", async () => {
  world.dispose();
  world = await openWorld({ source: "bare" });
  const work = await mergedWork();
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "push" });
  assert.equal(inSource("rev-parse", "main"), work.commit);
  assert.deepEqual(await deliver(work), { kind: "delivered", branch: "main", how: "push" });
  const next = await mergedWork({ "next.txt": "next" }, "s2");
  inSource("update-ref", "refs/heads/main", work.before);
  assert.deepEqual(await deliver(next), { kind: "moved" });
  assert.equal(inSource("rev-parse", "main"), work.before);
});

test("a branch that moves in the last moment is never moved back: not checked out, checked out, and pushed", async () => {
  for (const kind of ["not checked out", "checked out", "pushed"]) {
    world.dispose();
    world = await openWorld({ sandbox: "none", interference: true, source: kind === "pushed" ? "bare" : "folder" });
    if (kind === "not checked out") inSource("switch", "-qc", "other");
    const work = await mergedWork();
    const newer = inSource("commit-tree", "main^{tree}", "-p", "main", "-m", "the person was faster");
    const verb = { "not checked out": "update-ref -m", "checked out": "merge --ff-only", pushed: "push --quiet" }[kind] ?? "";
    world.interfere(verb, `/usr/bin/git -c safe.bareRepository=all -C "${world.source}" update-ref refs/heads/main ${newer}`);
    assert.deepEqual(await deliver(work), { kind: "moved" }, kind);
    assert.equal(existsSync(join(world.root, "interfered")), true, kind);
    assert.equal(inSource("rev-parse", "main"), newer, kind);
  }
});

test("a branch that somebody makes in the last moment is not replaced by a publication", async () => {
  world.dispose();
  world = await openWorld({ sandbox: "none", interference: true });
  const work = await mergedWork();
  world.interfere("update-ref -m", `/usr/bin/git -C "${world.source}" update-ref refs/heads/tutti/T-1 ${work.before}`);
  const publish = world.workspaces.publish({ repository: world.repository, branch: "tutti/T-1", commit: work.commit });
  await assert.rejects(publish, { code: "conflict" });
  assert.equal(inSource("rev-parse", "tutti/T-1"), work.before);
});

test("hooks of a bare source are not run by the push", async () => {
  world.dispose();
  world = await openWorld({ source: "bare" });
  const trap = world.trap("receive");
  for (const name of ["pre-receive", "update", "post-receive", "reference-transaction", "post-update"]) {
    write(join(world.source, "hooks", name), readFileSync(trap.program), 0o755);
  }
  const work = await mergedWork();
  assert.equal((await deliver(work)).kind, "delivered");
  assert.equal(trap.sprung(), false);
  world.git(world.mirror, "push", "-q", world.source, `${work.commit}:refs/heads/control`);
  assert.equal(trap.sprung(), true, "control");
});

test("a branch that is gone is an error that says how to bring it back", async () => {
  const work = await mergedWork();
  inSource("switch", "-qc", "other");
  inSource("branch", "-qD", "main");
  await assert.rejects(deliver(work), { code: "not_found" });
});

test("a result is published on a branch, replaced by the next one, and never over somebody else's value", async () => {
  const [one, two] = [await mergedWork({ "a.txt": "1" }, "s1"), await mergedWork({ "a.txt": "2" }, "s2")];
  const publish = (commit: string, branch = "tutti/T-1") => world.workspaces.publish({ repository: world.repository, branch, commit });
  await publish(one.commit);
  await publish(one.commit);
  await publish(two.commit);
  assert.equal(inSource("rev-parse", "tutti/T-1"), two.commit);
  inSource("update-ref", "refs/heads/tutti/T-1", one.before);
  await assert.rejects(publish(one.commit), { code: "conflict" });
  assert.equal(inSource("rev-parse", "tutti/T-1"), one.before);
  inSource("branch", "-qD", "tutti/T-1");
  await publish(one.commit);
  inSource("branch", "theirs");
  await assert.rejects(publish(one.commit, "theirs"), { code: "conflict" });
  await assert.rejects(publish(one.commit, "tutti"), { code: "conflict" }, "a folder of branches has this name");
  await assert.rejects(publish(one.commit, "-x"), { code: "invalid_input" });
});

test("a branch that is checked out is not replaced", async () => {
  const [one, two] = [await mergedWork({ "a.txt": "1" }, "s1"), await mergedWork({ "a.txt": "2" }, "s2")];
  const publish = (commit: string) => world.workspaces.publish({ repository: world.repository, branch: "tutti/T-1", commit });
  await publish(one.commit);
  inSource("switch", "-q", "tutti/T-1");
  await assert.rejects(publish(two.commit), { code: "conflict" });
  await publish(one.commit);
});

test("a publication that crashed before it was written down is still known as ours", async () => {
  const [one, two] = [await mergedWork({ "a.txt": "1" }, "s1"), await mergedWork({ "a.txt": "2" }, "s2")];
  await world.workspaces.publish({ repository: world.repository, branch: "tutti/T-1", commit: one.commit });
  // What a crash between the person's repository and the mirror leaves.
  world.git(world.mirror, "update-ref", "-d", "refs/tutti/published/tutti%2FT-1");
  await world.workspaces.publish({ repository: world.repository, branch: "tutti/T-1", commit: two.commit });
  assert.equal(inSource("rev-parse", "tutti/T-1"), two.commit);
});

test("branches with odd names are delivered to and published under their names", async () => {
  const name = "topic/ü'$(id)&;\"%2F";
  inSource("branch", name);
  const repository = { ...world.repository, baseBranch: name };
  const workspace = await world.open("s1", { repository, branch: "tutti/ü'%2F" });
  write(join(workspace.path, "a.txt"), "a");
  const { commit } = await world.workspaces.snapshot({
    repository,
    workspace,
    session: "s1",
    turn: 1,
    author: world.person,
    committer: world.person,
    message: "m",
  });
  const result = await world.workspaces.merge({ repository, into: name, sources: [world.sourceOf("r/1", commit)], author: world.person });
  assert.ok(result.kind === "merged");
  assert.equal((await world.workspaces.deliver({ repository, into: name, ...result, waitingBranch: "tutti/w" })).kind, "delivered");
  inSource("switch", "-q", name);
  const next = await world.open("s2", { repository });
  write(join(next.path, "b.txt"), "b");
  const { commit: more } = await world.workspaces.snapshot({
    repository,
    workspace: next,
    session: "s2",
    turn: 1,
    author: world.person,
    committer: world.person,
    message: "m",
  });
  const second = await world.workspaces.merge({ repository, into: name, sources: [world.sourceOf("r/2", more)], author: world.person });
  assert.ok(second.kind === "merged");
  write(join(world.source, "README.md"), "dirty");
  const delivery = waiting(await world.workspaces.deliver({ repository, into: name, ...second, waitingBranch: "tutti/it's" }));
  assert.equal(delivery.command, "git merge 'tutti/it'\\''s'");
});

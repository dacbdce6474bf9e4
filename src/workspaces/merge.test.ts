import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openWorld, type World, write } from "./world.suite.ts";
import type { MergeResult, MergeSource } from "./workspace.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

/** A session that writes files and is snapshotted; resolves to its commit. */
async function work(session: string, files: Record<string, string>): Promise<string> {
  const workspace = await world.open(session);
  for (const [path, text] of Object.entries(files)) write(join(workspace.path, path), text);
  const { commit } = await world.snapshot(workspace, 1, session);
  return commit ?? assert.fail("nothing was done");
}

const merge = (...sources: MergeSource[]) =>
  world.workspaces.merge({ repository: world.repository, into: "main", sources, author: world.person });

function merged(result: MergeResult) {
  assert.ok(result.kind === "merged", JSON.stringify(result));
  return result;
}

async function mergeAndDeliver(...sources: MergeSource[]) {
  const result = merged(await merge(...sources));
  const delivery = await world.workspaces.deliver({ repository: world.repository, into: "main", ...result, waitingBranch: "tutti/w" });
  assert.equal(delivery.kind, "delivered");
  return result;
}

const trailers = () =>
  world.git(world.source, "log", "--format=%(trailers:key=Tutti-Step,valueonly,separator=%x2C)", "main").split("\n").filter(Boolean);

test("each source becomes one merge commit by the person, with its title and its step", async () => {
  const [one, two] = [await work("s1", { "a.txt": "a" }), await work("s2", { "b.txt": "b" })];
  const before = world.git(world.source, "rev-parse", "main");
  const result = merged(await merge(world.sourceOf("run/1", one), world.sourceOf("run/2", two)));
  assert.equal(result.before, before);
  assert.equal(result.commits.length, 2);
  assert.equal(result.nothingToDo, false);
  const log = world
    .git(world.mirror, "log", "--first-parent", "--format=%an|%cn|%ce|%P|%B%x00", `${before}..${result.commit}`)
    .split("\0\n");
  assert.equal(
    log[0]?.trim(),
    `Ada Lovelace|Tutti (coder)|tutti@localhost|${result.commits[0]} ${two}|Result of run/2\n\nTutti-Step: run/2`,
  );
  assert.equal(world.git(world.mirror, "ls-tree", "-r", "--name-only", result.commit), "README.md\na.txt\nb.txt\nsrc/one.js");
  assert.equal(world.git(world.source, "rev-parse", "main"), before, "nothing is delivered yet");
});

test("merging again after the delivery, as after a crash, does nothing: one trailer each", async () => {
  const sources = [
    world.sourceOf("run/1", await work("s1", { "a.txt": "a" })),
    world.sourceOf("run/2", await work("s2", { "b.txt": "b" })),
  ];
  const first = await mergeAndDeliver(...sources);
  const again = merged(await merge(...sources));
  assert.deepEqual(again, { kind: "merged", commit: first.commit, before: first.commit, commits: [], nothingToDo: true });
  assert.deepEqual(trailers(), ["run/2", "run/1"]);
});

test("the same step with a new snapshot of the same work, as after a crash before it was written down, is merged once", async () => {
  const first = await work("s1", { "a.txt": "a" });
  await mergeAndDeliver(world.sourceOf("run/1", first));
  world.clock.now += 60_000;
  const workspace = await world.open("s1");
  const { commit } = await world.snapshot(workspace, 1, "s1");
  assert.notEqual(commit, first);
  assert.equal(merged(await merge(world.sourceOf("run/1", commit))).nothingToDo, true);
  // Control: without the trailer it would be merged a second time.
  assert.equal(merged(await merge(world.sourceOf("run/9", commit))).nothingToDo, false);
});

test("a step that comes twice in one call is merged once", async () => {
  const commit = await work("s1", { "a.txt": "a" });
  assert.equal(merged(await merge(world.sourceOf("run/1", commit), world.sourceOf("run/1", commit))).commits.length, 1);
});

test("a source whose files are on the branch already still counts as done, with its trailer", async () => {
  const one = await work("s1", { "a.txt": "same" });
  world.clock.now += 1000;
  const two = await work("s2", { "a.txt": "same" });
  const result = await mergeAndDeliver(world.sourceOf("run/1", one), world.sourceOf("run/2", two));
  assert.equal(result.commits.length, 2);
  assert.equal(result.nothingToDo, false);
  assert.deepEqual(trailers(), ["run/2", "run/1"]);
});

test("a merge starts from where the person's branch is now", async () => {
  const commit = await work("s1", { "a.txt": "a" });
  write(join(world.source, "later.txt"), "the person's");
  world.git(world.source, "add", "-A");
  world.git(world.source, "commit", "-qm", "later");
  const result = merged(await merge(world.sourceOf("run/1", commit)));
  assert.equal(result.before, world.git(world.source, "rev-parse", "main"));
  assert.match(world.git(world.mirror, "ls-tree", "-r", "--name-only", result.commit), /later\.txt/);
});

test("a conflict names its step and its files, and nothing is merged", async () => {
  const fine = await work("s1", { "fine.txt": "fine" });
  const clash = await work("s2", { "README.md": "# Two\n", "with space\nand line.txt": "two" });
  write(join(world.source, "README.md"), "# Person\n");
  write(join(world.source, "with space\nand line.txt"), "person");
  world.git(world.source, "add", "-A");
  world.git(world.source, "commit", "-qm", "mine");
  const head = world.git(world.source, "rev-parse", "main");
  const result = await merge(world.sourceOf("run/1", fine), world.sourceOf("run/2", clash));
  assert.deepEqual(result, { kind: "conflict", step: "run/2", files: ["README.md", "with space\nand line.txt"] });
  await world.workspaces.refresh(world.repository);
  assert.equal(world.git(world.source, "rev-parse", "main"), head);
});

test("a file that one side deleted and the other changed is a conflict, and so is a file in place of a folder", async () => {
  const workspace = await world.open("s1");
  rmSync(join(workspace.path, "src"), { recursive: true });
  write(join(workspace.path, "src"), "a file now");
  const { commit } = await world.snapshot(workspace);
  write(join(world.source, "src/one.js"), "export const one = 2;\n");
  world.git(world.source, "commit", "-qam", "changed");
  const result = await merge(world.sourceOf("run/1", commit));
  assert.ok(result.kind === "conflict" && result.files.includes("src/one.js"));
});

test("a title cannot write a trailer, and a step must be one word", async () => {
  const commit = await work("s1", { "a.txt": "a" });
  const result = merged(await merge({ step: "run/1", title: "Fix\n\nTutti-Step: run/2\nX: y", commit, agent: "co\nder <x>" }));
  const seen = world.git(world.mirror, "log", "-1", "--format=%s|%cn|%(trailers:only)", result.commit);
  assert.equal(seen, "Fix Tutti-Step: run/2 X: y|Tutti (co der x)|Tutti-Step: run/1");
  for (const step of ["", "a b", "a\nTutti-Step: b"])
    await assert.rejects(merge({ ...world.sourceOf("x", commit), step }), { code: "invalid_input" });
});

test("a branch or a commit that does not exist, and a history with nothing in common, are errors that say so", async () => {
  const commit = await work("s1", { "a.txt": "a" });
  const sources = [world.sourceOf("run/1", commit)];
  await assert.rejects(world.workspaces.merge({ repository: world.repository, into: "nowhere", sources, author: world.person }), {
    code: "not_found",
  });
  await assert.rejects(merge(world.sourceOf("run/1", "0".repeat(40))), { code: "not_found" });
  world.git(world.source, "checkout", "-q", "--orphan", "anew");
  world.git(world.source, "commit", "-qm", "anew");
  world.git(world.source, "branch", "-q", "-M", "anew", "main");
  await assert.rejects(merge(...sources), { code: "conflict" });
});

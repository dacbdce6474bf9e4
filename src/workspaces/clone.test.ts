import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openWorld, type World, write } from "./world.suite.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

test("a session gets a clone of its own on its own branch, at the head of the base branch, without a remote", async () => {
  const { git } = world;
  const workspace = await world.open();
  assert.equal(workspace.base, git(world.source, "rev-parse", "main"));
  assert.equal(workspace.existed, false);
  assert.equal(git(workspace.path, "symbolic-ref", "HEAD"), "refs/heads/tutti/T-s1");
  assert.equal(git(workspace.path, "status", "--porcelain"), "");
  assert.equal(git(workspace.path, "remote"), "");
  assert.equal(git(workspace.path, "rev-parse", "main"), workspace.base);
  assert.equal(git(workspace.path, "config", "user.name"), "Ada Lovelace");
  assert.equal(git(workspace.path, "config", "gc.auto"), "0");
  assert.equal(statSync(workspace.home).mode & 0o777, 0o700);
  assert.equal(readFileSync(join(workspace.path, "src/one.js"), "utf8"), "export const one = 1;\n");
});

test("a shared clone has no objects and no hard links; one that is not sandboxed owns copies of them", async () => {
  const shared = await world.open("s1");
  const alternates = join(shared.path, ".git/objects/info/alternates");
  assert.equal(readFileSync(alternates, "utf8").trim(), join(world.mirror, "objects"));
  assert.deepEqual(world.workspaces.readable(world.repository), [join(world.mirror, "objects")]);
  const copied = await world.open("s2", { sandboxed: false });
  assert.equal(existsSync(join(copied.path, ".git/objects/info/alternates")), false);
  const files = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  for (const file of [...files(join(world.mirror, "objects")), ...files(join(copied.path, ".git/objects"))]) {
    assert.equal(statSync(file).nlink, 1, `${file} has a second name`);
  }
  // Control: what git does by itself on one disk.
  world.git(world.root, "clone", "-q", world.mirror, "hard-linked");
  assert.ok(files(join(world.root, "hard-linked/.git/objects")).some((file) => statSync(file).nlink > 1));
  assert.equal(world.git(copied.path, "fsck", "--full"), "");
});

test("a session that is opened again finds its clone with the work in it, wherever the branch is by now", async () => {
  const first = await world.open();
  write(join(first.path, "draft.txt"), "half done");
  write(join(world.source, "README.md"), "# Changed\n");
  world.git(world.source, "commit", "-qam", "second");
  const again = await world.open();
  assert.deepEqual(again, { ...first, existed: true });
  assert.equal(readFileSync(join(again.path, "draft.txt"), "utf8"), "half done");
});

test("a clone that a crash left half made is made again", async () => {
  mkdirSync(join(world.home, "sessions/s1/work.making/.git"), { recursive: true });
  write(join(world.home, "sessions/s1/work.making/rest"), "half");
  const workspace = await world.open();
  assert.equal(workspace.existed, false);
  assert.equal(existsSync(join(workspace.path, "rest")), false);
  assert.equal(existsSync(join(world.home, "sessions/s1/work.making")), false);
});

test("a mirror that a crash left half made is made again", async () => {
  mkdirSync(join(world.home, "repositories/sample.git.making"), { recursive: true });
  assert.equal((await world.open()).existed, false);
});

test("a clone whose .git was destroyed is still the session's clone, with its base", async () => {
  const first = await world.open();
  rmSync(join(first.path, ".git"), { recursive: true });
  assert.deepEqual(await world.open(), { ...first, existed: true });
});

test("a clone that was replaced by a link is not followed", async () => {
  const first = await world.open();
  rmSync(first.path, { recursive: true });
  symlinkSync(world.source, first.path);
  await assert.rejects(world.open(), { code: "conflict" });
  await assert.rejects(world.snapshot(first), { code: "conflict" });
});

test("opening the same session twice at once makes one clone; many sessions at once make one mirror", async () => {
  const twice = await Promise.all([world.open("s1"), world.open("s1")]);
  assert.equal(twice.filter((each) => each.existed).length, 1);
  const many = await Promise.all(["a", "b", "c", "d"].map((session) => world.open(session)));
  assert.equal(new Set(many.map((each) => each.path)).size, 4);
});

test("work can start from any commit of the mirror, such as another session's snapshot", async () => {
  const first = await world.open("s1");
  write(join(first.path, "from-one.txt"), "one");
  const { commit } = await world.snapshot(first);
  const second = await world.open("s2", { base: commit });
  assert.equal(second.base, commit);
  assert.equal(readFileSync(join(second.path, "from-one.txt"), "utf8"), "one");
  await assert.rejects(world.open("s3", { base: "0".repeat(40) }), { code: "not_found" });
});

test("uncommitted changes of the person stay theirs: named, and not in the clone", async () => {
  write(join(world.source, "README.md"), "# Not yet\n");
  write(join(world.source, "notes/to do.txt"), "x");
  const workspace = await world.open();
  assert.deepEqual(workspace.notIncluded.toSorted(), ["README.md", "notes/to do.txt"]);
  assert.equal(readFileSync(join(workspace.path, "README.md"), "utf8"), "# Sample\n");
  assert.deepEqual((await world.open()).notIncluded.toSorted(), ["README.md", "notes/to do.txt"]);
});

test("with the uncommitted changes wanted, they are a commit to start from, and the person's index and files stay as they were", async () => {
  const { git, source } = world;
  write(join(source, "README.md"), "# Staged\n");
  git(source, "add", "README.md");
  write(join(source, "README.md"), "# Staged and changed again\n");
  write(join(source, "notes/new.txt"), "new");
  write(join(source, ".gitignore"), "*.log\n");
  write(join(source, "debug.log"), "ignored");
  rmSync(join(source, "src/one.js"));
  git(source, "init", "-q", "nested");
  write(join(source, "nested/inner.txt"), "not this repository's");
  git(join(source, "nested"), "add", "-A");
  git(join(source, "nested"), "commit", "-qm", "inner");
  const state = () => [
    git(source, "status", "--porcelain"),
    git(source, "diff", "--cached"),
    git(source, "count-objects"),
    git(source, "for-each-ref"),
  ];
  const before = state();
  const workspace = await world.open("s1", { includeDirty: true });
  assert.deepEqual(state(), before);
  assert.equal(git(world.mirror, "rev-parse", `${workspace.base}^`), git(source, "rev-parse", "main"));
  assert.equal(readFileSync(join(workspace.path, "README.md"), "utf8"), "# Staged and changed again\n");
  assert.equal(readFileSync(join(workspace.path, "notes/new.txt"), "utf8"), "new");
  for (const gone of ["debug.log", "src/one.js", "nested"]) assert.equal(existsSync(join(workspace.path, gone)), false, gone);
  assert.deepEqual(workspace.notIncluded, ["nested/"]);
  assert.equal((await world.snapshot(workspace)).commit, null);
});

test("uncommitted changes of another branch than the base are refused, with what to do", async () => {
  world.git(world.source, "switch", "-qc", "other");
  world.git(world.source, "commit", "-q", "--allow-empty", "-m", "other");
  write(join(world.source, "README.md"), "changed on other");
  await assert.rejects(world.open("s1", { includeDirty: true }), (error: { code: string; fix: string[] }) => {
    assert.equal(error.code, "invalid_input");
    assert.match(error.fix[0] ?? "", /switch main$/);
    return true;
  });
});

test("the files that .worktreeinclude names are copied, and never enter a snapshot", async () => {
  const { git, source } = world;
  write(join(source, ".gitignore"), ".env\nsecrets/\n");
  write(join(source, ".worktreeinclude"), "# local settings\n.env\n/secrets/*.pem\nlocal *.txt\n");
  git(source, "add", "-A");
  git(source, "commit", "-qm", "include");
  write(join(source, ".env"), "KEY=1");
  write(join(source, "src/.env"), "KEY=2");
  write(join(source, "secrets/a.pem"), "a");
  write(join(source, "secrets/b.key"), "b");
  write(join(source, "local [1].txt"), "untracked, not ignored");
  const workspace = await world.open();
  const has = (path: string) => existsSync(join(workspace.path, path));
  assert.deepEqual([".env", "src/.env", "secrets/a.pem", "secrets/b.key", "local [1].txt"].map(has), [true, true, true, false, true]);
  write(join(workspace.path, "local [1].txt"), "changed by the agent");
  write(join(workspace.path, "local 1.txt"), "the agent's own");
  assert.deepEqual((await world.snapshot(workspace)).files, ["local 1.txt"]);
});

test("links out of the source are not followed by .worktreeinclude, and nothing is written through a link of the commit", async () => {
  const { git, source, root } = world;
  write(join(root, "outside/secret"), "secret");
  mkdirSync(join(root, "outside/target"));
  write(join(source, ".worktreeinclude"), "*.local\nconf/\n");
  write(join(source, ".gitignore"), "*.local\n");
  symlinkSync(join(root, "outside/target"), join(source, "conf"));
  git(source, "add", "-A");
  git(source, "commit", "-qm", "a link");
  rmSync(join(source, "conf"));
  write(join(source, "conf/planted"), "would be written outside");
  symlinkSync(join(root, "outside/secret"), join(source, "out.local"));
  write(join(source, "real.local"), "inside");
  symlinkSync("real.local", join(source, "in.local"));
  const workspace = await world.open();
  assert.ok(lstatSync(join(workspace.path, "conf")).isSymbolicLink());
  assert.equal(existsSync(join(root, "outside/target/planted")), false);
  assert.equal(existsSync(join(workspace.path, "out.local")), false);
  assert.equal(readFileSync(join(workspace.path, "in.local"), "utf8"), "inside");
});

test("the patterns are the base branch's, not those of an agent's commit that another session starts from", async () => {
  write(join(world.source, "private.txt"), "the person's");
  const first = await world.open("s1");
  write(join(first.path, ".worktreeinclude"), "private.txt\n");
  const { commit } = await world.snapshot(first);
  const second = await world.open("s2", { base: commit });
  assert.equal(existsSync(join(second.path, "private.txt")), false);
});

test("the mirror has the source's branches and nothing that the person stashed or threw away", async () => {
  const { git, source } = world;
  write(join(source, "README.md"), "a password");
  git(source, "stash");
  const stash = git(source, "rev-parse", "stash");
  git(source, "branch", "old/name");
  await world.workspaces.refresh(world.repository);
  assert.equal(world.works(world.mirror, "cat-file", "-e", stash), false);
  assert.equal(world.works(world.mirror, "cat-file", "-e", "refs/heads/old/name"), true);
  // A branch that took the place of a folder of branches.
  git(source, "branch", "-D", "-q", "old/name");
  git(source, "branch", "old");
  git(source, "commit", "-q", "--amend", "-m", "first, written anew");
  const { head } = await world.workspaces.refresh(world.repository);
  assert.equal(head, git(source, "rev-parse", "main"));
  assert.deepEqual(git(world.mirror, "for-each-ref", "--format=%(refname)", "refs/heads").split("\n"), [
    "refs/heads/main",
    "refs/heads/old",
  ]);
});

test("a source with a shallow history, and one that is a linked worktree, work to the end", async () => {
  const { git, root } = world;
  write(join(world.source, "README.md"), "# Second\n");
  git(world.source, "commit", "-qam", "second");
  git(root, "clone", "-q", "--depth=1", `file://${world.source}`, "shallow");
  git(root, "-C", world.source, "worktree", "add", "-q", "-b", "tree", join(root, "tree"));
  for (const [project, folder, baseBranch] of [
    ["shallow", "shallow", "main"],
    ["tree", "tree", "tree"],
  ] as const) {
    const repository = { project, source: join(root, folder), baseBranch };
    const workspace = await world.open(project, { repository });
    write(join(workspace.path, "made.txt"), project);
    git(workspace.path, "add", "-A");
    git(workspace.path, "commit", "-qm", "by the agent");
    const { commit } = await world.workspaces.snapshot({
      repository,
      workspace,
      session: project,
      turn: 1,
      author: world.person,
      committer: world.person,
      message: "m",
    });
    assert.equal(commit, git(workspace.path, "rev-parse", "HEAD"));
    const merged = await world.workspaces.merge({
      repository,
      into: baseBranch,
      sources: [world.sourceOf("r/1", commit)],
      author: world.person,
    });
    assert.equal(merged.kind, "merged");
    if (merged.kind !== "merged") continue;
    const delivery = await world.workspaces.deliver({ repository, into: baseBranch, ...merged, waitingBranch: "tutti/w" });
    assert.equal(delivery.kind, "delivered");
    assert.equal(readFileSync(join(repository.source, "made.txt"), "utf8"), project);
  }
});

test("a repository with SHA-256 ids works to the end", async () => {
  const source = join(world.root, "sha256");
  world.git(world.root, "init", "-q", "--object-format=sha256", "sha256");
  write(join(source, "a"), "a");
  world.git(source, "add", "-A");
  world.git(source, "commit", "-qm", "first");
  const repository = { project: "sha256", source, baseBranch: "main" };
  const workspace = await world.open("s256", { repository });
  write(join(workspace.path, "b"), "b");
  const { commit } = await world.workspaces.snapshot({
    repository,
    workspace,
    session: "s256",
    turn: 1,
    author: world.person,
    committer: world.person,
    message: "m",
  });
  assert.equal(commit?.length, 64);
});

test("ids, branches and commits that could mean something else to git or to the disk are refused", async () => {
  for (const session of ["../s", "a/b", "-x", "", "a.lock", "a..b", "x\ny"])
    await assert.rejects(world.open(session), { code: "invalid_input" });
  for (const branch of ["-x", "a..b", "a b", "a.lock", "HEAD", "@{1}", "a//b", "/a", "a/", "a~1", "x\ny", ".a"]) {
    await assert.rejects(world.open("s1", { branch }), { code: "invalid_input" });
    assert.equal(branch === "HEAD" || !world.works(world.source, "check-ref-format", "--branch", branch), true, `git allows ${branch}`);
  }
  await assert.rejects(world.open("s1", { base: "--upload-pack=x" }), { code: "invalid_input" });
  await assert.rejects(world.workspaces.refresh({ ...world.repository, baseBranch: "nowhere" }), { code: "not_found" });
  await assert.rejects(world.workspaces.refresh({ project: "gone", source: join(world.root, "gone"), baseBranch: "main" }), {
    code: "failed",
  });
});

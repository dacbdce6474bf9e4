import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AppError } from "../errors.ts";
import { openWorld, type World, write } from "./world.suite.ts";
import { openWorkspaces } from "./open.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world.dispose());

const refused = async (folder: string): Promise<AppError> => {
  const error = await world.workspaces.inspect(folder).then(
    () => assert.fail(`${folder} was accepted`),
    (problem: unknown) => problem,
  );
  assert.ok(error instanceof AppError);
  assert.equal(error.code, "invalid_input");
  assert.ok(error.why);
  return error;
};

test("a repository is described by its top, branch, head and name, also from a folder within it", async () => {
  const head = world.git(world.source, "rev-parse", "HEAD");
  const expected = { top: world.source, branch: "main", head, name: "source", dirty: [], remote: null };
  assert.deepEqual(await world.workspaces.inspect(world.source), expected);
  assert.deepEqual(await world.workspaces.inspect(join(world.source, "src")), expected);
});

test("a linked worktree, whose .git is a file, is a repository of its own name", async () => {
  const tree = join(world.root, "linked tree");
  world.git(world.source, "worktree", "add", "-q", "-b", "linked", tree);
  const found = await world.workspaces.inspect(tree);
  assert.equal(found.top, tree);
  assert.equal(found.branch, "linked");
});

test("what is missing, a file, not git, without a commit, bare, or detached is refused with its fix", async () => {
  const at = (name: string) => join(world.root, name);
  assert.match((await refused(at("nowhere"))).message, /does not exist/);
  write(at("file"), "x");
  assert.match((await refused(at("file"))).message, /not a folder/);
  assert.match((await refused(at("file/below"))).message, /does not exist/);
  mkdirSync(at("plain"));
  assert.match((await refused(at("plain"))).fix[0] ?? "", /git init && git add -A && git commit -m first$/);
  mkdirSync(at("empty"));
  world.git(at("empty"), "init", "-q");
  assert.match((await refused(at("empty"))).fix[0] ?? "", /git add -A && git commit -m first$/);
  world.git(world.root, "clone", "-q", "--bare", world.source, "bare.git");
  assert.match((await refused(at("bare.git"))).message, /bare repository/);
  world.git(world.root, "clone", "-q", world.source, "detached");
  world.git(at("detached"), "checkout", "-q", "--detach");
  assert.match((await refused(at("detached"))).fix[0] ?? "", /git switch/);
  assert.match((await refused(join(world.source, ".git"))).message, /git's own folder/);
});

test("changed and untracked paths are named as they are, and files that the person ignores are not", async () => {
  const folder = join(world.root, "dirty");
  world.git(world.root, "clone", "-q", world.source, "dirty");
  write(join(folder, "README.md"), "changed");
  write(join(folder, "new\nline 'and' \"quotes\" ü.txt"), "x");
  write(join(folder, ".DS_Store"), "x");
  write(join(world.root, "person/.config/git/ignore"), ".DS_Store\n");
  const found = await world.workspaces.inspect(folder);
  assert.deepEqual(found.dirty.toSorted(), ["README.md", "new\nline 'and' \"quotes\" ü.txt"]);
});

test("looking at a person's repository runs neither its file system monitor nor a hook", async () => {
  const trap = world.trap("inspect");
  const folder = join(world.root, "monitored");
  world.git(world.root, "clone", "-q", world.source, "monitored");
  world.git(folder, "config", "core.fsmonitor", trap.program);
  await world.workspaces.inspect(folder);
  assert.equal(trap.sprung(), false);
  world.git(folder, "status");
  assert.equal(trap.sprung(), true, "control: plain git runs it");
});

test("the address of the remote is given without its password", async () => {
  const folder = join(world.root, "remote");
  world.git(world.root, "clone", "-q", world.source, "remote");
  world.git(folder, "remote", "set-url", "origin", "https://ada:token@example.org/a.git");
  assert.equal((await world.workspaces.inspect(folder)).remote, "https://example.org/a.git");
  world.git(folder, "remote", "set-url", "origin", "git@example.org:a/b.git");
  assert.equal((await world.workspaces.inspect(folder)).remote, "git@example.org:a/b.git");
});

test("the author is the repository's identity, else the person's, else a default that says what it is", async () => {
  const { repository, workspaces } = world;
  assert.deepEqual(await workspaces.author(repository), { name: "Ada Lovelace", email: "ada@example.org" });
  const own = join(world.root, "own");
  world.git(world.root, "clone", "-q", world.source, "own");
  world.git(own, "config", "user.name", "Grace <Hopper>\n");
  assert.deepEqual(await workspaces.author({ ...repository, source: own }), { name: "Grace Hopper", email: "ada@example.org" });
  const nobody = await openWorkspaces({
    home: world.home,
    path: process.env.PATH ?? "",
    sandbox: "none",
    now: Date.now,
    personHome: join(world.root, "nobody"),
  });
  assert.deepEqual(await nobody.author(repository), { name: "Tutti user", email: "tutti@localhost" });
});

test("a folder that is reached by a symbolic link is inspected at its real place", async () => {
  symlinkSync(world.source, join(world.root, "link"));
  assert.equal((await world.workspaces.inspect(join(world.root, "link"))).top, world.source);
});

test("without git or without bubblewrap where it is wanted, opening says what to install", async () => {
  const empty = join(world.root, "empty-path");
  mkdirSync(empty);
  const open = (path: string) => openWorkspaces({ home: join(world.root, "h"), path, sandbox: "bubblewrap", now: Date.now });
  await assert.rejects(open(empty), { code: "failed", message: "git was not found" });
  symlinkSync("/usr/bin/git", join(empty, "git"));
  await assert.rejects(open(empty), { code: "failed", message: "bubblewrap was not found" });
});

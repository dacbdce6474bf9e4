import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { makeFifo, openWorld, type World, write } from "./world.suite.ts";
import type { Workspace } from "./workspace.ts";

let world: World;
let workspace: Workspace;
beforeEach(async () => {
  world = await openWorld();
  workspace = await world.open();
});
afterEach(() => world.dispose());

const at = (path: string) => join(workspace.path, path);
const inClone = (...args: string[]) => world.git(workspace.path, ...args);
const show = (commit: string | null, format: string) => world.git(world.mirror, "log", "-1", `--format=${format}`, commit ?? "none");
const content = (commit: string | null, path: string) => world.git(world.mirror, "show", `${commit}:${path}`);

test("work that was not committed becomes a commit by the person, kept by Tutti", async () => {
  write(at("README.md"), "# Better\n");
  write(at("tools/run.sh"), "#!/bin/sh\n", 0o755);
  rmSync(at("src/one.js"));
  const snapshot = await world.snapshot(workspace, 3);
  assert.deepEqual(snapshot.files, ["README.md", "src/one.js", "tools/run.sh"]);
  assert.equal(snapshot.ref, "refs/tutti/s1/3");
  assert.equal(world.git(world.mirror, "rev-parse", snapshot.ref), snapshot.commit);
  const people = "Ada Lovelace <ada@example.org>|Tutti (coder) <tutti@localhost>";
  assert.equal(show(snapshot.commit, "%an <%ae>|%cn <%ce>|%s|%P|%at"), `${people}|turn 3|${workspace.base}|${world.clock.now / 1000}`);
  assert.match(world.git(world.mirror, "ls-tree", snapshot.commit ?? "", "tools/run.sh"), /^100755/);
  assert.equal(inClone("rev-parse", "HEAD"), workspace.base, "the clone itself is not touched");
});

test("nothing done is null, and the ref stands at the base", async () => {
  const snapshot = await world.snapshot(workspace);
  assert.deepEqual(snapshot, { commit: null, ref: "refs/tutti/s1/1", files: [] });
  assert.equal(world.git(world.mirror, "rev-parse", snapshot.ref), workspace.base);
});

test("commits of the agent come as they are; what is not committed yet comes on top of them", async () => {
  write(at("a.txt"), "a");
  inClone("add", "-A");
  inClone("commit", "-qm", "by the agent");
  const committed = inClone("rev-parse", "HEAD");
  assert.equal((await world.snapshot(workspace, 1)).commit, committed);
  write(at("b.txt"), "b");
  const second = await world.snapshot(workspace, 2);
  assert.equal(show(second.commit, "%P"), committed);
  assert.deepEqual(second.files, ["a.txt", "b.txt"]);
  // A commit that changes nothing in the end is still work: its history is kept.
  rmSync(at("b.txt"));
  inClone("rm", "-q", "a.txt");
  inClone("commit", "-qm", "taken back");
  const third = await world.snapshot(workspace, 3);
  assert.equal(third.commit, inClone("rev-parse", "HEAD"));
  assert.deepEqual(third.files, []);
});

test("the same turn again gives the same ref, and a later turn sees changes of files of the same size", async () => {
  write(at("a.txt"), "1");
  await world.snapshot(workspace, 1);
  write(at("a.txt"), "2");
  assert.equal(content((await world.snapshot(workspace, 1)).commit, "a.txt"), "2");
  write(at("a.txt"), "3");
  assert.equal(content((await world.snapshot(workspace, 2)).commit, "a.txt"), "3");
});

test("the repository's own ignore rules apply, so that set-up products stay out; the clone's exclude file hides nothing", async () => {
  write(at(".gitignore"), "node_modules/\n*.log\n");
  write(at("node_modules/x/index.js"), "x");
  write(at("a.log"), "x");
  write(at(".git/info/exclude"), "hidden.txt\n");
  write(at("hidden.txt"), "must be seen");
  inClone("config", "core.excludesFile", at(".git/info/exclude"));
  assert.equal(inClone("status", "--porcelain", "hidden.txt"), "", "control: the agent's own git does not see it");
  assert.deepEqual((await world.snapshot(workspace)).files, [".gitignore", "hidden.txt"]);
});

test("names with spaces, quotes, line breaks, leading dashes, pathspec magic and bytes that are no text arrive", async () => {
  const plain = ["-rf", "--help", "a b", "quote\"'s", "line\nbreak", "tab\there", "ünïcödé/文件"];
  const names = [...plain, ":(exclude)x", "*", "[a]", "\\", "$(touch x)", ";ls"];
  for (const name of names) write(at(name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${workspace.path}/bytes-`), Buffer.from([0xff])]), "x");
  const { commit, files } = await world.snapshot(workspace);
  assert.equal(files.length, names.length + 1);
  for (const name of names) assert.ok(files.includes(name), name);
  const read = (path: string) => world.workspaces.readFile({ repository: world.repository, commit: commit ?? "", path });
  assert.deepEqual([await read("ünïcödé/文件"), await read("*"), await read("line\nbreak")], ["ünïcödé/文件", "*", "line\nbreak"]);
});

test("links are stored as links and never followed", async () => {
  write(join(world.root, "secret/key"), "secret");
  symlinkSync(join(world.root, "secret/key"), at("key"));
  rmSync(at("src"), { recursive: true });
  symlinkSync(join(world.root, "secret"), at("src"));
  const { commit, files } = await world.snapshot(workspace);
  assert.deepEqual(files, ["key", "src", "src/one.js"]);
  assert.match(world.git(world.mirror, "ls-tree", commit ?? "", "key", "src"), /^120000 .*\n120000 /);
  assert.equal(content(commit, "src"), join(world.root, "secret"));
  assert.ok(lstatSync(at("src")).isSymbolicLink() && readlinkSync(at("key")).endsWith("key"));
});

test("another branch, a detached HEAD and an orphan lose nothing", async () => {
  write(at("on-branch.txt"), "1");
  inClone("add", "-A");
  inClone("commit", "-qm", "on the branch");
  const onBranch = inClone("rev-parse", "HEAD");
  inClone("switch", "-qc", "elsewhere", workspace.base);
  write(at("elsewhere.txt"), "2");
  const first = await world.snapshot(workspace, 1);
  assert.deepEqual(first.files, ["elsewhere.txt"]);
  assert.equal(world.git(world.mirror, "rev-parse", "refs/tutti/s1/1.branch"), onBranch, "the commits of the branch are kept beside it");

  inClone("checkout", "-q", "--detach", onBranch);
  const second = await world.snapshot(workspace, 2);
  assert.equal(show(second.commit, "%P"), onBranch);

  inClone("checkout", "-q", "--orphan", "fresh");
  inClone("add", "-A");
  inClone("commit", "-qm", "no parent");
  const orphan = inClone("rev-parse", "HEAD");
  inClone("branch", "-D", "-q", "tutti/T-s1");
  const third = await world.snapshot(workspace, 3);
  assert.equal(show(third.commit, "%P"), workspace.base);
  assert.deepEqual(third.files, ["elsewhere.txt", "on-branch.txt"]);
  assert.equal(world.git(world.mirror, "rev-parse", "refs/tutti/s1/3.head"), orphan);
});

test("a clone without .git, with an empty .git, with a lock, and with a merge half done is still taken", async () => {
  write(at("new.txt"), "new");
  write(at(".git/index.lock"), "");
  write(at(".git/MERGE_HEAD"), `${workspace.base}\n`);
  assert.deepEqual((await world.snapshot(workspace, 1)).files, ["new.txt"]);
  rmSync(at(".git"), { recursive: true });
  const second = await world.snapshot(workspace, 2);
  assert.deepEqual(second.files, ["new.txt"]);
  assert.match(show(second.commit, "%b"), /commits of the clone could not be read/);
  mkdirSync(at(".git"));
  write(at("more.txt"), "more");
  assert.deepEqual((await world.snapshot(workspace, 3)).files, ["more.txt", "new.txt"]);
});

test("files and folders that the agent made unreadable are taken nevertheless", async () => {
  write(at("locked.txt"), "locked", 0o000);
  write(at("closed/file.txt"), "closed");
  chmodSync(at("closed"), 0o000);
  chmodSync(at("src/one.js"), 0o000);
  chmodSync(at("src"), 0o000);
  chmodSync(at(".git/HEAD"), 0o000);
  chmodSync(workspace.path, 0o000);
  assert.deepEqual((await world.snapshot(workspace)).files, ["closed/file.txt", "locked.txt"]);
});

test("FIFOs and sockets are passed over, also where git would read a file and wait forever", async () => {
  const fifo = (path: string) => makeFifo(at(path));
  fifo("pipe");
  fifo(".gitignore");
  fifo("src/.gitattributes");
  mkdirSync(at("nested/.git"), { recursive: true });
  fifo("nested/.git/HEAD");
  write(at("nested/file"), "x");
  rmSync(at("README.md"));
  fifo("README.md");
  fifo(".git/packed-refs");
  write(at("real.txt"), "real");
  const { files } = await world.snapshot(workspace);
  assert.deepEqual(files, ["nested/file", "real.txt"]);
});

test("a file over the limit is left out and named; the rest arrives, and what is ignored is not named", async () => {
  world.dispose();
  world = await openWorld({ limits: { fileBytes: 50_000 } });
  write(join(world.source, "old.bin"), Buffer.alloc(60_000, "o"));
  world.git(world.source, "add", "-A");
  world.git(world.source, "commit", "-qm", "large already");
  workspace = await world.open();
  write(at("huge [1].bin"), Buffer.alloc(60_000, "h"));
  write(at("dist/out.bin"), Buffer.alloc(60_000, "d"));
  write(at(".gitignore"), "dist\n");
  write(at("old.bin"), Buffer.alloc(60_001, "n"));
  write(at("small.txt"), "s");
  const { commit, files } = await world.snapshot(workspace);
  assert.deepEqual(files, [".gitignore", "old.bin", "small.txt"]);
  assert.equal(show(commit, "%b"), "Left out: huge [1].bin (larger than the limit)");
});

test("a snapshot over the limit of size is refused with what to do, and leaves no ref", async () => {
  world.dispose();
  world = await openWorld({ limits: { snapshotBytes: 200_000 } });
  workspace = await world.open();
  write(at("committed.bin"), randomBytes(300_000));
  inClone("add", "-A");
  inClone("commit", "-qm", "too much");
  rmSync(at("committed.bin"));
  write(at("fine.txt"), "fine");
  const fallenBack = await world.snapshot(workspace, 1);
  assert.deepEqual(fallenBack.files, ["fine.txt"], "commits over the limit are passed over, the files are not");
  for (const name of ["a", "b", "c"]) write(at(name), randomBytes(150_000));
  await assert.rejects(world.snapshot(workspace, 2), (error: { code: string; fix: string[] }) => {
    assert.equal(error.code, "too_large");
    assert.match(error.fix[0] ?? "", /\.gitignore/);
    return true;
  });
  assert.equal(world.works(world.mirror, "rev-parse", "-q", "--verify", "refs/tutti/s1/2"), false);
});

test("line ends are converted as the repository wants it, and a conversion that is impossible does not lose the file", async () => {
  write(at(".gitattributes"), "*.txt text eol=crlf\n*.u16 working-tree-encoding=UTF-16\n");
  write(at("a.txt"), "one\r\ntwo\r\n");
  write(at("fine.md"), "x\r\n");
  const first = await world.snapshot(workspace, 1);
  assert.equal(world.git(world.mirror, "cat-file", "-s", `${first.commit}:a.txt`), "8");
  assert.equal(world.git(world.mirror, "cat-file", "-s", `${first.commit}:fine.md`), "3");
  write(at("broken.u16"), Buffer.from([0x41, 0x00, 0x42]));
  const { commit, files } = await world.snapshot(workspace, 2);
  assert.deepEqual(files, [".gitattributes", "a.txt", "broken.u16", "fine.md"]);
  assert.equal(world.git(world.mirror, "cat-file", "-s", `${commit}:broken.u16`), "3");
});

test("names and messages cannot forge lines of a commit", async () => {
  write(at("a"), "a");
  const { commit } = await world.workspaces.snapshot({
    repository: world.repository,
    workspace,
    session: "s1",
    turn: 1,
    author: { name: "Eve\nparent 123 <x>", email: "e>\n" },
    committer: { name: "", email: "" },
    message: "hello\0there",
  });
  assert.equal(show(commit, "%an|%ae|%cn|%ce|%B"), "Eve parent 123 x|e|Tutti user|tutti@localhost|hellothere");
});

test("a snapshot that is stopped by its signal ends with the signal's reason, and the next one works", async () => {
  write(at("a"), "a");
  const reason = new Error("stopped");
  const stop = new AbortController();
  const who = { author: world.person, committer: world.person };
  const running = world.workspaces.snapshot({
    repository: world.repository,
    workspace,
    session: "s1",
    turn: 1,
    ...who,
    message: "m",
    signal: stop.signal,
  });
  setImmediate(() => stop.abort(reason));
  await assert.rejects(running, reason);
  assert.deepEqual((await world.snapshot(workspace, 1)).files, ["a"]);
});

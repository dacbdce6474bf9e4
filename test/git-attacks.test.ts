import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { inflateSync } from "node:zlib";
import { addAgent, addProject, done, fileIn, give, mirrorOf, shellAgent } from "./support/work.ts";
import { git, makeFolder, makeRepository, startTutti, type Tutti } from "./support/tutti.ts";
import type { TaskDetails } from "../src/tasks/task.ts";

/**
 * Agents that poison their clone, and everything that Tutti then does with their work: snapshot, check, diff, merge and delivery.
 * A planted program leaves a marker outside of the sandbox; afterwards plain git, as anybody would run it, shows that the trap works.
 */
const folder = makeFolder();
const markers = join(folder.path, "markers");
const victim = join(folder.path, "person", "victim");
const repository = join(folder.path, "repository");
let tutti: Tutti;
let project: string;
let stolen: { commit: string; tree: string; blob: string };

/** `trap name place`: a program that leaves a marker when it runs outside. Inside it finds no such folder. */
const trap = `trap_at() { mkdir -p "$(dirname "$2")"; printf '#!/bin/sh\\ntouch "${markers}/%s"\\nexit 0\\n' "$1" > "$2"; chmod +x "$2"; }
honest() { echo "$1" > "honest-$1.txt"; }
set -e
`;

const sprung = (): string[] => readdirSync(markers);
const works = (place: string, ...args: string[]): boolean => {
  try {
    git(place, ...args);
    return true;
  } catch {
    return false; // Refused: the test says which answer is right.
  }
};
const cloneOf = (task: TaskDetails): string => join(tutti.home, "sessions", task.session ?? "", "work");

/** Nothing of the other repository is anywhere where it could be seen. */
function assertNothingStolen(): void {
  for (const place of [mirrorOf(tutti, project), repository]) {
    for (const object of Object.values(stolen)) assert.equal(works(place, "cat-file", "-e", object), false, `${object} is in ${place}`);
  }
}

/** What somebody would do who trusts the clone. */
function naiveFetchBrings(clone: string, object: string): boolean {
  const naive = join(folder.path, `naive-${object}-${clone.split("/").at(-2)}.git`);
  git(folder.path, "init", "-q", "--bare", naive);
  works(naive, "fetch", "-q", mirrorOf(tutti, project), "+refs/*:refs/kept/*");
  works(naive, "-c", "safe.directory=*", "fetch", "-q", clone, "+HEAD:refs/heads/stolen");
  return works(naive, "cat-file", "-e", object);
}

/** The agent's work through the whole way: task with a check, diff, merge with a check, delivery to the checked-out branch. */
async function wholeWay(name: string, script: string): Promise<TaskDetails> {
  const check = { run: `git status >/dev/null 2>&1; test "$(cat honest-${name}.txt)" = ${name}` };
  const { id } = await give(tutti, project, `${trap}${script}\nhonest ${name}`, { check });
  const task = await done(tutti, id);
  assert.equal(task.verified, true);
  assert.ok(task.result?.files.includes(`honest-${name}.txt`));
  const { diff } = await tutti.client.query("task.diff", { id });
  assert.match(diff, new RegExp(`\\+${name}`));
  const merging = await tutti.client.command("task.merge", { id, check: check.run });
  assert.equal((await done(tutti, merging.id)).verified, true);
  assert.equal(readFileSync(join(repository, `honest-${name}.txt`), "utf8").trim(), name, "it is on the person's branch");
  // Before we ask git ourselves: the person's own git runs the hooks that were delivered.
  assert.deepEqual(sprung(), []);
  assert.equal(git(repository, "-c", "core.hooksPath=/dev/null", "status", "--porcelain"), "");
  assertNothingStolen();
  return task;
}

before(async () => {
  // Everybody may write here: only the sandbox keeps the planted programs from it.
  mkdirSync(markers);
  chmodSync(markers, 0o777);
  tutti = await startTutti({ home: folder.home });
  makeRepository(victim, { "secret.txt": "the secret of another repository\n" });
  const id = (name: string): string => git(victim, "rev-parse", name);
  stolen = { commit: id("HEAD"), tree: id("HEAD^{tree}"), blob: id("HEAD:secret.txt") };
  makeRepository(repository, { "README.md": "# A project\n", "data.txt": "as it is\n" });
  // The person uses husky: hooks that the tree brings along run whenever she commits or merges by herself.
  git(repository, "config", "core.hooksPath", ".husky");
  await addAgent(tutti, shellAgent);
  project = await addProject(tutti, repository);
});
after(async () => {
  await tutti?.stop();
  folder.remove();
});

suite("the clone of an agent that attacks", () => {
  test("monitors, filters, drivers, hooks and signing programs in configuration and tree are never run", async () => {
    const task = await wholeWay(
      "programs",
      `here=$PWD
for each in fsmonitor clean smudge process driver textconv external gpg editor; do trap_at $each .git/$each; done
for each in pre-commit post-commit reference-transaction post-checkout post-merge post-index-change; do
  trap_at hook .git/hooks/$each; trap_at husky .husky/$each
done
printf '*.txt filter=evil merge=evil diff=evil\\n' > .gitattributes
echo changed >> data.txt
git config core.fsmonitor "$here/.git/fsmonitor"
git config core.hooksPath .husky
git config filter.evil.clean "$here/.git/clean; cat"
git config filter.evil.smudge "$here/.git/smudge; cat"
git config merge.evil.driver "$here/.git/driver"
git config diff.evil.textconv "$here/.git/textconv"
git config diff.external "$here/.git/external"
git config gpg.program "$here/.git/gpg"
git config commit.gpgSign true
git config core.editor "$here/.git/editor"`,
    );
    const clone = cloneOf(task);
    assert.equal(readFileSync(join(repository, "data.txt"), "utf8"), "as it is\nchanged\n");
    works(clone, "add", "-A");
    works(clone, "commit", "-qm", "x");
    works(clone, "-c", "commit.gpgSign=false", "commit", "-qm", "x");
    works(clone, "diff", "HEAD^");
    for (const each of ["fsmonitor", "clean", "gpg", "husky", "external"]) assert.ok(sprung().includes(each), `control: ${each}`);
    clearMarkers();
    git(repository, "-c", "user.name=A", "commit", "-q", "--allow-empty", "-m", "by hand");
    assert.deepEqual(sprung(), ["husky"], "control: the person's own commit runs what was delivered");
    clearMarkers();
    git(repository, "config", "--unset", "core.hooksPath");
  });

  test("alternates and forged commits bring nothing of another repository", async () => {
    const task = await wholeWay(
      "alternates",
      `echo '${join(victim, ".git/objects")}' >> .git/objects/info/alternates
forged=$(printf 'tree ${stolen.tree}\\nparent %s\\nauthor a <a@b> 1 +0000\\ncommitter a <a@b> 1 +0000\\n\\nforged\\n' "$(git rev-parse HEAD)" | git hash-object -t commit -w --stdin)
echo "$forged" > ".git/$(git symbolic-ref HEAD)"`,
    );
    assert.equal(naiveFetchBrings(cloneOf(task), stolen.blob), true, "control");
  });

  test("a .git that points to another repository brings nothing of it", async () => {
    const task = await wholeWay("pointer", `rm -rf .git; echo 'gitdir: ${join(victim, ".git")}' > .git`);
    assert.equal(naiveFetchBrings(cloneOf(task), stolen.blob), true, "control");
  });

  test("objects with a false content are found out, and the files arrive as they are", async () => {
    const task = await wholeWay(
      "poison",
      `echo 'the true content' > true.txt
git add -A && git -c user.name=a -c user.email=a@b commit -qm mine
blob=$(git rev-parse HEAD:true.txt)
file=.git/objects/$(echo "$blob" | cut -c1-2)/$(echo "$blob" | cut -c3-)
chmod 644 "$file"
node -e 'require("fs").writeFileSync(process.argv[1], require("zlib").deflateSync("blob 5\\0false"))' "$file"`,
    );
    const blob = git(repository, "rev-parse", "HEAD:true.txt");
    assert.equal(git(repository, "show", "HEAD:true.txt"), "the true content");
    const loose = join(cloneOf(task), ".git/objects", blob.slice(0, 2), blob.slice(2));
    assert.equal(inflateSync(readFileSync(loose)).toString(), "blob 5\0false", "control: in the clone another content has this id");
    assert.equal(git(mirrorOf(tutti, project), "fsck", "--full", "--strict"), "");
  });

  test("an embedded repository arrives as files, and nothing of it runs", async () => {
    const task = await wholeWay(
      "embedded",
      `git init -q --bare bare
trap_at bare bare/monitor
git -C bare config core.fsmonitor "$PWD/bare/monitor"
git -C bare config core.bare false
git -C bare config core.worktree "$PWD/bare"
git init -q nested && echo inside > nested/inside.txt
trap_at nested nested/.git/monitor
git -C nested config core.fsmonitor "$PWD/nested/.git/monitor"`,
    );
    assert.ok(task.result?.files.includes("bare/HEAD"));
    assert.equal(git(repository, "show", "HEAD:nested/inside.txt"), "inside");
    works(join(cloneOf(task), "bare"), "status");
    works(join(cloneOf(task), "nested"), "status");
    assert.deepEqual(
      sprung().toSorted((a, b) => a.localeCompare(b)),
      ["bare", "nested"],
      "control",
    );
    clearMarkers();
  });

  test("links to secrets arrive as links: what they point to is never read", async () => {
    const file = join(tutti.home, "server.json");
    const task = await wholeWay("links", `ln -s '${file}' server.json; ln -s '${tutti.home}' all; mkdir .git/x; ln -s '${file}' .git/x/y`);
    assert.match(git(mirrorOf(tutti, project), "ls-tree", task.result?.commit ?? "", "server.json"), /^120000/);
    assert.equal(fileIn(tutti, project, task.result?.commit, "server.json"), file);
    assert.match(readFileSync(join(cloneOf(task), "server.json"), "utf8"), /token/, "control: outside of the sandbox it can be read");
  });
});

function clearMarkers(): void {
  for (const name of sprung()) rmSync(join(markers, name));
}

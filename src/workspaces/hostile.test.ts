import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { deflateSync } from "node:zlib";
import { makeFifo, openWorld, type World, write } from "./world.suite.ts";
import type { Workspace } from "./workspace.ts";

/**
 * An agent owns its clone completely. Each test attacks as such an agent could, shows that what we keep is right and that
 * nothing of the attacker's ran or leaked, and then shows with plain git that the attack works.
 */
for (const sandbox of ["bubblewrap", "none"] as const) {
  describe(`a hostile clone, sandbox ${sandbox}`, () => {
    let world: World;
    let workspace: Workspace;
    beforeEach(async () => {
      world = await openWorld({ sandbox });
      workspace = await world.open();
    });
    afterEach(() => world.dispose());

    const at = (path: string) => join(workspace.path, path);
    const inClone = (...args: string[]) => world.git(workspace.path, ...args);
    const mirrorHas = (object: string) => world.works(world.mirror, "cat-file", "-e", object);
    const content = (commit: string | null, path: string) => world.git(world.mirror, "show", `${commit}:${path}`);
    const author = { name: "Ada", email: "ada@example.org" };

    /** Another repository of the person's, with something that must not travel. */
    function victim(): { folder: string; commit: string; tree: string; blob: string } {
      const folder = join(world.root, "victim");
      world.git(world.root, "init", "-q", "victim");
      write(join(folder, "secret.txt"), "the secret of another repository");
      world.git(folder, "add", "-A");
      world.git(folder, "commit", "-qm", "secret");
      const id = (name: string) => world.git(folder, "rev-parse", name);
      return { folder, commit: id("HEAD"), tree: id("HEAD^{tree}"), blob: id("HEAD:secret.txt") };
    }

    /** What somebody would do who trusts the clone: fetch its HEAD into a repository of their own. */
    function naiveFetchBrings(object: string): boolean {
      world.git(world.root, "init", "-q", "--bare", "naive.git");
      const naive = join(world.root, "naive.git");
      world.works(naive, "fetch", "-q", world.mirror, "refs/heads/*:refs/heads/*");
      world.works(naive, "fetch", "-q", workspace.path, "+HEAD:refs/heads/stolen");
      return world.works(naive, "cat-file", "-e", object);
    }

    test("a file system monitor in its configuration is not run", async () => {
      const trap = world.trap("fsmonitor");
      inClone("config", "core.fsmonitor", trap.program);
      write(at("a.txt"), "a");
      assert.deepEqual((await world.snapshot(workspace)).files, ["a.txt"]);
      assert.equal(trap.sprung(), false);
      inClone("status");
      assert.equal(trap.sprung(), true, "control");
    });

    test("hooks in .git and hooks in the tree (husky) are not run", async () => {
      const [own, husky] = [world.trap("hook"), world.trap("husky")];
      for (const name of ["pre-commit", "post-commit", "reference-transaction", "post-checkout", "post-index-change"]) {
        write(at(`.git/hooks/${name}`), readFileSync(own.program), 0o755);
        write(at(`.husky/${name}`), readFileSync(husky.program), 0o755);
      }
      assert.equal((await world.snapshot(workspace, 1)).files.length, 5);
      inClone("config", "core.hooksPath", ".husky");
      assert.equal((await world.snapshot(workspace, 2)).files.length, 5);
      assert.deepEqual([own.sprung(), husky.sprung()], [false, false]);
      inClone("add", "-A");
      inClone("commit", "-qm", "x");
      inClone("config", "--unset", "core.hooksPath");
      inClone("commit", "-qm", "x", "--allow-empty");
      assert.deepEqual([own.sprung(), husky.sprung()], [true, true], "control");
    });

    test("a filter that the tree names and the clone configures is not run, and the content arrives unconverted", async () => {
      const [clean, process] = [world.trap("clean"), world.trap("process")];
      write(at(".gitattributes"), "*.txt filter=evil\n*.bin filter=worse\n");
      write(at("a.txt"), "as it is\r\n");
      write(at("a.bin"), "as it is");
      inClone("config", "filter.evil.clean", `${clean.program}; tr a-z A-Z`);
      inClone("config", "filter.evil.smudge", clean.program);
      inClone("config", "filter.evil.required", "true");
      inClone("config", "filter.worse.process", process.program);
      const { commit } = await world.snapshot(workspace);
      assert.equal(world.git(world.mirror, "cat-file", "-s", `${commit}:a.txt`), "10");
      assert.equal(content(commit, "a.txt"), "as it is");
      assert.deepEqual([clean.sprung(), process.sprung()], [false, false]);
      world.works(workspace.path, "add", "-A");
      inClone("config", "--unset", "filter.worse.process");
      inClone("add", "-A");
      assert.deepEqual([clean.sprung(), process.sprung()], [true, true], "control");
      assert.equal(inClone("show", ":a.txt"), "AS IT IS", "control");
    });

    test("a merge driver, an external diff, a textconv and a signing program are not run", async () => {
      const [driver, external] = [world.trap("driver"), world.trap("external")];
      const [textconv, gpg] = [world.trap("textconv"), world.trap("gpg")];
      write(at(".gitattributes"), "*.md merge=evil diff=evil\n");
      write(at("README.md"), "# From the agent\n");
      inClone("config", "merge.evil.driver", `${driver.program} %A`);
      inClone("config", "diff.evil.textconv", textconv.program);
      inClone("config", "diff.external", external.program);
      inClone("config", "gpg.program", gpg.program);
      inClone("config", "commit.gpgSign", "true");
      const snapshot = await world.snapshot(workspace);
      write(join(world.source, "README.md"), "# From the person\n");
      world.git(world.source, "commit", "-qam", "another change");
      const sources = [world.sourceOf("r/1", snapshot.commit)];
      const merged = await world.workspaces.merge({ repository: world.repository, into: "main", sources, author });
      assert.deepEqual(merged, { kind: "conflict", step: "r/1", files: ["README.md"] });
      const diff = await world.workspaces.diff({ repository: world.repository, from: workspace.base, to: snapshot.commit ?? "" });
      assert.match(diff, /^\+# From the agent$/m);
      const sprung = () => [driver, external, textconv, gpg].map((trap) => trap.sprung());
      assert.deepEqual(sprung(), [false, false, false, false]);

      assert.equal(world.works(workspace.path, "commit", "-qam", "signed"), false);
      inClone("config", "commit.gpgSign", "false");
      inClone("commit", "-qam", "mine");
      inClone("diff", "HEAD^", "--", "README.md");
      inClone("config", "--unset", "diff.external");
      inClone("log", "-p", "-1");
      inClone("fetch", "-q", world.source, "main");
      world.works(workspace.path, "merge", "FETCH_HEAD");
      assert.deepEqual(sprung(), [true, true, true, true], "control");
    });

    test("a packObjectsHook and an alternateRefsCommand of the clone are not run", async () => {
      const [hook, command] = [world.trap("pack"), world.trap("alternate")];
      inClone("config", "uploadpack.packObjectsHook", hook.program);
      inClone("config", "core.alternateRefsCommand", command.program);
      write(at("a.txt"), "a");
      inClone("add", "-A");
      inClone("commit", "-qm", "a");
      assert.equal((await world.snapshot(workspace)).commit, inClone("rev-parse", "HEAD"));
      assert.deepEqual([hook.sprung(), command.sprung()], [false, false]);
      // Control for the first: git honours it from configuration that is not the repository's, where no agent can write.
      world.git(world.root, "init", "-q", "--bare", "control.git");
      world.git(world.root, "config", "--global", "uploadpack.packObjectsHook", hook.program);
      world.works(join(world.root, "control.git"), "fetch", "-q", workspace.path, "HEAD");
      assert.equal(hook.sprung(), true, "control");
    });

    test("alternates that lead to another repository bring nothing of it", async () => {
      const other = victim();
      write(at("work.txt"), "real work");
      const alternates = at(".git/objects/info/alternates");
      const before = existsSync(alternates) ? readFileSync(alternates, "utf8") : "";
      write(alternates, `${before}${join(other.folder, ".git/objects")}\n`);
      const stolen = inClone("commit-tree", other.tree, "-p", workspace.base, "-m", "stolen");
      inClone("update-ref", "refs/heads/tutti/T-s1", stolen);
      const { files } = await world.snapshot(workspace);
      assert.deepEqual(files, ["work.txt"]);
      assert.deepEqual([mirrorHas(other.blob), mirrorHas(stolen)], [false, false]);
      assert.equal(naiveFetchBrings(other.blob), true, "control");
    });

    test("a .git file that points to another repository brings nothing of it", async () => {
      const other = victim();
      write(at("work.txt"), "real work");
      rmSync(at(".git"), { recursive: true });
      write(at(".git"), `gitdir: ${join(other.folder, ".git")}\n`);
      assert.deepEqual((await world.snapshot(workspace)).files, ["work.txt"]);
      assert.equal(mirrorHas(other.blob), false);
      assert.equal(naiveFetchBrings(other.blob), true, "control");
    });

    test("a .git, an objects folder and a commondir that lead elsewhere bring nothing of it", async () => {
      const other = victim();
      write(at("work.txt"), "real work");
      renameSync(at(".git"), join(world.root, "git-before"));
      symlinkSync(join(other.folder, ".git"), at(".git"));
      assert.deepEqual((await world.snapshot(workspace, 1)).files, ["work.txt"]);
      assert.equal(mirrorHas(other.blob), false);
      assert.equal(naiveFetchBrings(other.blob), true, "control");

      rmSync(at(".git"));
      renameSync(join(world.root, "git-before"), at(".git"));
      rmSync(at(".git/objects"), { recursive: true });
      symlinkSync(join(other.folder, ".git/objects"), at(".git/objects"));
      write(at(".git/refs/heads/tutti/T-s1"), `${other.commit}\n`);
      assert.deepEqual((await world.snapshot(workspace, 2)).files, ["work.txt"]);
      assert.equal(mirrorHas(other.blob), false);

      write(at(".git/commondir"), join(other.folder, ".git"));
      write(at(".git/HEAD"), "ref: refs/heads/main\n");
      assert.deepEqual((await world.snapshot(workspace, 3)).files, ["work.txt"]);
      assert.equal(mirrorHas(other.blob), false);
    });

    test("poisoned objects are found out: nothing of them enters the mirror, and the files are still taken", async () => {
      write(at("a.txt"), "the true content");
      inClone("add", "-A");
      inClone("commit", "-qm", "a");
      const blob = inClone("rev-parse", "HEAD:a.txt");
      const file = at(`.git/objects/${blob.slice(0, 2)}/${blob.slice(2)}`);
      chmodSync(file, 0o644);
      write(file, deflateSync(Buffer.from("blob 5\0false")));
      assert.equal(inClone("cat-file", "blob", blob), "false", "control: the clone serves the wrong content under this id");
      const { commit, files } = await world.snapshot(workspace);
      assert.deepEqual(files, ["a.txt"]);
      assert.equal(content(commit, "a.txt"), "the true content");
      assert.equal(world.git(world.mirror, "fsck", "--full", "--strict"), "");
    });

    test("an object that the mirror has is not replaced through the clone; through a hard link it would be", async () => {
      const blob = world.git(world.source, "rev-parse", "main:README.md");
      const poison = (folder: string) => {
        const loose = join(folder, "objects", blob.slice(0, 2), blob.slice(2));
        if (existsSync(loose)) chmodSync(loose, 0o644);
        write(loose, deflateSync(Buffer.from("blob 5\0evil!")));
      };
      poison(at(".git"));
      write(at("more.txt"), "x");
      await world.snapshot(workspace);
      assert.equal(world.git(world.mirror, "cat-file", "blob", blob), "# Sample");
      for (const entry of readdirSync(join(world.mirror, "objects"), { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) assert.equal(statSync(join(entry.parentPath, entry.name)).nlink, 1);
      }
      world.git(world.root, "clone", "-q", world.source, "hard-linked");
      poison(join(world.root, "hard-linked/.git"));
      assert.equal(world.git(world.source, "cat-file", "blob", blob), "evil!", "control: the person's repository serves it");
    });

    test("an embedded bare repository is only files, and git that stands inside of it is never ours", async () => {
      const trap = world.trap("bare");
      inClone("init", "-q", "--bare", "bare");
      world.git(at("bare"), "config", "core.fsmonitor", trap.program);
      world.git(at("bare"), "config", "core.bare", "false");
      world.git(at("bare"), "config", "core.worktree", at("bare"));
      const { files } = await world.snapshot(workspace);
      assert.ok(files.includes("bare/HEAD") && files.includes("bare/config"));
      assert.equal(trap.sprung(), false);
      world.works(at("bare"), "status");
      assert.equal(trap.sprung(), true, "control");
    });

    test("a nested repository arrives as its files, nothing of it runs, and its .git stays away", async () => {
      const trap = world.trap("nested");
      for (const name of ["with", "without", "with/deeper"]) {
        inClone("init", "-q", name);
        write(at(`${name}/file of.txt`), name);
      }
      write(at("with/.gitignore"), "*.log\n");
      write(at("with/a.log"), "ignored");
      world.git(at("with"), "add", "file of.txt");
      world.git(at("with"), "commit", "-qm", "nested");
      world.git(at("with"), "config", "core.fsmonitor", trap.program);
      const { commit, files } = await world.snapshot(workspace, 1);
      assert.deepEqual(files, ["with/.gitignore", "with/deeper/file of.txt", "with/file of.txt", "without/file of.txt"]);
      assert.equal(content(commit, "with/file of.txt"), "with");
      write(at("with/file of.txt"), "with, changed");
      const second = await world.snapshot(workspace, 2);
      assert.equal(content(second.commit, "with/file of.txt"), "with, changed");
      assert.equal(trap.sprung(), false);

      rmSync(at("without"), { recursive: true });
      inClone("add", "with");
      assert.match(inClone("ls-files", "--stage", "with"), /^160000/, "control: only a commit id, the files are lost");
      world.works(workspace.path, "add", "-A");
      assert.equal(trap.sprung(), true, "control: git add looks into it with its configuration");
    });

    test("a submodule stays at its commit: nothing is run in it, and nothing taken from it", async () => {
      const trap = world.trap("submodule");
      inClone("init", "-q", "sub");
      world.git(at("sub"), "commit", "-q", "--allow-empty", "-m", "x");
      write(at(".gitmodules"), '[submodule "sub"]\n\tpath = sub\n\turl = https://example.org/sub.git\n');
      inClone("add", "-A");
      inClone("commit", "-qm", "a submodule");
      const pinned = inClone("rev-parse", "HEAD:sub");
      world.git(at("sub"), "config", "core.fsmonitor", trap.program);
      write(at("sub/file"), "inside");
      write(at("a.txt"), "a");
      for (const turn of [1, 2]) {
        const { commit, files } = await world.snapshot(workspace, turn);
        assert.deepEqual(files, [".gitmodules", "a.txt", "sub"]);
        assert.equal(world.git(world.mirror, "rev-parse", `${commit}:sub`), pinned);
        world.git(at("sub"), "-c", "core.fsmonitor=false", "commit", "-q", "--allow-empty", "-m", "y");
      }
      assert.equal(trap.sprung(), false);
      world.git(at("sub"), "-c", "core.fsmonitor=false", "reset", "-q", pinned);
      inClone("add", "-A");
      assert.equal(trap.sprung(), true, "control");
    });

    test("a submodule with an address made to attack is refused, committed or not; the rest arrives", async () => {
      const attack = '[submodule "a"]\n\tpath = a\n\turl = --upload-pack=touch /tmp/x\n';
      write(at(".gitmodules"), attack);
      write(at("a.txt"), "a");
      const first = await world.snapshot(workspace, 1);
      assert.deepEqual(first.files, ["a.txt"]);
      const message = world.git(world.mirror, "log", "-1", "--format=%b", first.commit ?? "");
      assert.match(message, /Left out: \.gitmodules \(git refuses it: gitmodulesUrl\)/);
      inClone("add", "-A");
      inClone("commit", "-qm", "attack");
      const blob = inClone("rev-parse", "HEAD:.gitmodules");
      assert.deepEqual((await world.snapshot(workspace, 2)).files, ["a.txt"]);
      assert.equal(mirrorHas(blob), false);
      assert.equal(naiveFetchBrings(blob), true, "control");
    });

    test("a .gitmodules that the person committed is not held against the agent", async () => {
      write(join(world.source, ".gitmodules"), '[submodule "a"]\n\tpath = a\n\turl = --strange\n');
      world.git(world.source, "add", "-A");
      world.git(world.source, "commit", "-qm", "theirs");
      workspace = await world.open("s2");
      write(at("a.txt"), "a");
      assert.deepEqual((await world.snapshot(workspace, 1, "s2")).files, ["a.txt"]);
      inClone("add", "-A");
      inClone("commit", "-qm", "a");
      assert.equal((await world.snapshot(workspace, 2, "s2")).commit, inClone("rev-parse", "HEAD"));
    });

    test("names by which git's own folder could be written are refused", async () => {
      write(at(".GIT/config"), "[core]\n\tfsmonitor = x\n");
      write(at("git~1/config"), "x");
      write(at("a.txt"), "a");
      assert.deepEqual((await world.snapshot(workspace)).files, ["a.txt"]);
    });

    test("a shallow file and replaced objects in the clone change nothing in the mirror", async () => {
      write(at("a.txt"), "a");
      inClone("add", "-A");
      inClone("commit", "-qm", "a");
      const head = inClone("rev-parse", "HEAD");
      inClone("replace", "--graft", head);
      write(at(".git/shallow"), `${head}\n${workspace.base}\n`);
      const { commit, files } = await world.snapshot(workspace);
      assert.deepEqual(files, ["a.txt"]);
      assert.equal(existsSync(join(world.mirror, "shallow")), false);
      assert.equal(world.git(world.mirror, "rev-parse", `${commit}^`), workspace.base);
      assert.equal(world.git(world.mirror, "for-each-ref", "refs/replace"), "");
    });

    test("refs of the clone do not become refs of the mirror", async () => {
      write(at("a.txt"), "a");
      inClone("add", "-A");
      inClone("commit", "-qm", "a");
      for (const ref of ["refs/heads/main", "refs/tutti/s2/1", "refs/keep/x", "refs/tags/v1", "refs/tutti/published/x"]) {
        inClone("update-ref", ref, "HEAD");
      }
      await world.snapshot(workspace);
      const refs = world.git(world.mirror, "for-each-ref", "--format=%(refname)").split("\n");
      assert.deepEqual(refs, ["refs/heads/main", "refs/tutti/s1/1", "refs/tutti/s1/base"]);
      assert.equal(world.git(world.mirror, "rev-parse", "main"), workspace.base);
    });

    test("a commit that claims another step's trailer does not stand in that step's way", async () => {
      write(at("a.txt"), "a");
      inClone("add", "-A");
      inClone("commit", "-qm", "mine\n\nTutti-Step: run/2");
      inClone("switch", "-qc", "x", workspace.base);
      const asTutti = ["-c", "user.name=Tutti (x)", "-c", "user.email=tutti@localhost"];
      inClone(...asTutti, "merge", "-q", "--no-ff", "-m", "m\n\nTutti-Step: run/2", "tutti/T-s1");
      const first = await world.snapshot(workspace);
      const second = await world.open("s2");
      write(join(second.path, "b.txt"), "b");
      const other = await world.snapshot(second, 1, "s2");
      const sources = [world.sourceOf("run/1", first.commit), world.sourceOf("run/2", other.commit)];
      const merged = await world.workspaces.merge({ repository: world.repository, into: "main", sources, author });
      assert.ok(merged.kind === "merged" && merged.commits.length === 2);
      assert.equal(content(merged.commit, "b.txt"), "b");
    });

    test("a hook that an agent puts where the person's repository looks for hooks is not run by the delivery", async () => {
      const trap = world.trap("delivered");
      world.git(world.source, "config", "core.hooksPath", ".husky");
      for (const name of ["post-merge", "reference-transaction", "post-checkout"]) {
        write(at(`.husky/${name}`), readFileSync(trap.program), 0o755);
      }
      const { commit } = await world.snapshot(workspace);
      cpSync(world.source, join(world.root, "control"), { recursive: true });
      const sources = [world.sourceOf("r/1", commit)];
      const merged = await world.workspaces.merge({ repository: world.repository, into: "main", sources, author });
      assert.ok(merged.kind === "merged");
      const delivery = await world.workspaces.deliver({ repository: world.repository, into: "main", ...merged, waitingBranch: "tutti/w" });
      assert.equal(delivery.kind, "delivered");
      assert.equal(existsSync(join(world.source, ".husky/post-merge")), true);
      assert.equal(trap.sprung(), false);
      world.git(join(world.root, "control"), "pull", "-q", world.mirror, "refs/tutti/s1/1");
      assert.equal(trap.sprung(), true, "control");
    });

    test("terminal sequences in what git says do not reach a message", async () => {
      write(at(".git/HEAD"), "ref: refs/heads/\u001b[31mred\u0007\n");
      rmSync(at(".git/refs/heads/tutti"), { recursive: true });
      write(at("a.txt"), "a");
      const { commit } = await world.snapshot(workspace);
      const message = world.git(world.mirror, "log", "-1", "--format=%B", commit ?? "");
      assert.match(message, /could not be read/);
      assert.doesNotMatch(message, /(?!\n)\p{Cc}/u);
    });
  });
}

test("a nested .git that leads out of the clone is not followed: confined git sees nothing else of the machine", async () => {
  const world = await openWorld({ limits: { confinedMs: 3000 } });
  try {
    const workspace = await world.open();
    mkdirSync(join(world.root, "outside/objects"), { recursive: true });
    mkdirSync(join(world.root, "outside/refs"));
    // Read naively this would hold git up for ever.
    makeFifo(join(world.root, "outside/HEAD"));
    write(join(workspace.path, "nested/.git"), `gitdir: ${join(world.root, "outside")}\n`);
    write(join(workspace.path, "nested/file"), "x");
    const { files } = await world.snapshot(workspace);
    assert.deepEqual(files, ["nested/file"]);
  } finally {
    world.dispose();
  }
});

test("a FIFO that is reached by a detour holds a snapshot up for its time limit only, and loses nothing", async () => {
  const world = await openWorld({ limits: { confinedMs: 2000 } });
  try {
    const workspace = await world.open();
    mkdirSync(join(workspace.path, "x/objects"), { recursive: true });
    mkdirSync(join(workspace.path, "x/refs"));
    makeFifo(join(workspace.path, "x/HEAD"));
    write(join(workspace.path, "nested/.git"), "gitdir: ../x\n");
    write(join(workspace.path, "nested/file"), "x");
    const { files } = await world.snapshot(workspace);
    assert.deepEqual(files, ["nested/file"]);
  } finally {
    world.dispose();
  }
});

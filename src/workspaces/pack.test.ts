import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { deflateSync } from "node:zlib";
import type { Limits } from "./git.ts";
import { openWorkspaces } from "./open.ts";
import { headerOf, packRef, readHeader } from "./pack.ts";
import type { Workspaces } from "./workspace.ts";
import { openWorld, type World, write } from "./world.suite.ts";

/** Two homes that share nothing but the person's repository. `b` begins with nothing. */
interface Homes extends World {
  a: Workspaces;
  b: Workspaces;
  mirrorB: string;
  homeB: string;
}

async function openHomes(sandbox: "bubblewrap" | "none" = "bubblewrap", limits: Partial<Limits> = {}): Promise<Homes> {
  const world = await openWorld({ sandbox });
  const homeB = join(world.root, "other home");
  const b = await openWorkspaces({
    home: homeB,
    path: process.env.PATH ?? "",
    sandbox,
    now: () => world.clock.now,
    personHome: join(world.root, "person"),
    limits: { confinedMs: 20_000, ...limits },
  });
  return { ...world, a: world.workspaces, b, homeB, mirrorB: join(homeB, "repositories", "sample.git") };
}

/** A home of the test with everything removed afterwards. */
const inHomes =
  (work: (homes: Homes) => Promise<void>, ...how: Parameters<typeof openHomes>) =>
  async () => {
    const homes = await openHomes(...how);
    try {
      await work(homes);
    } finally {
      homes.dispose();
    }
  };

async function bytesOf(bytes: AsyncIterable<Uint8Array> | null): Promise<Buffer> {
  assert.ok(bytes, "there is something to pack");
  return Buffer.concat(await Array.fromAsync(bytes));
}

async function* inChunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A commit made by an agent in home A on top of `base` (null: the branch). */
async function workIn(
  { workspaces, repository, person }: World,
  session: string,
  files: Record<string, string | Uint8Array>,
  base: string | null = null,
): Promise<string> {
  const workspace = await workspaces.open({ repository, session, branch: `tutti/${session}`, base, includeDirty: false, sandboxed: true });
  for (const [path, content] of Object.entries(files)) write(join(workspace.path, path), content);
  const committer = { name: "Tutti (coder)", email: "tutti@localhost" };
  const { commit } = await workspaces.snapshot({ repository, workspace, session, turn: 1, author: person, committer, message: "work" });
  return commit ?? assert.fail("nothing was changed");
}

const inHomeB = (homes: Homes): World => ({ ...homes, workspaces: homes.b });

/** Everything that a mirror holds. */
const contentOf = (homes: Homes): string =>
  [
    homes.works(homes.mirrorB, "rev-parse") ? homes.git(homes.mirrorB, "for-each-ref") : "",
    homes.works(homes.mirrorB, "rev-parse") ? homes.git(homes.mirrorB, "cat-file", "--batch-all-objects", "--batch-check") : "",
  ].join("\n");

/** The bytes are refused, and neither the mirror nor the quarantine has anything of them. */
async function assertRefused(homes: Homes, commit: string, bytes: Uint8Array, expected: object = { code: "check_failed" }): Promise<void> {
  await homes.b.refresh(homes.repository);
  const before = contentOf(homes);
  await assert.rejects(homes.b.unpack({ repository: homes.repository, commit, bytes: inChunks(bytes) }), expected);
  assert.equal(contentOf(homes), before, "the mirror is as it was");
  assertNothingLeft(homes);
}

function assertNothingLeft({ homeB, mirrorB }: Homes): void {
  assert.deepEqual(existsSync(join(homeB, "packs")) ? readdirSync(join(homeB, "packs")) : [], []);
  const packs = join(mirrorB, "objects", "pack");
  assert.deepEqual(existsSync(packs) ? readdirSync(packs).filter((name) => name.startsWith("tmp_")) : [], []);
}

for (const sandbox of ["bubblewrap", "none"] as const) {
  test(
    `a commit of one home is merged in another one that has nothing yet, sandbox ${sandbox}`,
    inHomes(async (homes) => {
      const { a, b, repository, person, git, source, sourceOf } = homes;
      const commit = await workIn(homes, "s1", { "src/two.js": "export const two = 2;\n" });
      assert.equal(await b.has(repository, commit), false);
      await b.unpack({ repository, commit, bytes: (await a.pack({ repository, commit })) ?? assert.fail() });
      assert.equal(await b.has(repository, commit), true);
      assert.equal(git(homes.mirrorB, "rev-parse", packRef(commit)), commit);
      const merged = await b.merge({ repository, into: "main", sources: [sourceOf("r/1", commit)], author: person });
      assert.ok(merged.kind === "merged");
      const delivery = { repository, into: "main", before: merged.before, commit: merged.commit, waitingBranch: "tutti/waiting" };
      assert.equal((await b.deliver(delivery)).kind, "delivered");
      assert.equal(git(source, "show", "main:src/two.js"), "export const two = 2;");
      assertNothingLeft(homes);
    }, sandbox),
  );
}

test(
  "a chain of steps goes from home to home and back, each with its last pack alone",
  inHomes(async (homes) => {
    const { a, b, repository, git } = homes;
    const first = await workIn(homes, "s1", { "one.txt": "1\n" });
    await b.unpack({ repository, commit: first, bytes: (await a.pack({ repository, commit: first })) ?? assert.fail() });
    const second = await workIn(inHomeB(homes), "s2", { "two.txt": "2\n" }, first);
    await a.unpack({ repository, commit: second, bytes: (await b.pack({ repository, commit: second })) ?? assert.fail() });
    const third = await workIn(homes, "s3", { "three.txt": "3\n" }, second);
    // A third home, which has seen none of it, needs the last pack only.
    const last = await bytesOf(await a.pack({ repository, commit: third }));
    const c = await openWorkspaces({ home: join(homes.root, "third"), path: process.env.PATH ?? "", sandbox: "bubblewrap", now: () => 0 });
    await c.unpack({ repository, commit: third, bytes: inChunks(last) });
    assert.match(await c.diff({ repository, from: first, to: third }), /\+2\n[\s\S]*|\+3/);
    assert.equal(
      git(join(homes.root, "third", "repositories", "sample.git"), "log", "--format=%H", `${third}~3..${third}`),
      [third, second, first].join("\n"),
    );
  }),
);

test(
  "what the base branch has is not packed at all, and a pack carries only what is new",
  inHomes(async (homes) => {
    const { a, repository, source, git, root } = homes;
    write(join(source, "large.bin"), randomBytes(500_000));
    git(source, "add", "-A");
    git(source, "commit", "-qm", "large");
    const { head } = await a.refresh(repository);
    assert.equal(await a.pack({ repository, commit: head }), null);
    const commit = await workIn(homes, "s1", { "small.txt": "small\n" });
    const bytes = await bytesOf(await a.pack({ repository, commit }));
    assert.ok(bytes.length < 2_000, `${bytes.length} bytes`);
    assert.deepEqual(bytes, await bytesOf(await a.pack({ repository, commit })), "the same commit gives the same bytes");
    // Plain git reads it.
    write(join(root, "work.bundle"), bytes);
    git(source, "fetch", "-q", join(root, "work.bundle"), "refs/tutti/pack:refs/heads/from-bundle");
    assert.equal(git(source, "rev-parse", "from-bundle"), commit);
  }),
);

test(
  "a commit that nothing connects with the repository is packed whole",
  inHomes(async (homes) => {
    const { a, b, repository, git, mirror } = homes;
    await a.refresh(repository);
    const tree = git(mirror, "rev-parse", "main^{tree}");
    const orphan = git(mirror, "commit-tree", tree, "-m", "alone");
    await b.unpack({ repository, commit: orphan, bytes: (await a.pack({ repository, commit: orphan })) ?? assert.fail() });
    assert.equal(git(homes.mirrorB, "rev-parse", `${orphan}^{tree}`), tree);
  }),
);

test(
  "the person's uncommitted work, which a session began with, travels as its base",
  inHomes(async (homes) => {
    const { a, b, repository, source, person } = homes;
    write(join(source, "unsaved.txt"), "unsaved\n");
    const workspace = await homes.open("s1", { includeDirty: true });
    write(join(workspace.path, "more.txt"), "more\n");
    const { commit } = await homes.snapshot(workspace);
    await b.unpack({ repository, commit: commit ?? "", bytes: (await a.pack({ repository, commit: commit ?? "" })) ?? assert.fail() });
    assert.ok(await b.has(repository, workspace.base));
    assert.match(await b.diff({ repository, from: workspace.base, to: commit ?? "" }), /more/);
    assert.equal(person.name, "Ada Lovelace");
  }),
);

test(
  "a home whose mirror is behind asks the person's repository for what a pack builds on",
  inHomes(async (homes) => {
    const { a, b, repository, source, git } = homes;
    await b.refresh(repository);
    git(source, "commit", "-qm", "later", "--allow-empty");
    const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
    await b.unpack({ repository, commit, bytes: (await a.pack({ repository, commit })) ?? assert.fail() });
    assert.ok(await b.has(repository, commit));
  }),
);

test(
  "a pack that builds on what the person's repository has no more is refused by name, and leaves nothing",
  inHomes(async (homes) => {
    const { a, repository, source, git } = homes;
    write(join(source, "later.txt"), "later\n");
    git(source, "add", "-A");
    git(source, "commit", "-qm", "later");
    const gone = git(source, "rev-parse", "HEAD");
    const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
    const bytes = await bytesOf(await a.pack({ repository, commit }));
    git(source, "reset", "-q", "--hard", "HEAD~1");
    await assertRefused(homes, commit, bytes, { code: "not_found", why: new RegExp(gone) });
  }),
);

test(
  "20 MB that cannot be compressed pass through with flat memory",
  inHomes(async (homes) => {
    const { b, repository, root, home, homeB } = homes;
    const commit = await workIn(homes, "s1", { "large.bin": randomBytes(20 * 1024 ** 2) });
    const carry = { homes: [home, homeB], personHome: join(root, "person"), path: process.env.PATH, repository, commit };
    const child = join(import.meta.dirname, "pack.child.ts");
    const flags = ["--expose-gc", "--disable-warning=ExperimentalWarning"];
    const said = execFileSync(process.execPath, [...flags, child, JSON.stringify(carry)], { encoding: "utf8", timeout: 60_000 });
    const { bytes, most, collects } = JSON.parse(said) as { bytes: number; most: number; collects: boolean };
    assert.ok(collects && bytes > 20 * 1024 ** 2);
    assert.ok(most < 4 * 1024 ** 2, `${Math.round(most / 1024)} KB held`);
    assert.ok(await b.has(repository, commit));
  }),
);

test(
  "taking the same pack twice at once, and once more, is one commit under one ref",
  inHomes(async (homes) => {
    const { a, b, repository, git, mirrorB } = homes;
    const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
    const bytes = await bytesOf(await a.pack({ repository, commit }));
    const take = () => b.unpack({ repository, commit, bytes: inChunks(bytes, 7) });
    await Promise.all([take(), take()]);
    await take();
    assert.equal(git(mirrorB, "for-each-ref", "--format=%(refname)"), `refs/heads/main\n${packRef(commit)}`);
    assertNothingLeft(homes);
  }),
);

describe("a session that goes on in another home", () => {
  /** The session's next turn in one home, as its runner opens it: the server knows its base and its last commit. */
  async function turn(homes: Homes, at: "a" | "b", n: number, goesOn: { base: string; commit: string } | null) {
    const { repository, person } = homes;
    const [here, there] = at === "a" ? [homes.a, homes.b] : [homes.b, homes.a];
    if (goesOn && !(await here.has(repository, goesOn.commit))) {
      await here.unpack({
        repository,
        commit: goesOn.commit,
        bytes: (await there.pack({ repository, commit: goesOn.commit })) ?? assert.fail(),
      });
    }
    const session = { repository, session: "s1", branch: "tutti/T-1", base: null, includeDirty: false, sandboxed: true };
    const workspace = await here.open({ ...session, goesOn });
    const seen = readdirSync(workspace.path).filter((name) => name.startsWith("turn"));
    write(join(workspace.path, `turn-${n}.txt`), `${n}\n`);
    return {
      seen,
      workspace,
      async end() {
        const committer = { name: "Tutti (coder)", email: "tutti@localhost" };
        const at = { repository, workspace, session: "s1", turn: n, author: person, committer, message: `turn ${n}` };
        const { commit, files } = await here.snapshot(at);
        await here.publish({ repository, branch: "tutti/T-1", commit: commit ?? "" });
        return { base: workspace.base, commit: commit ?? assert.fail(), files };
      },
    };
  }

  test(
    "begins at its last commit there, shows all that it changed since its base, and publishes to the same branch",
    inHomes(async (homes) => {
      const first = await (await turn(homes, "a", 1, null)).end();
      const second = await turn(homes, "b", 2, first);
      assert.deepEqual([second.seen, second.workspace.existed, second.workspace.base], [["turn-1.txt"], false, first.base]);
      const ended = await second.end();
      assert.deepEqual(ended.files, ["turn-1.txt", "turn-2.txt"]);
      assert.equal(homes.git(homes.source, "rev-parse", "tutti/T-1"), ended.commit);
    }),
  );

  test(
    "comes back to where it was: the clone that is older makes room, and what only it had is kept",
    inHomes(async (homes) => {
      const first = await (await turn(homes, "a", 1, null)).end();
      // The machine is lost in the middle of a turn.
      const lost = await turn(homes, "a", 2, first);
      assert.equal(lost.workspace.existed, true);
      const second = await (await turn(homes, "b", 2, first)).end();
      homes.clock.now += 1000;
      const third = await turn(homes, "a", 3, second);
      assert.deepEqual([third.seen, third.workspace.existed], [["turn-1.txt", "turn-2.txt"], false]);
      const kept = homes.git(homes.mirror, "for-each-ref", "--format=%(refname)", "refs/keep/").split("\n");
      assert.deepEqual(kept, [`refs/keep/s1.${homes.clock.now}`]);
      assert.equal(homes.git(homes.mirror, "show", `${kept[0]}:turn-2.txt`), "2");
      const { commit } = await third.end();
      // The next turn here finds it as it was left.
      const fourth = await turn(homes, "a", 4, { base: first.base, commit });
      assert.deepEqual([fourth.seen, fourth.workspace.existed], [["turn-1.txt", "turn-2.txt", "turn-3.txt"], true]);
    }),
  );

  test(
    "is interrupted there before it made anything: its unfinished files are still there when it is tried again",
    inHomes(async (homes) => {
      const first = await (await turn(homes, "a", 1, null)).end();
      await turn(homes, "b", 2, first);
      const again = await turn(homes, "b", 3, first);
      assert.deepEqual([again.seen, again.workspace.existed], [["turn-1.txt", "turn-2.txt"], true]);
    }),
  );

  test(
    "does not replace what a person put on its branch",
    inHomes(async (homes) => {
      const first = await (await turn(homes, "a", 1, null)).end();
      const { git, source } = homes;
      git(source, "branch", "-f", "tutti/T-1", git(source, "commit-tree", "main^{tree}", "-p", first.commit, "-m", "mine"));
      const second = await turn(homes, "b", 2, first);
      await assert.rejects(second.end(), { code: "conflict" });
    }),
  );
});

describe("hostile packs", () => {
  /** A loose object of any kind, past all checks of git. */
  function plant(folder: string, kind: "blob" | "tree" | "commit", content: Uint8Array | string): string {
    const body = Buffer.from(content);
    const whole = Buffer.concat([Buffer.from(`${kind} ${body.length}\0`), body]);
    const id = createHash("sha1").update(whole).digest("hex");
    write(join(folder, "objects", id.slice(0, 2), id.slice(2)), deflateSync(whole));
    return id;
  }
  const entry = (mode: string, name: string, id: string) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")]);

  /** A pack, as the product writes one, of a commit with this tree that no git would make. */
  async function forged(
    homes: Homes,
    tree: (plant: (content: string | Uint8Array, kind?: "blob" | "tree") => string) => Uint8Array,
    parent: string | null = null,
  ) {
    const { a, repository, mirror } = homes;
    const head = parent ?? (await a.refresh(repository)).head;
    const root = plant(
      mirror,
      "tree",
      tree((content, kind = "blob") => plant(mirror, kind, content)),
    );
    const who = "Ada <ada@example.org> 1700000000 +0000";
    const commit = plant(mirror, "commit", `tree ${root}\nparent ${head}\nauthor ${who}\ncommitter ${who}\n\nforged\n`);
    return { commit, bytes: await bytesOf(await a.pack({ repository, commit })) };
  }

  const attacks: [string, Parameters<typeof forged>[1], RegExp][] = [
    ["a folder .git with a hook", (blob) => entry("40000", ".git", blob(entry("100755", "config", blob("[core]\n")), "tree")), /hasDotgit/],
    [
      "the same as other file systems read it",
      (blob) => entry("40000", "GIT~1", blob(entry("100755", "config", blob("x")), "tree")),
      /hasDotgit/,
    ],
    ["a path that leads out of the folder", (blob) => entry("40000", "..", blob(entry("100644", "x", blob("x")), "tree")), /hasDotdot/],
    ["a name with a slash", (blob) => entry("100644", "../../x", blob("x")), /fullPathname/],
    [
      "a .gitmodules whose address is an option",
      (blob) => entry("100644", ".gitmodules", blob('[submodule "x"]\n\tpath = x\n\turl = -u./evil\n')),
      /gitmodulesUrl/,
    ],
    ["a .gitmodules that is a link", (blob) => entry("120000", ".gitmodules", blob("/etc/passwd")), /gitmodulesSymlink/],
    [
      "the same entry twice",
      (blob) => Buffer.concat([entry("100644", "x", blob("1")), entry("100644", "x", blob("2"))]),
      /duplicateEntries/,
    ],
  ];
  for (const [name, tree, reason] of attacks) {
    test(
      `${name} is refused`,
      inHomes(async (homes) => {
        const { commit, bytes } = await forged(homes, tree);
        await assertRefused(homes, commit, bytes, { code: "check_failed", why: reason });
        // Control: git as it comes lets it in.
        write(join(homes.root, "hostile.bundle"), bytes);
        assert.ok(
          homes.works(homes.source, "fetch", "-q", join(homes.root, "hostile.bundle"), "refs/tutti/pack:refs/heads/hostile"),
          "control",
        );
      }),
    );
  }

  test(
    "a broken object that the base has already is not held against a pack",
    inHomes(async (homes) => {
      const { b, repository, source, git } = homes;
      write(join(source, ".gitmodules"), '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n');
      git(source, "add", "-A");
      git(source, "commit", "-qm", "an old sin");
      const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
      await b.unpack({ repository, commit, bytes: inChunks(await bytesOf(await homes.a.pack({ repository, commit }))) });
      assert.ok(await b.has(repository, commit));
    }),
  );

  test(
    "an attack that lies in the base under a harmless name is refused under its own, in a pack and in a snapshot",
    inHomes(async (homes) => {
      const { repository, source, git, open, snapshot, mirror } = homes;
      const attack = '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n';
      write(join(source, "notes.txt"), attack);
      git(source, "add", "-A");
      git(source, "commit", "-qm", "notes");
      const { commit, bytes } = await forged(homes, (blob) => entry("100644", ".gitmodules", blob(attack)));
      await assertRefused(homes, commit, bytes, { code: "check_failed", why: /gitmodulesUrl/ });
      const workspace = await open("s1");
      write(join(workspace.path, ".gitmodules"), attack);
      write(join(workspace.path, "b.txt"), "b\n");
      const taken = await snapshot(workspace);
      assert.deepEqual(taken.files, ["b.txt"]);
      assert.equal(git(mirror, "ls-tree", taken.commit ?? "", ".gitmodules"), "");
      assert.ok(await homes.b.has(repository, git(source, "rev-parse", "HEAD")));
    }),
  );

  test(
    "an attack that an earlier pack brought under a harmless name does not become a part of the base",
    inHomes(async (homes) => {
      const { a, b, repository, git, mirror } = homes;
      const attack = '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n';
      const harmless = await workIn(homes, "s1", { ".gitnotes": attack });
      await b.unpack({ repository, commit: harmless, bytes: (await a.pack({ repository, commit: harmless })) ?? assert.fail() });
      const { commit } = await forged(homes, (blob) => entry("100644", ".gitmodules", blob(attack)), harmless);
      assert.equal(git(mirror, "rev-parse", `${commit}^`), harmless);
      await assertRefused(
        homes,
        commit,
        Buffer.concat([Buffer.from(headerOf(commit, [harmless])), packOf(homes, commit, `^${harmless}`)]),
        {
          code: "check_failed",
          why: /gitmodulesUrl/,
        },
      );
    }),
  );

  test(
    "a sound pack under another commit's name, with a ref more, or of a tree, is refused",
    inHomes(async (homes) => {
      const { a, repository, git, mirror } = homes;
      const [one, two] = [await workIn(homes, "s1", { "a.txt": "a\n" }), await workIn(homes, "s2", { "b.txt": "b\n" })];
      const bytes = await bytesOf(await a.pack({ repository, commit: one }));
      const header = bytes.subarray(0, bytes.indexOf("\n\n") + 2).toString("latin1");
      const pack = bytes.subarray(header.length);
      const prerequisites = readHeader(header, one);
      const as = (text: string) => Buffer.concat([Buffer.from(text, "latin1"), pack]);
      await assertRefused(homes, two, bytes, { code: "check_failed", why: /header/ });
      // The header claims two, the pack holds one.
      await assertRefused(homes, two, as(headerOf(two, prerequisites)));
      await assertRefused(homes, one, as(header.replace("\n\n", `\n${one} refs/heads/main\n\n`)), { code: "check_failed", why: /header/ });
      await assertRefused(homes, one, as(header.replace("refs/tutti/pack", "refs/heads/main")), { code: "check_failed", why: /header/ });
      const tree = git(mirror, "rev-parse", `${one}^{tree}`);
      await assertRefused(homes, tree, as(headerOf(tree, prerequisites)));
      // What it builds on is left unsaid: the parts that it does not bring are missed at a home that does not have them, and only there.
      await assertRefused(homes, one, as("# v2 git bundle\n"));
      await assertRefused(homes, one, Buffer.alloc(2 * 1024 ** 2, "-"), { code: "check_failed", why: /header/ });
      await assertRefused(homes, one, Buffer.alloc(0), { code: "check_failed", why: /header/ });
    }),
  );

  test(
    "objects that the commit does not need stay outside of the mirror",
    inHomes(async (homes) => {
      const { a, b, repository, git, mirror, mirrorB } = homes;
      const [one, two] = [await workIn(homes, "s1", { "a.txt": "a\n" }), await workIn(homes, "s2", { "stowaway.txt": "stowaway\n" })];
      const header = headerOf(one, readHeader(headerFrom(await bytesOf(await a.pack({ repository, commit: one }))), one));
      const bytes = Buffer.concat([Buffer.from(header), packOf(homes, one, two, "^main")]);
      await b.unpack({ repository, commit: one, bytes: inChunks(bytes) });
      assert.ok(await b.has(repository, one));
      const stowaway = git(mirror, "rev-parse", `${two}:stowaway.txt`);
      assert.deepEqual([await b.has(repository, two), homes.works(mirrorB, "cat-file", "-e", stowaway)], [false, false]);
    }),
  );

  test(
    "a pack that is cut off anywhere, or has something appended, is refused",
    inHomes(async (homes) => {
      const { a, repository } = homes;
      const commit = await workIn(homes, "s1", { "a.txt": "a\n", "b.txt": "b\n" });
      const bytes = await bytesOf(await a.pack({ repository, commit }));
      for (const length of [10, 100, bytes.length - 21, bytes.length - 1]) await assertRefused(homes, commit, bytes.subarray(0, length));
      await assertRefused(homes, commit, Buffer.concat([bytes, Buffer.from("x")]), { code: "check_failed", why: /junk/ });
    }),
  );

  test(
    "no flip of one byte gets in",
    inHomes(async (homes) => {
      const { a, b, repository } = homes;
      const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
      const bytes = await bytesOf(await a.pack({ repository, commit }));
      await b.refresh(repository);
      const before = contentOf(homes);
      for (let at = 0; at < bytes.length; at += 19) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        await assert.rejects(b.unpack({ repository, commit, bytes: inChunks(flipped) }), (error: { code?: unknown }) =>
          ["check_failed", "not_found"].includes(String(error.code)),
        );
      }
      assert.equal(contentOf(homes), before);
      assertNothingLeft(homes);
      await b.unpack({ repository, commit, bytes: inChunks(bytes) });
    }),
  );

  test(
    "a pack over the limit, one that never ends, and one whose reader fails are given up and leave nothing",
    inHomes(
      async (homes) => {
        const { a, b, repository } = homes;
        const commit = await workIn(homes, "s1", { "large.bin": randomBytes(3 * 1024 ** 2) });
        const bytes = await bytesOf(await a.pack({ repository, commit }));
        await assertRefused(homes, commit, bytes, { code: "too_large" });
        async function* endless(): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, 1000);
          await new Promise(() => undefined);
        }
        await assert.rejects(b.unpack({ repository, commit, bytes: endless() }), { code: "timed_out" });
        let taken = 0;
        async function* flood(beginning: string | Uint8Array): AsyncGenerator<Uint8Array> {
          yield Buffer.from(beginning);
          for (; taken < 64 * 1024 ** 2; taken += 65_536) yield Buffer.alloc(65_536, "-");
        }
        for (const [beginning, code] of [
          [bytes.subarray(0, 1000), "too_large"],
          ["# v2 git bundle", "check_failed"],
        ] as const) {
          taken = 0;
          await assert.rejects(b.unpack({ repository, commit, bytes: flood(beginning) }), { code });
          assert.ok(taken < 3 * 1024 ** 2, `${taken} bytes were taken`);
        }
        async function* failing(): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, 1000);
          throw new Error("the store is gone");
        }
        await assert.rejects(b.unpack({ repository, commit, bytes: failing() }), /the store is gone/);
        const stop = AbortSignal.timeout(50);
        await assert.rejects(b.unpack({ repository, commit, bytes: endless(), signal: stop }), { name: "TimeoutError" });
        assertNothingLeft(homes);
        assert.equal(await b.has(repository, commit), false);
      },
      "bubblewrap",
      { snapshotBytes: 1024 ** 2, confinedMs: 2_000 },
    ),
  );

  /** A bare pack of whatever is named. */
  function packOf({ root, mirror }: Homes, ...names: string[]): Buffer {
    const args = [`--git-dir=${mirror}`, "pack-objects", "--revs", "--stdout", "-q"];
    return execFileSync("git", args, { input: names.join("\n"), env: { PATH: process.env.PATH, HOME: join(root, "person") } });
  }

  const headerFrom = (bytes: Buffer): string => bytes.subarray(0, bytes.indexOf("\n\n") + 2).toString("latin1");
});

test("a quarantine that a killed process left is removed after a day, a younger one is not", async () => {
  const homes = await openHomes();
  try {
    const { a, b, repository, homeB, git } = homes;
    const [old, young] = ["tmp_old", "tmp_young"].map((name) => join(homeB, "packs", name));
    for (const folder of [old, young]) write(join(folder ?? "", "incoming"), "half");
    git(homes.root, "-c", "alias.old=!f() { touch -d '2 days ago' \"$1\"; }; f", "old", old ?? "");
    const commit = await workIn(homes, "s1", { "a.txt": "a\n" });
    await b.unpack({ repository, commit, bytes: (await a.pack({ repository, commit })) ?? assert.fail() });
    assert.deepEqual(readdirSync(join(homeB, "packs")), ["tmp_young"]);
    assert.ok(statSync(young ?? "").isDirectory());
  } finally {
    homes.dispose();
  }
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { pino } from "pino";
import type { Artifacts } from "../artifacts/artifact.ts";
import { openFileArtifacts } from "../artifacts/files.ts";
import { AppError } from "../errors.ts";
import { commitsOf } from "../sessions/bring-commit.ts";
import type { Pack } from "../sessions/session.ts";
import type { TaskSpec } from "../tasks/task.ts";
import { makeLocalLink } from "./link.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "./message.ts";
import { openMachine, type Machine } from "./open.ts";
import { startRunner } from "./runner.ts";

/**
 * Two runners with a home each, which share the person's repository and the store of artifacts, and nothing else. The test is the
 * server: it gives work to either, and keeps what they tell.
 */
describe("work between two homes", () => {
  let root: string;
  let source: string;
  let artifacts: Artifacts;
  let machines: Record<"a" | "b", Machine>;
  const packs = new Map<string, Pack>();
  let told: FromRunner[] = [];
  let tasks = 0;

  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: source,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();

  before(async () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "tutti-homes-")));
    source = join(root, "repository");
    mkdirSync(source);
    writeFileSync(join(root, ".gitconfig"), "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n");
    git("init", "-q");
    writeFileSync(join(source, "README.md"), "# Sample\n");
    git("add", "-A");
    git("commit", "-qm", "first");
    artifacts = await openFileArtifacts(root);
    const open = (name: string): Promise<Machine> => {
      const home = join(root, name);
      mkdirSync(home);
      const environment = { PATH: process.env.PATH ?? "" };
      return openMachine({
        home,
        instance: `${name}-${process.pid}`,
        processes: null,
        path: environment.PATH,
        userHome: root,
        environment,
        now: Date.now,
      });
    };
    machines = { a: await open("home-a"), b: await open("home-b") };
  });
  after(async () => {
    await Promise.all(Object.values(machines).map((machine) => machine.processes.close()));
    rmSync(root, { recursive: true, force: true });
  });
  beforeEach(() => (told = []));

  type Given = Partial<Assignment> & { spec: TaskSpec };

  /** Gives one attempt to the runner of a home and answers how it ended. */
  async function work(at: "a" | "b", given: Given, store: Artifacts = artifacts): Promise<AttemptOutcome> {
    const link = makeLocalLink();
    const over = Promise.withResolvers<AttemptOutcome>();
    link.server.receive(async (message) => {
      told.push(message);
      if (message.kind === "packed") packs.set(message.pack.commit, message.pack);
      if (message.kind === "outcome") over.resolve(message.outcome);
      return true;
    });
    const lost = new AbortController().signal;
    const nothing = async (): Promise<void> => undefined;
    const lease = { runner: `runner-${at}`, epoch: 1, lost, holds: () => true, drain: nothing, stop: nothing };
    const runner = startRunner({ link: link.runner, lease, log: pino({ level: "silent" }), tools: machines[at].tools(store) });
    const task = `T-${(tasks += 1)}`;
    const sandbox = machines[at].processes.abilities.sandbox ? "default" : "none";
    link.server.send({
      kind: "assign",
      task,
      attempt: 1,
      title: "Some work",
      project: { id: "sample", source, baseBranch: "main", sandbox, setup: null, deliver: "local" },
      session: `S-${tasks}`,
      branch: `tutti/${task}`,
      agent: null,
      access: null,
      broker: null,
      vendorSession: null,
      past: [],
      interrupted: false,
      nextTurn: 1,
      publish: null,
      label: `task/${task}`,
      wantsPacks: true,
      packs: commitsOf(given.spec, given.goesOn ?? null).flatMap((commit) => packs.get(commit) ?? []),
      ...given,
    });
    const outcome = await over.promise;
    await runner.stop();
    return outcome;
  }

  const run = (command: string, base: string | null = null): TaskSpec => ({ kind: "run", run: command, env: {}, base });
  const merge = (...commits: string[]): TaskSpec => ({
    kind: "merge",
    sources: commits.map((commit) => ({ step: `R-1/${commit.slice(0, 7)}`, title: "Work", commit, agent: "ada" })),
    into: null,
    env: {},
    base: null,
  });
  const done = (outcome: AttemptOutcome) => (outcome.kind === "done" ? outcome : assert.fail(JSON.stringify(outcome)));
  const commitOf = (outcome: AttemptOutcome): string => done(outcome).commit ?? assert.fail("nothing was changed");

  test("steps that go on from each other's commits run here and there, and the last home merges what the first made", async () => {
    const one = commitOf(await work("a", { spec: run("echo 1 > one.txt") }));
    const two = commitOf(await work("b", { spec: run("cat one.txt && echo 2 > two.txt", one) }));
    const three = commitOf(await work("a", { spec: run("cat one.txt two.txt && echo 3 > three.txt", two) }));
    const other = commitOf(await work("a", { spec: run("echo other > other.txt") }));
    told = [];
    const merged = done(await work("b", { spec: merge(three, other) }));
    assert.equal(merged.branch, "main");
    assert.equal(git("ls-tree", "-r", "--name-only", "main"), "README.md\none.txt\nother.txt\nthree.txt\ntwo.txt");
    // What is delivered every home can fetch by itself: there is no pack of it.
    assert.equal(packs.has(merged.commit ?? ""), false);
    assert.deepEqual(
      told.map((message) => message.kind),
      ["started", "outcome"],
    );
  });

  test("a commit is packed before its turn is told as ended", async () => {
    const commit = commitOf(await work("a", { spec: run("echo x > x.txt") }));
    const kinds = told.map((message) => message.kind).filter((kind) => kind !== "transcript");
    assert.deepEqual(kinds, ["started", "turn-started", "packed", "turn-ended", "outcome"]);
    const pack = packs.get(commit) ?? assert.fail("it was not told");
    assert.equal(await artifacts.size(pack.artifact), pack.size);
  });

  test("a merge that waits on a branch is packed: the next step may need it elsewhere", async () => {
    writeFileSync(join(source, "README.md"), "# Changed by the person\n");
    try {
      const one = commitOf(await work("a", { spec: run("echo waiting > waiting.txt") }));
      const merged = done(await work("a", { spec: merge(one) }));
      assert.match(merged.note ?? "", /finish with/);
      done(await work("b", { spec: run("cat waiting.txt", merged.commit) }));
    } finally {
      git("checkout", "-q", "README.md");
    }
  });

  test("a session goes on in another home from its last commit, with its whole change against its base", async () => {
    const first = done(await work("a", { session: "S-on", branch: "tutti/S-on", spec: run("echo 1 > s1.txt") }));
    const goesOn = { base: first.base ?? "", commit: first.commit ?? "" };
    const second = done(
      await work("b", { session: "S-on", branch: "tutti/S-on", spec: run("cat s1.txt && echo 2 > s2.txt"), goesOn, nextTurn: 2 }),
    );
    assert.deepEqual([second.base, second.files], [goesOn.base, ["s1.txt", "s2.txt"]]);
  });

  test("without packs being wanted nothing is packed, and another home says what it misses", async () => {
    const commit = commitOf(await work("a", { wantsPacks: false, spec: run("echo alone > alone.txt") }));
    assert.equal(packs.has(commit), false);
    const outcome = await work("b", { spec: run("true", commit) });
    assert.ok(
      outcome.kind === "failed" && outcome.reason === "error" && outcome.message.includes(`commit ${commit} is not on this machine`),
    );
  });

  test("a pack over the limit does not fail the work, a store that is away does, so that it is tried again", async () => {
    const failing = (code: "too_large" | "unreachable"): Artifacts => ({
      ...artifacts,
      async put(content) {
        if (content instanceof Object && Symbol.asyncIterator in content) throw new AppError(code, "no");
        return await artifacts.put(content);
      },
    });
    const kept = done(await work("a", { spec: run("echo large > large.txt") }, failing("too_large")));
    assert.ok(kept.commit);
    assert.ok(
      told.some((message) => message.kind === "transcript" && message.entries.some(({ text }) => /stays on this machine/.test(text))),
    );
    const outcome = await work("a", { spec: run("echo away > away.txt") }, failing("unreachable"));
    assert.ok(outcome.kind === "failed" && outcome.retryable);
  });

  test("bytes that were changed in the store do not get in, and the work fails by that name", async () => {
    const commit = commitOf(await work("a", { spec: run("echo true > true.txt") }));
    const pack = packs.get(commit) ?? assert.fail();
    const bytes = Buffer.concat(await Array.fromAsync(artifacts.open(pack.artifact)));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const forged = { ...pack, artifact: (await artifacts.put(bytes)).id };
    const outcome = await work("b", { spec: run("true", commit), packs: [forged] });
    assert.ok(outcome.kind === "failed" && /was refused/.test(outcome.message));
    assert.equal(await machines.b.workspaces.has({ project: "sample", source, baseBranch: "main" }, commit), false);
    assert.equal(existsSync(join(root, "home-b", "sessions", `S-${tasks}`, "work")), false);
  });
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { pino } from "pino";
import { makeRepository, until } from "../../test/support/tutti.ts";
import { openFileArtifacts } from "../artifacts/files.ts";
import { AppError } from "../errors.ts";
import type { RunnerLease } from "./lease.ts";
import { makeLocalLink, type LocalLink } from "./link.ts";
import type { Assignment, FromRunner } from "./message.ts";
import { openMachine, type Machine } from "./open.ts";
import { startRunner, type Runner } from "./runner.ts";
import type { RunnerTools } from "./attempt.ts";

/** What a runner may do while its lease holds, and what it remembers: with real processes and git, and a server that the test plays. */
const folder = mkdtempSync(join(tmpdir(), "tutti-runner-"));
const log = pino({ level: "silent" });
let machine: Machine;
let tools: RunnerTools;
let source: string;

before(async () => {
  const home = join(folder, "home");
  mkdirSync(home, { mode: 0o700 });
  source = makeRepository(join(folder, "repository"), { "a.txt": "a\n" });
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  machine = await openMachine({
    home,
    instance: `test-${process.pid}`,
    processes: "group",
    path,
    userHome: folder,
    environment: { PATH: path },
    now: Date.now,
  });
  tools = machine.tools(await openFileArtifacts(home));
});
after(async () => {
  await machine.processes.close();
  rmSync(folder, { recursive: true, force: true });
});

interface TestLease extends RunnerLease {
  /** Over, but nothing has said so yet: as after a SIGSTOP, when timers have not run. */
  lapse(): void;
  lose(): void;
}

function lease(): TestLease {
  const lost = new AbortController();
  let isHeld = true;
  return {
    runner: "runner-1",
    epoch: 1,
    lost: lost.signal,
    holds: () => isHeld && !lost.signal.aborted,
    lapse: () => (isHeld = false),
    lose: () => lost.abort(),
    drain: async () => {},
    stop: async () => {},
  };
}

let tasks = 0;

const assignment = (run: string): Assignment => ({
  kind: "assign",
  task: `T-${(tasks += 1)}`,
  attempt: 1,
  title: "a command",
  project: { id: "P-1", source, baseBranch: "main", sandbox: "none", setup: null, deliver: "local" },
  session: `S-${tasks}`,
  branch: `tutti/T-${tasks}`,
  spec: { kind: "run", run, env: {}, base: null },
  agent: null,
  access: null,
  broker: null,
  vendorSession: null,
  past: [],
  interrupted: false,
  nextTurn: 1,
  publish: null,
  label: `task/T-${tasks}`,
});

interface Played {
  link: LocalLink;
  runner: Runner;
  told: Exclude<FromRunner, { kind: "delta" }>[];
}

function play(held: RunnerLease, hear: (message: FromRunner) => Promise<boolean> = async () => true): Played {
  const link = makeLocalLink();
  const told: Played["told"] = [];
  link.server.receive(async (message) => {
    const taken = await hear(message);
    if (taken && message.kind !== "delta") told.push(message);
    return taken;
  });
  return { link, told, runner: startRunner({ link: link.runner, lease: held, tools, log }) };
}

const outcomes = ({ told }: Played) => told.flatMap((message) => (message.kind === "outcome" ? [message.outcome] : []));
const over = (played: Played) => until("the attempt to end", () => played.runner.active() === 0);

suite("a runner", () => {
  test("numbers what it tells of an attempt, from 1 and without a gap", async () => {
    const played = play(lease());
    played.link.server.send(assignment("echo hello"));
    await until("its outcome", () => outcomes(played).length === 1);
    assert.deepEqual(
      played.told.map(({ number }) => number),
      played.told.map((_, index) => index + 1),
    );
    assert.deepEqual(
      outcomes(played).map(({ kind }) => kind),
      ["done"],
    );
    await over(played);
  });

  test("begins nothing once its lease may be somebody else's, though nothing has told it so yet", async () => {
    const held = lease();
    const mark = join(folder, "begun-after-the-lease");
    const played = play(held, async ({ kind }) => {
      // The server has taken its word; then the machine sleeps, and wakes up after the lease.
      if (kind === "turn-started") held.lapse();
      return true;
    });
    played.link.server.send(assignment(`touch ${mark}`));
    await until("the turn", () => played.told.some(({ kind }) => kind === "turn-started"));
    await over(played);
    assert.equal(existsSync(mark), false);
    assert.deepEqual(outcomes(played), []);
  });

  test("the control: with its lease the same command runs", async () => {
    const mark = join(folder, "begun-with-the-lease");
    const played = play(lease());
    played.link.server.send(assignment(`touch ${mark}`));
    await until("its outcome", () => outcomes(played).length === 1);
    assert.equal(existsSync(mark), true);
    await over(played);
  });

  test("ends what runs when its lease is lost, and says nothing of it", async () => {
    const held = lease();
    const mark = join(folder, "runs-until-the-lease-is-lost");
    const played = play(held);
    played.link.server.send(assignment(`touch ${mark}; sleep 60`));
    await until("it to run", () => existsSync(mark));
    held.lose();
    await over(played);
    assert.deepEqual(outcomes(played), []);
  });

  test("does not run an attempt again that it has or had, however often it is told of it", async () => {
    const marks = join(folder, "marks");
    const played = play(lease());
    const given = assignment(`echo once >> ${marks}; sleep 0.3`);
    for (let n = 0; n < 3; n += 1) played.link.server.send(given);
    await until("its outcome", () => outcomes(played).length === 1);
    await over(played);
    played.link.server.send(given);
    assert.equal(played.runner.active(), 0);
    played.link.server.send({ ...given, attempt: 2 });
    await until("the next attempt's outcome", () => outcomes(played).length === 2);
    await over(played);
    assert.equal(readFileSync(marks, "utf8"), "once\nonce\n");
  });

  test("hands back what comes while it drains, and waits for what runs", async () => {
    const played = play(lease());
    const mark = join(folder, "may-end");
    const first = assignment(`while [ ! -e ${mark} ]; do sleep 0.05; done`);
    played.link.server.send(first);
    await until("it to run", () => played.told.some(({ kind }) => kind === "turn-started"));
    const drained = played.runner.drain(new AbortController().signal);
    const second = assignment("echo never");
    played.link.server.send(second);
    await until("the second to come back", () => outcomes(played).length === 1);
    assert.deepEqual(played.told.at(-1), {
      kind: "outcome",
      runner: "runner-1",
      runnerEpoch: 1,
      task: second.task,
      attempt: 1,
      session: second.session,
      number: 1,
      outcome: { kind: "interrupted" },
    });
    mkdirSync(mark);
    await drained;
    assert.deepEqual(
      outcomes(played).map(({ kind }) => kind),
      ["interrupted", "done"],
    );
  });

  test("an outcome that can never be stored is told as a failure, so that the attempt ends", async () => {
    const played = play(lease(), async (message) => {
      if (message.kind === "outcome" && message.outcome.kind === "done") throw new AppError("internal", "it does not fit into the store");
      return true;
    });
    played.link.server.send(assignment("echo hello"));
    await until("its outcome", () => outcomes(played).length === 1);
    const [outcome] = outcomes(played);
    assert.ok(outcome?.kind === "failed" && outcome.message.includes("it does not fit into the store"));
    await over(played);
  });

  test("what it tells of one attempt is taken in its order, also inside one process", async () => {
    const link = makeLocalLink();
    const taken: number[] = [];
    link.server.receive(async (message) => {
      // The first takes the longest.
      for (let turns = message.number === 1 ? 20 : 0; turns > 0; turns -= 1) await Promise.resolve();
      taken.push(message.number ?? 0);
      return true;
    });
    const fence = { runner: "runner-1", runnerEpoch: 1, task: "T-1", attempt: 1, session: "S-1" };
    await Promise.all(
      [1, 2, 3].map((number) => link.runner.tell({ kind: "vendor-session", ...fence, number, vendorSession: `${number}` })),
    );
    assert.deepEqual(taken, [1, 2, 3]);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { check, countGivenInVain, type Evidence, type FinalTask, type Verdict } from "./checker.ts";
import type { Change } from "./history.ts";

/** The checker must find what is planted, and nothing in a history that is good: a run that it passes says only what it can see. */
interface Lease {
  runner: string;
  epoch: number;
  current: number;
  until: number;
}

const lease: Lease = { runner: "one", epoch: 1, current: 1, until: 10_000 };

/** A history as the triggers write it: each line with the next number, 10 ms later. */
function write() {
  const history: Change[] = [];
  const add = (
    thing: Change["thing"],
    name: string,
    before: string | null,
    after: string,
    more: Partial<Change> & { held?: Lease | null } = {},
  ): void => {
    const { held = lease, ...changed } = more;
    const id = history.length + 1;
    const of = held === null ? noHolder : { runner: held.runner, epoch: held.epoch, runner_epoch: held.current, lease_until: held.until };
    history.push({ id, at: id * 10, began: id * 10, thing, name, before, after, reason: null, attempt: 1, ...of, ...changed });
  };
  const task = (name: string, before: string | null, after: string, more: Parameters<typeof add>[4] = {}) =>
    add("task", name, before, after, more);
  const attempt = (name: string, before: string | null, after: string, more: Parameters<typeof add>[4] = {}) =>
    add("attempt", name, before, after, more);
  return { history, task, attempt };
}

const noHolder = { runner: null, epoch: null, runner_epoch: null, lease_until: null };

type Writer = ReturnType<typeof write>;

const created = ({ task }: Writer, name: string): void => task(name, null, "queued", { attempt: 0, held: null });

function begun({ task, attempt }: Writer, name: string, number = 1, held = lease): void {
  task(name, "queued", "starting", { attempt: number, held });
  attempt(name, null, "starting", { attempt: number, held });
  task(name, "starting", "running", { attempt: number, held });
  attempt(name, "starting", "running", { attempt: number, held });
}

function done({ task, attempt }: Writer, name: string, number = 1, held = lease): void {
  task(name, "running", "done", { attempt: number, held });
  attempt(name, "running", "done", { attempt: number, held });
}

function lost({ task, attempt }: Writer, name: string, number = 1, held = lease): void {
  task(name, "running", "queued", { attempt: number, held, reason: "interrupted" });
  attempt(name, "running", "failed", { attempt: number, held, reason: "interrupted" });
}

const isOver: Lease = { ...lease, current: 2 };
const next: Lease = { ...lease, epoch: 2, current: 2 };

const final = (id: string, more: Partial<FinalTask> = {}): FinalTask => ({
  id,
  state: "done",
  reason: null,
  key: `key-${id}`,
  needs: [],
  nonce: `nonce-${id}`,
  ...more,
});

/** T-1, and T-2 which needs it and was tried twice because its runner died. */
function good(): Writer {
  const writer = write();
  created(writer, "T-1");
  created(writer, "T-2");
  begun(writer, "T-1");
  done(writer, "T-1");
  begun(writer, "T-2");
  lost(writer, "T-2", 1, isOver);
  begun(writer, "T-2", 2, next);
  done(writer, "T-2", 2, next);
  return writer;
}

function evidenceOf({ history }: Writer, more: Partial<Evidence> = {}): Evidence {
  return {
    history,
    accepted: ["T-1", "T-2"].map((task) => ({ key: `key-${task}`, task })),
    acceptedRuns: [],
    tasks: [final("T-1"), final("T-2", { needs: ["T-1"] })],
    runs: [],
    effects: [
      { key: "key-T-1", nonce: "nonce-T-1" },
      { key: "key-T-2", nonce: "of the attempt that was lost" },
      { key: "key-T-2", nonce: "nonce-T-2" },
    ],
    broken: [],
    ...more,
  };
}

const nothing: Verdict = { lost: [], doubled: [], stale: [], order: [], gaps: [] };

/** Exactly this kind of violation is found (and the other one that comes with it), and it says so. */
function finds(kind: keyof Verdict, words: RegExp, evidence: Evidence, other: keyof Verdict = kind): void {
  const verdict = check(evidence);
  assert.match(verdict[kind].join("\n"), words);
  assert.deepEqual({ ...verdict, [kind]: [], [other]: [] }, nothing);
}

test("a good history has no violation, though an attempt was lost and its effect repeated", () => {
  assert.deepEqual(check(evidenceOf(good())), nothing);
});

test("an accepted task that is not there is lost", () => {
  const evidence = evidenceOf(good());
  finds("lost", /T-9 \(key-T-9\) was accepted and is not there/, {
    ...evidence,
    accepted: [...evidence.accepted, { key: "key-T-9", task: "T-9" }],
  });
});

test("a task that never comes to its end is lost, and one that failed", () => {
  for (const state of ["queued", "running", "failed"]) {
    const tasks = [final("T-1"), final("T-2", { state, needs: ["T-1"] })];
    finds("lost", new RegExp(`T-2 .* is ${state}`), evidenceOf(good(), { tasks }));
  }
});

test("a run that is not done is lost", () => {
  const runs = [{ id: "R-1", key: "key-R-1", state: "running", reason: null }];
  finds("lost", /R-1 .* is running/, evidenceOf(good(), { runs, acceptedRuns: [{ key: "key-R-1", run: "R-1" }] }));
});

test("one key that made two tasks, or was answered with two, is doubled", () => {
  const tasks = [final("T-1"), final("T-2", { needs: ["T-1"] }), final("T-3", { key: "key-T-1", nonce: "nonce-T-3" })];
  const effects = [...evidenceOf(good()).effects, { key: "key-T-1", nonce: "nonce-T-3" }];
  const writer = good();
  created(writer, "T-3");
  begun(writer, "T-3");
  done(writer, "T-3");
  finds("doubled", /key-T-1 made T-1, T-3/, evidenceOf(writer, { tasks, effects }));
  const accepted = [...evidenceOf(good()).accepted, { key: "key-T-1", task: "T-2" }];
  finds("doubled", /key-T-1 was answered with T-1 and T-2/, evidenceOf(good(), { accepted }));
});

test("an outcome after an outcome is doubled", () => {
  const writer = good();
  writer.task("T-1", "done", "failed");
  finds("doubled", /T-1 was done and became failed/, evidenceOf(writer));
});

test("two attempts that are done, and an attempt after the one that is done, are doubled", () => {
  const two = good();
  two.attempt("T-2", "failed", "done", { attempt: 1 });
  finds("doubled", /T-2: attempt 1 was done after attempt 2/, evidenceOf(two));
  const late = good();
  late.attempt("T-1", null, "starting", { attempt: 2 });
  finds("doubled", /T-1: attempt 2 began after attempt 1 was done/, evidenceOf(late));
});

test("a result that no process gave, or one that a process gave twice, is doubled", () => {
  const effects = evidenceOf(good()).effects.filter(({ nonce }) => nonce !== "nonce-T-1");
  finds("doubled", /nonce-T-1, which did it 0 times/, evidenceOf(good(), { effects }));
  finds(
    "doubled",
    /nonce-T-1, which did it 2 times/,
    evidenceOf(good(), { effects: [...evidenceOf(good()).effects, { key: "key-T-1", nonce: "nonce-T-1" }] }),
  );
});

test("work that is begun twice within one attempt is doubled", () => {
  const effects = [...evidenceOf(good()).effects, { key: "key-T-1", nonce: "of the same attempt" }];
  finds("doubled", /T-1 \(key-T-1\) was begun 2 times in 1 attempts/, evidenceOf(good(), { effects }));
});

test("an outcome of an epoch that is over is stale", () => {
  const writer = write();
  created(writer, "T-1");
  begun(writer, "T-1");
  done(writer, "T-1", 1, isOver);
  finds("stale", /T-1 became done by epoch 1 of one, which is at 2/, evidenceOf(writer, only("T-1")));
});

test("an outcome after the lease is stale, by when its transaction began", () => {
  const late = write();
  created(late, "T-1");
  begun(late, "T-1");
  done(late, "T-1", 1, { ...lease, until: 30 });
  finds("stale", /T-1 became done 30 ms after the lease of one/, evidenceOf(late, only("T-1")));
  const [change] = late.history.slice(-2);
  assert.ok(change);
  change.began = 30;
  assert.deepEqual(check(evidenceOf(late, only("T-1"))), nothing);
});

test("work that is given out under an epoch that is over is counted, and is no violation", () => {
  const writer = write();
  created(writer, "T-1");
  writer.task("T-1", "queued", "starting", { held: isOver });
  writer.attempt("T-1", null, "starting", { held: isOver });
  lost(writer, "T-1", 1, isOver);
  begun(writer, "T-1", 2, next);
  done(writer, "T-1", 2, next);
  assert.deepEqual(check(evidenceOf(writer, only("T-1"))), nothing);
  assert.equal(countGivenInVain(writer.history), 1);
});

test("an attempt that begins while the one before it is at work is stale", () => {
  const writer = write();
  created(writer, "T-1");
  begun(writer, "T-1");
  writer.task("T-1", "running", "starting", { attempt: 2 });
  done(writer, "T-1", 2);
  finds("stale", /T-1: attempt 2 began while attempt 1 was running/, evidenceOf(writer, only("T-1")));
});

test("an attempt that is called lost under a valid lease is stale: its runner is still at work", () => {
  const writer = write();
  created(writer, "T-1");
  begun(writer, "T-1");
  lost(writer, "T-1");
  begun(writer, "T-1", 2);
  done(writer, "T-1", 2);
  finds("stale", /T-1: attempt 1 was called lost \d+ ms before the lease was over/, evidenceOf(writer, only("T-1")));
});

test("a task that starts before what it needs is done is out of order", () => {
  const writer = write();
  created(writer, "T-1");
  created(writer, "T-2");
  begun(writer, "T-2");
  begun(writer, "T-1");
  done(writer, "T-1");
  done(writer, "T-2");
  finds("order", /T-2 started before T-1 was done/, evidenceOf(writer, { effects: effectsOf("T-1", "T-2") }));
});

test("attempts that are numbered twice, or skip a number, are out of order", () => {
  const again = write();
  created(again, "T-1");
  begun(again, "T-1");
  lost(again, "T-1", 1, isOver);
  begun(again, "T-1", 1, next);
  done(again, "T-1", 1, next);
  finds("order", /T-1: attempt 1 where 2 was due/, evidenceOf(again, only("T-1")));
  const skips = write();
  created(skips, "T-1");
  begun(skips, "T-1", 2);
  done(skips, "T-1", 2);
  assert.match(check(evidenceOf(skips, only("T-1"))).order.join("\n"), /T-1: attempt 2 where 1 was due/);
});

test("a stream with a gap is told", () => {
  finds("gaps", /stream shop: event 7 is missing/, evidenceOf(good(), { broken: [{ stream: "shop", seq: 7 }] }));
});

test("a task of whose end nothing was recorded is told: an empty history is no good one", () => {
  finds("gaps", /T-1 is done, and the history does not know when/, evidenceOf(write(), { ...only("T-1"), effects: [] }), "doubled");
});

const effectsOf = (...tasks: string[]) => tasks.map((task) => ({ key: `key-${task}`, nonce: `nonce-${task}` }));

const only = (task: string): Partial<Evidence> => ({
  accepted: [{ key: `key-${task}`, task }],
  tasks: [final(task)],
  effects: effectsOf(task),
});

import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { planTaskEnd } from "../flows/progress.ts";
import type { RunnerLease } from "../runners/lease.ts";
import type { Assignment, AttemptOutcome } from "../runners/message.ts";
import { createTask, stopTask } from "./commands.ts";
import { usualRetry } from "./retry.ts";

const maxAttempts = usualRetry.attempts;

interface Bench {
  store: TestStore;
  runner: RunnerLease;
  queue(...needs: string[]): Promise<string>;
  assign(): Promise<Map<string, Assignment>>;
  end(assignment: Assignment | undefined, outcome: AttemptOutcome): Promise<boolean>;
  stateOf(id: string): Promise<string>;
}

async function makeBench(store: TestStore): Promise<Bench> {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  return {
    store,
    runner,
    queue: async (...needs) => (await store.call(createTask, { project, prompt: "go", agent, needs })).id,
    assign: async () => new Map((await store.assign(project, runner)).map((assignment) => [assignment.task, assignment])),
    async end(assignment, outcome) {
      assert.ok(assignment);
      return await store.tell(ended(assignment, runner, outcome));
    },
    async stateOf(id) {
      const { state, reason, needs_left: needsLeft } = await store.task(id);
      return `${state} ${reason ?? "-"} ${needsLeft}`;
    },
  };
}

onBothStores((rule) => {
  rule("the last need that is done makes its dependent ready, in the same commit", async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    const [a, b] = [await queue(), await queue()];
    const c = await queue(a, b);
    const given = await assign();
    assert.deepEqual([given.has(a), given.has(b), given.has(c)], [true, true, false]);
    await end(given.get(a), done());
    assert.equal(await stateOf(c), "queued needs 1");
    // Whoever hears of the commit finds both: the need done and its dependent ready.
    const seen: Promise<string[]>[] = [];
    const off = store.db.onCommit(({ events }) => {
      if (events.some((event) => event.type === "task.settled" && event.task === b)) seen.push(Promise.all([stateOf(b), stateOf(c)]));
    });
    await end(given.get(b), done());
    off();
    assert.deepEqual(await Promise.all(seen), [["done - 0", "queued new 0"]]);
  });

  rule("needs that end at the same moment are all counted", async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    const needs = [await queue(), await queue(), await queue(), await queue()];
    const last = await queue(...needs);
    const given = await assign();
    assert.deepEqual(await Promise.all(needs.map((id) => end(given.get(id), done()))), [true, true, true, true]);
    assert.equal(await stateOf(last), "queued new 0");
    assert.deepEqual([...(await assign()).keys()], [last]);
  });

  rule("a failed need fails its dependents and theirs", async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    const a = await queue();
    const b = await queue(a);
    const c = await queue(b);
    await end((await assign()).get(a), failed());
    assert.deepEqual([await stateOf(b), await stateOf(c)], ["failed need failed 1", "failed need failed 1"]);
    assert.match((await store.task(b)).message ?? "", new RegExp(`^${a} was not done$`));
    assert.equal((await assign()).size, 0);
  });

  rule("a failed need fails a diamond behind it once", async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    const a = await queue();
    const [b, c] = [await queue(a), await queue(a)];
    const d = await queue(b, c, a);
    const e = await queue(d, c);
    assert.equal(await end((await assign()).get(a), failed()), true);
    for (const id of [a, b, c, d, e]) assert.match(await stateOf(id), /^failed/, id);
    for (const id of [b, c, d, e]) {
      const events = await store.rows(sql`select seq from events where task = ${id} and type = 'task.settled'`);
      assert.equal(events.length, 1, id);
    }
  });

  rule("a task that is made while its need ends is not forgotten", async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    for (let count = 0; count < 10; count += 1) {
      const need = await queue();
      const given = (await assign()).get(need);
      const ending = [queue(need), queue(need), end(given, done()), queue(need), queue(need)] as const;
      const made = await Promise.all(ending);
      for (const id of made.filter((each) => typeof each === "string")) assert.equal(await stateOf(id), "queued new 0");
      for (const assignment of (await assign()).values()) await end(assignment, done());
    }
  });

  rule("an end that was decided before another task came to wait for it is decided again", async (store) => {
    const { queue, assign, end, stateOf, runner } = await makeBench(store);
    const need = await queue();
    const given = (await assign()).get(need);
    const fence = { task: need, attempt: 1, runner: runner.runner, runnerEpoch: runner.epoch };
    const late = await planTaskEnd(store.db, await store.task(need), done(), { fence, leaseHeld: true, now: 1 });
    const waits = await queue(need);
    assert.deepEqual(await store.db.commit(late), { kind: "conflict", statement: 1 });
    assert.equal(await end(given, done()), true);
    assert.equal(await stateOf(waits), "queued new 0");
  });

  rule("an end that was decided before the task was stopped is decided again", async (store) => {
    const { queue, assign, end, stateOf, runner } = await makeBench(store);
    const id = await queue();
    const given = (await assign()).get(id);
    const fence = { task: id, attempt: 1, runner: runner.runner, runnerEpoch: runner.epoch };
    const late = await planTaskEnd(store.db, await store.task(id), failed(true), { fence, leaseHeld: true, now: 1 });
    await store.call(stopTask, { id });
    assert.deepEqual(await store.db.commit(late), { kind: "conflict", statement: 1 });
    assert.equal(await end(given, failed(true)), true);
    assert.equal(await stateOf(id), "cancelled person 0");
  });

  rule(
    "a waiting task's end that was decided before another came to wait for it, or before it was stopped, is decided again",
    async (store) => {
      const { queue, stateOf } = await makeBench(store);
      const options = { fence: null, leaseHeld: false, now: 1 };
      const need = await queue();
      const late = await planTaskEnd(store.db, await store.task(need), failed(), options);
      const waits = await queue(need);
      assert.deepEqual(await store.db.commit(late), { kind: "conflict", statement: 0 });
      const later = await planTaskEnd(store.db, await store.task(waits), failed(), options);
      await store.call(stopTask, { id: waits });
      assert.deepEqual(await store.db.commit(later), { kind: "conflict", statement: 0 });
      assert.deepEqual([await stateOf(need), await stateOf(waits)], ["queued new 0", "queued needs 1"]);
    },
  );

  rule("of two ends of one attempt that are written together one stands, and so does another task's beside them", async (store) => {
    const { queue, assign, runner } = await makeBench(store);
    const [one, other] = [await queue(), await queue()];
    await assign();
    const endOf = async (task: string, outcome: AttemptOutcome) => {
      const fence = { task, attempt: 1, runner: runner.runner, runnerEpoch: runner.epoch };
      return await planTaskEnd(store.db, await store.task(task), outcome, { fence, leaseHeld: true, now: 1 });
    };
    const plans = [await endOf(one, done()), await endOf(one, done({ output: "again" })), await endOf(other, done())];
    const committed = await Promise.all(plans.map((plan) => store.db.commit(plan)));
    assert.deepEqual(
      committed.map(({ kind }) => kind),
      ["committed", "conflict", "committed"],
    );
    assert.deepEqual([(await store.task(one)).state, (await store.task(other)).state], ["done", "done"]);
  });

  rule("an end that was decided before the attempt was over is refused by the task's own row", async (store) => {
    const { queue, assign, end, runner } = await makeBench(store);
    const id = await queue();
    const given = (await assign()).get(id);
    const fence = { task: id, attempt: 1, runner: runner.runner, runnerEpoch: runner.epoch };
    const late = await planTaskEnd(store.db, await store.task(id), done(), { fence, leaseHeld: true, now: 1 });
    await end(given, { kind: "interrupted" });
    assert.equal((await assign()).get(id)?.attempt, 2);
    // Statement 0 is the runner's lease, which is good; 1 is the task.
    assert.deepEqual(await store.db.commit(late), { kind: "conflict", statement: 1 });
    assert.equal((await store.task(id)).state, "starting");
  });

  rule(`an agent's failure that may pass is tried again, at most ${maxAttempts} times in all`, async (store) => {
    const { queue, assign, end, stateOf } = await makeBench(store);
    const id = await queue();
    for (let attempt = 1; attempt < maxAttempts; attempt += 1) {
      await end((await assign()).get(id), failed(true));
      assert.equal(await stateOf(id), "queued retry 0");
      await store.moveClock(10_000);
      // The clock's jump let the runner's lease lapse: the next attempt is given to a living one.
      await store.write({
        statements: [{ sql: sql`update runners set lease_until = tutti_now() + 15000`, expect: "any" }],
        events: [],
      });
    }
    await end((await assign()).get(id), failed(true));
    assert.equal(await stateOf(id), "failed command failed 0");
    const attempts = await store.rows(sql`select state from attempts where task = ${id}`);
    assert.equal(attempts.length, maxAttempts);
  });

  rule("an attempt's end closes its turn, its session and its open permission questions", async (store) => {
    const { queue, assign, end, runner } = await makeBench(store);
    const id = await queue();
    const given = (await assign()).get(id);
    assert.ok(given);
    const fence = { runner: runner.runner, runnerEpoch: runner.epoch, task: id, attempt: 1, session: given.session };
    await store.tell({ kind: "turn-started", ...fence, turn: 1, prompt: "go" });
    const options = [{ id: "yes", label: "Allow", allows: true, lasting: false }];
    await store.tell({ kind: "permission", ...fence, permission: "p-1", tool: "write", action: { path: "a" }, options });
    assert.equal((await store.task(id)).state, "needs you");
    await end(given, { kind: "cancelled" });
    const [turn] = await store.rows(sql`select state, finished_at from turns where session = ${given.session}`);
    assert.deepEqual([turn?.["state"], turn?.["finished_at"] === null], ["failed", false]);
    assert.deepEqual(await store.rows(sql`select state from sessions where id = ${given.session}`), [{ state: "cancelled" }]);
    assert.deepEqual(await store.rows(sql`select state from approvals where task = ${id}`), [{ state: "expired" }]);
  });
});

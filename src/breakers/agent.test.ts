import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, started, type TestStore } from "../../test/support/stores.ts";
import type { RunnerLease } from "../runners/lease.ts";
import type { AttemptOutcome } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { agentSubject, failuresToOpen } from "./breaker.ts";
import { findBreaker } from "./store.ts";

const longest = 30_000;

const agentFailed = (): AttemptOutcome => ({ ...failed(), reason: "agent failed" }) as AttemptOutcome;

/** An agent that failed five tasks in a row, and what else is asked of it. */
async function failing(store: TestStore) {
  const [project, agent] = [await store.project(), await store.agent()];
  const queue = async (): Promise<string> => (await store.call(createTask, { project, prompt: "go", agent })).id;
  const runOne = async (runner: RunnerLease, outcome: AttemptOutcome): Promise<void> => {
    const [assignment] = await store.assign(project, runner);
    assert.ok(assignment, "it was given out");
    await store.tell(started(assignment, runner));
    await store.tell(ended(assignment, runner, outcome));
  };
  const runner = await store.runner();
  for (let failure = 1; failure <= failuresToOpen; failure += 1) {
    await queue();
    await runOne(runner, agentFailed());
  }
  return { project, agent, queue, runOne, breaker: () => findBreaker(store.db.read, agentSubject(agent)) };
}

onBothStores((rule) => {
  rule("an agent that keeps failing is not chosen, its work says why it waits, and one trial decides", async (store) => {
    const { project, queue, runOne, breaker } = await failing(store);
    assert.equal((await breaker())?.state, "open");
    const [first, second] = [await queue(), await queue()];
    assert.deepEqual(await store.assign(project, await store.runner()), []);
    assert.equal((await store.task(first)).reason, "circuit open");
    await store.moveClock(longest);
    const runner = await store.runner();
    const [trial, ...others] = await store.assign(project, runner);
    assert.equal(trial?.task, first);
    assert.deepEqual(others, [], "one at a time");
    await store.tell(started(trial, runner));
    await store.tell(ended(trial, runner, done()));
    assert.equal(await breaker(), null);
    await runOne(runner, done());
    assert.equal((await store.task(second)).state, "done");
  });

  rule("a trial that was cut short gives its place to the next at once", async (store) => {
    const { project, queue, breaker } = await failing(store);
    await queue();
    await store.moveClock(longest);
    const runner = await store.runner();
    const [trial] = await store.assign(project, runner);
    assert.ok(trial);
    assert.equal((await breaker())?.state, "half-open");
    await store.tell(started(trial, runner));
    await store.tell(ended(trial, runner, { kind: "interrupted" } as AttemptOutcome));
    assert.equal((await breaker())?.state, "open");
    assert.equal((await store.assign(project, runner)).length, 1);
  });
});

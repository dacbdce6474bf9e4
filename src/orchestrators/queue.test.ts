import assert from "node:assert/strict";
import { done, ended, onBothStores, started, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import type { ToRunner } from "../runners/message.ts";
import { createTask, stopTask } from "../tasks/commands.ts";
import { stopGraceMs } from "./look.ts";
import { startOrchestrators } from "./orchestrators.ts";

/** The queue's rules as a whole: delays, deadlines, limits, lanes, cancellation. */

const look = async (store: TestStore, runner: { runner: string; epoch: number }): Promise<ToRunner[]> => {
  const sent: ToRunner[] = [];
  const orchestrators = startOrchestrators(store.orchestratorOptions(runner, sent));
  await orchestrators.tick();
  await orchestrators.stop();
  return sent;
};

onBothStores((rule) => {
  rule("a task that is delayed says so, does not start before its time, and starts then", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const task = await store.call(createTask, { project, prompt: "later", agent, delay: 60 });
    assert.deepEqual([task.state, task.reason], ["queued", "delayed"]);
    const now = await store.call(createTask, { project, prompt: "now", agent });
    const tasks = async () => (await store.assign(project, runner)).map((given) => given.task);
    assert.deepEqual(await tasks(), [now.id]);
    await store.moveClock(59_000);
    assert.deepEqual(await tasks(), []);
    await store.moveClock(2_000);
    const late = await store.runner();
    assert.deepEqual(
      (await store.assign(project, late)).map((given) => given.task),
      [task.id],
    );
  });

  rule("a task whose need is done waits for its own time too", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const need = await store.call(createTask, { project, prompt: "first", agent });
    const task = await store.call(createTask, { project, prompt: "then", agent, needs: [need.id], delay: 30 });
    const [given] = await store.assign(project, runner);
    assert.ok(given);
    await store.tell(ended(given, runner, done()));
    assert.deepEqual(await store.assign(project, runner), []);
    await store.moveClock(31_000);
    const late = await store.runner();
    assert.deepEqual(
      (await store.assign(project, late)).map((one) => one.task),
      [task.id],
    );
  });

  rule("a task that is not over by its deadline fails for that: at once when it waits, with its attempt when it runs", async (store) => {
    const [project, agent, runner] = [await store.project({ limit: 1 }), await store.agent(), await store.runner()];
    const deadline = store.services.clock.now() + 10_000;
    const runs = await store.call(createTask, { project, prompt: "slow", agent, deadline });
    const waits = await store.call(createTask, { project, prompt: "behind", agent, deadline });
    const [given] = await store.assign(project, runner);
    assert.equal(given?.task, runs.id);
    await store.moveClock(11_000);
    const sent = await look(store, runner);
    assert.deepEqual([(await store.task(waits.id)).state, (await store.task(waits.id)).reason], ["failed", "deadline"]);
    assert.ok(sent.some((message) => message.kind === "cancel" && message.task === runs.id));
    if (given) await store.tell(ended(given, runner, { kind: "cancelled" }));
    assert.deepEqual([(await store.task(runs.id)).state, (await store.task(runs.id)).reason], ["failed", "deadline"]);
  });

  rule("a deadline before its own start is refused with both times", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const now = store.services.clock.now();
    await assert.rejects(store.call(createTask, { project, prompt: "never", agent, delay: 60, deadline: now + 1_000 }), {
      code: "invalid_input",
    });
  });

  rule("tasks of one key run one after the other, whatever agents are free; others overtake them", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const concurrency = [{ key: "deploy", limit: 1 }];
    const [one, two] = [
      await store.call(createTask, { project, prompt: "deploy 1", agent, concurrency }),
      await store.call(createTask, { project, prompt: "deploy 2", agent, concurrency }),
    ];
    const free = await store.call(createTask, { project, prompt: "other", agent });
    const first = await store.assign(project, runner);
    assert.deepEqual(
      first.map((given) => given.task),
      [one.id, free.id],
    );
    await store.assign(project, runner);
    assert.equal((await store.task(two.id)).reason, "concurrency");
    assert.ok(first[0]);
    await store.tell(ended(first[0], runner, done()));
    assert.deepEqual(
      (await store.assign(project, runner)).map((given) => given.task),
      [two.id],
    );
  });

  rule("many tasks that wait for a busy agent hold up nobody else's", async (store) => {
    const [project, busy, free, runner] = [
      await store.project(),
      await store.agent({ limit: 1 }),
      await store.agent(),
      await store.runner(),
    ];
    for (let count = 0; count < 60; count += 1)
      await store.call(createTask, { project, prompt: `busy ${count}`, agent: busy, priority: 9 });
    const mine = await store.call(createTask, { project, prompt: "mine", agent: free });
    const tasks = (await store.assign(project, runner)).map((given) => given.task);
    assert.deepEqual([tasks.length, tasks.includes(mine.id)], [2, true]);
  });

  rule("a stop is over within its grace, even when the runner keeps its lease and says nothing", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const { id } = await store.call(createTask, { project, prompt: "go", agent });
    const [given] = await store.assign(project, runner);
    assert.ok(given);
    await store.tell(started(given, runner));
    await store.call(stopTask, { id });
    await look(store, runner);
    assert.equal((await store.task(id)).state, "running");
    // Its lease is renewed all the while: only the agent does not end.
    await store.moveClock(stopGraceMs + 1_000);
    await store.write({
      statements: [{ sql: sql`update runners set lease_until = tutti_now() + 15000 where id = ${runner.runner}`, expect: 1 }],
      events: [],
    });
    await look(store, runner);
    assert.deepEqual([(await store.task(id)).state, (await store.task(id)).reason], ["cancelled", "person"]);
    assert.equal(await store.tell(ended(given, runner, done())), false, "what it says later is refused");
  });

  rule("a task that comes to wait while its need ends is never overlooked", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const need = await store.call(createTask, { project, prompt: "first", agent });
    const [given] = await store.assign(project, runner);
    assert.ok(given);
    // Both are decided from the same rows; whichever commits second is decided again.
    const [task] = await Promise.all([
      store.call(createTask, { project, prompt: "then", agent, needs: [need.id] }),
      store.tell(ended(given, runner, done())),
    ]);
    const row = await store.task(task.id);
    assert.deepEqual([row.needs_left, row.state], [0, "queued"]);
    assert.deepEqual(
      (await store.assign(project, runner)).map((one) => one.task),
      [task.id],
    );
  });
});

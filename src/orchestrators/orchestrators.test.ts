import assert from "node:assert/strict";
import { done, ended, onBothStores, started, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { keepRunnerLease, runnerLeaseMs, type RunnerLease } from "../runners/lease.ts";
import type { ToRunner } from "../runners/message.ts";
import { createTask, stopTask } from "../tasks/commands.ts";
import { maxCrashes } from "../tasks/retry.ts";
import { startOrchestrators } from "./orchestrators.ts";

/** One look of a server's orchestrators, as its poll would do it; answers what its runner was sent. */
async function look(store: TestStore, runner: RunnerLease, more: { swept?: string[]; sent?: ToRunner[] } = {}): Promise<ToRunner[]> {
  const sent = more.sent ?? [];
  const sweep = async (sessions: string[]) => void more.swept?.push(...sessions);
  const orchestrators = startOrchestrators({ ...store.orchestratorOptions(runner, sent), sweep });
  await orchestrators.tick();
  await orchestrators.stop();
  return sent;
}

const queue = async (store: TestStore) => {
  const [project, agent] = [await store.project(), await store.agent()];
  const { id } = await store.call(createTask, { project, prompt: "go", agent });
  return { project, agent, id };
};

onBothStores((rule) => {
  rule("what runs under an old epoch of its runner is lost: swept first, then queued again with one crash more", async (store) => {
    const runner = await store.runner();
    const { project, id } = await queue(store);
    const [given] = await store.assign(project, runner);
    assert.ok(given);
    await store.tell(started(given, runner));
    const again = await keepRunnerLease(store.db, runner.runner, "after the restart");
    const swept: string[] = [];
    const sent = await look(store, again, { swept });
    const task = await store.task(id);
    assert.deepEqual([swept, task.crashes], [[given.session], 1]);
    const [first] = await store.rows(sql`select state, reason from attempts where task = ${id} and attempt = 1`);
    assert.deepEqual(first, { state: "failed", reason: "interrupted" });
    // Its project was looked at in the same go: it runs again, in its session.
    assert.deepEqual([task.state, task.attempt, task.session], ["starting", 2, given.session]);
    assert.ok(sent.some((message) => message.kind === "assign" && message.task === id && message.attempt === 2));
    assert.equal(await store.tell(ended(given, runner, done())), false);
    await again.stop();
  });

  rule("an attempt whose runner's lease lapsed is lost; one whose runner lives is left alone", async (store) => {
    const [dead, one, two] = [await store.runner(), await queue(store), await queue(store)];
    await store.assign(one.project, dead);
    await store.moveClock(runnerLeaseMs + 1_000);
    const living = await store.runner();
    await store.assign(two.project, living);
    const swept: string[] = [];
    await look(store, living, { swept });
    // Not this machine's processes: nothing is swept for them.
    assert.deepEqual(swept, []);
    assert.deepEqual([(await store.task(one.id)).crashes, (await store.task(two.id)).crashes], [1, 0]);
    assert.equal((await store.task(two.id)).attempt, 1);
  });

  rule("two servers that find the same lost attempt count one crash", async (store) => {
    const [runner, { project, id }] = [await store.runner(), await queue(store)];
    const other = await store.otherServer();
    await store.assign(project, runner);
    await store.moveClock(runnerLeaseMs + 1_000);
    const living = await store.runner();
    const options = store.orchestratorOptions(living);
    const servers = [startOrchestrators(options), startOrchestrators({ ...options, db: other, holder: "another-server" })];
    await Promise.all(servers.map((server) => server.tick()));
    await Promise.all(servers.map((server) => server.stop()));
    assert.equal((await store.task(id)).crashes, 1);
    const requeued = await store.rows(sql`select seq from events where task = ${id} and type = 'task.requeued'`);
    assert.equal(requeued.length, 1);
  });

  rule(`the ${maxCrashes}th death of its runner ends a task as a crash loop`, async (store) => {
    const { id } = await queue(store);
    let runner = await store.runner();
    await look(store, runner);
    for (let crash = 1; crash <= maxCrashes; crash += 1) {
      assert.deepEqual([(await store.task(id)).attempt, (await store.task(id)).state], [crash, "starting"]);
      await runner.stop();
      runner = await keepRunnerLease(store.db, runner.runner, `life ${crash}`);
      await look(store, runner);
      assert.equal((await store.task(id)).crashes, crash);
    }
    const task = await store.task(id);
    assert.deepEqual([task.state, task.reason, task.attempt], ["failed", "crash loop", maxCrashes]);
    assert.match(task.message ?? "", /12 times/);
    await runner.stop();
  });

  rule("two servers with orchestrators of their own give a task to one runner, once", async (store) => {
    const [one, two] = [await store.runner(), await store.runner()];
    const other = await store.otherServer();
    const sent: ToRunner[] = [];
    const servers = [
      startOrchestrators({ ...store.orchestratorOptions(one, sent), holder: "server-one" }),
      startOrchestrators({ ...store.orchestratorOptions(two, sent), db: other, holder: "server-two" }),
    ];
    const tasks = await Promise.all(Array.from({ length: 6 }, () => queue(store)));
    await Promise.all(servers.map((server) => server.tick()));
    await Promise.all(servers.map((server) => server.tick()));
    await Promise.all(servers.map((server) => server.stop()));
    for (const { id } of tasks) {
      const given = sent.filter((message) => message.kind === "assign" && message.task === id);
      assert.deepEqual([given.length, (await store.task(id)).attempt], [1, 1], id);
    }
  });

  rule("a stop ends queued work at once and asks the runner for the rest", async (store) => {
    const runner = await store.runner();
    const running = await queue(store);
    const [given] = await store.assign(running.project, runner);
    assert.ok(given);
    await store.tell(started(given, runner));
    const queued = await queue(store);
    await store.call(stopTask, { id: queued.id });
    await store.call(stopTask, { id: running.id });
    const sent = await look(store, runner);
    assert.deepEqual([(await store.task(queued.id)).state, (await store.task(queued.id)).reason], ["cancelled", "person"]);
    assert.equal((await store.task(queued.id)).attempt, 0);
    assert.equal((await store.task(running.id)).state, "running");
    const cancels = sent.filter(({ kind, task }) => kind === "cancel" && task === running.id);
    assert.deepEqual(cancels, [{ kind: "cancel", task: running.id, attempt: 1 }]);
    assert.equal(await store.tell(ended(given, runner, { kind: "cancelled" })), true);
    assert.equal((await store.task(running.id)).state, "cancelled");
  });

  rule("a task that is to be stopped when its runner dies is not tried again", async (store) => {
    const [runner, { project, id }] = [await store.runner(), await queue(store)];
    await store.assign(project, runner);
    await store.call(stopTask, { id });
    const again = await keepRunnerLease(store.db, runner.runner, "after the restart");
    await look(store, again);
    assert.equal((await store.task(id)).state, "cancelled");
    await again.stop();
  });
});

import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, stateOf, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { startOrchestrators } from "../orchestrators/orchestrators.ts";
import { createTask, replyToTask, retryTask, stopAll, stopTask } from "./commands.ts";

async function makeBench(store: TestStore) {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  return {
    project,
    queue: async (...needs: string[]) => (await store.call(createTask, { project, prompt: "go", agent, needs })).id,
    async end(id: string, outcome: Parameters<typeof ended>[2]) {
      const given = (await store.assign(project, runner)).find(({ task }) => task === id);
      assert.ok(given, `${id} is assigned`);
      assert.equal(await store.tell(ended(given, runner, outcome)), true);
    },
    assigned: async () => (await store.assign(project, runner)).map(({ task }) => task),
  };
}

onBothStores((rule) => {
  rule("a need that is done already is not waited for, and one that is named twice counts once", async (store) => {
    const { queue, end } = await makeBench(store);
    const [a, b] = [await queue(), await queue()];
    await end(a, done());
    const task = await store.task(await queue(a, b, b));
    assert.deepEqual([task.needs_left, task.reason, task.needs], [1, "needs", JSON.stringify([a, b])]);
  });

  rule("a need that failed, is of another project or does not exist is refused, and no task is made", async (store) => {
    const { project, queue, end } = await makeBench(store);
    const other = await makeBench(store);
    const [lost, strange] = [await queue(), await other.queue()];
    await end(lost, failed());
    const count = async () => (await store.rows(sql`select id from tasks where project = ${project}`)).length;
    const before = await count();
    await assert.rejects(queue(lost), { code: "conflict", fix: [`tutti retry ${lost}`] });
    await assert.rejects(queue(strange), { code: "invalid_input" });
    await assert.rejects(queue("T-none"), { code: "not_found" });
    assert.equal(await count(), before);
  });

  rule("a retry after the failed need was mended does not wait for ever", async (store) => {
    const { queue, end, assigned } = await makeBench(store);
    const need = await queue();
    const task = await queue(need);
    await end(need, failed());
    assert.equal((await store.task(task)).state, "failed");
    await assert.rejects(store.call(retryTask, { id: task }), { code: "conflict", fix: [`tutti retry ${need}`] });
    await store.call(retryTask, { id: need });
    await end(need, done());
    await store.call(retryTask, { id: task });
    assert.deepEqual(await assigned(), [task]);
  });

  rule("only what failed or was stopped can be retried, and a reply goes into the same session", async (store) => {
    const { queue, end, assigned } = await makeBench(store);
    const id = await queue();
    await assert.rejects(store.call(retryTask, { id }), { code: "conflict" });
    await assert.rejects(store.call(replyToTask, { id, text: "and?" }), { code: "conflict" });
    await end(id, done());
    const { session } = await store.task(id);
    await assert.rejects(store.call(retryTask, { id }), { code: "conflict" });
    await store.call(replyToTask, { id, text: "now the tests" });
    assert.deepEqual(await assigned(), [id]);
    const again = await store.task(id);
    assert.deepEqual([again.session, again.attempt], [session, 2]);
  });

  rule("a stop marks the task once; a task that is over stays as it is", async (store) => {
    const { queue, end } = await makeBench(store);
    const [open, over] = [await queue(), await queue()];
    await end(over, done());
    const before = await stateOf(store, over);
    await store.call(stopTask, { id: over });
    assert.deepEqual(await stateOf(store, over), before);
    await store.call(stopTask, { id: open });
    await store.call(stopTask, { id: open });
    const asked = await store.rows(sql`select seq from events where task = ${open} and type = 'task.stop-requested'`);
    assert.equal(asked.length, 1);
  });

  rule("stop-all marks what has not ended in one project, and a queued task ends at the orchestrator's next look", async (store) => {
    const { project, queue } = await makeBench(store);
    const other = await makeBench(store);
    const [task, untouched] = [await queue(), await other.queue()];
    const after = await queue(task);
    assert.deepEqual(await store.call(stopAll, { project }), { tasks: 2, runs: 0 });
    const orchestrators = startOrchestrators(store.orchestratorOptions(await store.runner()));
    await orchestrators.tick();
    await orchestrators.stop();
    assert.deepEqual([(await store.task(task)).state, (await store.task(after)).state], ["cancelled", "cancelled"]);
    assert.equal((await store.task(untouched)).cancel_requested, 0);
  });
});

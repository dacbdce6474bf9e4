import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, stateOf, waitsForLock, type TestStore } from "../../test/support/stores.ts";
import { actorOf } from "../access/authenticate.ts";
import { sql, type Db } from "../db/plan.ts";
import type { ToRunner } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { assignReady } from "./assign.ts";
import { listLanes, listReady, orchestratorLeaseMs, renewLease, takeLease } from "./store.ts";

const queue = (store: TestStore, project: string, agent: string, more: { needs?: string[]; priority?: number } = {}) =>
  store.call(createTask, { project, prompt: "go", agent, ...more });

const readyIn = async (store: TestStore, project: string) =>
  (await Promise.all((await listLanes(store.db.read, project, 10)).map((lane) => listReady(store.db.read, project, lane, 10)))).flat();

const statesIn = async (store: TestStore, project: string): Promise<unknown[]> =>
  (await store.rows(sql`select state from tasks where project = ${project} order by id`)).map((row) => row["state"]);

onBothStores((rule, kind) => {
  rule("an orchestrator whose epoch is old assigns nothing", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const old = await store.conduct(project, "one");
    await store.moveClock(orchestratorLeaseMs + 1_000);
    const fresh = await store.runner();
    await store.write(takeLease(project, "two"));
    const { id } = await queue(store, project, agent);
    const before = await stateOf(store, id);
    const sent: ToRunner[] = [];
    assert.equal(await assignReady(store.assignOptions(runner, sent), old), 0);
    assert.deepEqual([sent, await stateOf(store, id)], [[], before]);
    assert.equal(await assignReady(store.assignOptions(fresh, sent), { project, epoch: old.epoch + 1 }), 1);
  });

  rule("an orchestrator whose lease is over assigns nothing, even when nobody else came", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const lease = await store.conduct(project);
    await queue(store, project, agent);
    await store.moveClock(orchestratorLeaseMs + 1_000);
    const [runner, sent] = [await store.runner(), [] as ToRunner[]];
    assert.equal(await assignReady(store.assignOptions(runner, sent), lease), 0);
    assert.deepEqual(sent, []);
    // Nobody else came: it may renew, and goes on.
    await store.write(renewLease(lease));
    assert.equal(await assignReady(store.assignOptions(runner, sent), lease), 1);
  });

  rule("a project that is held cannot be taken by another server, and its own server may take it again", async (store) => {
    const project = await store.project();
    const first = await store.conduct(project, "one");
    assert.equal((await store.db.commit(takeLease(project, "two"))).kind, "conflict");
    const again = await store.conduct(project, "one");
    assert.equal(again.epoch, first.epoch + 1);
    assert.equal((await store.db.commit(renewLease(first))).kind, "conflict");
    assert.equal((await store.db.commit(renewLease(again))).kind, "committed");
  });

  if (kind === "postgres") {
    rule("a takeover that is under way is waited for, and then nothing is assigned", async (store) => {
      const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
      const lease = await store.conduct(project, "one");
      const { id } = await queue(store, project, agent);
      const before = await stateOf(store, id);
      const sent: ToRunner[] = [];
      await store.outside(async (client) => {
        await client.query("begin");
        await client.query("update orchestrators set holder = 'two', epoch = epoch + 1 where project = $1", [project]);
        const assigned = assignReady(store.assignOptions(runner, sent), lease);
        assert.equal(await waitsForLock(client, assigned), true, "the assignment must wait for the takeover");
        await client.query("commit");
        assert.equal(await assigned, 0);
      });
      assert.deepEqual([sent, await stateOf(store, id)], [[], before]);
    });
  }

  rule("two servers that look at once never both assign a task", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const other = await store.otherServer();
    for (let count = 0; count < 12; count += 1) await queue(store, project, agent);
    const [one, two] = [await store.runner(), await store.runner()];
    // The worst case: both believe that they hold the project.
    const lease = await store.conduct(project);
    const sent: ToRunner[] = [];
    const given = await Promise.all([
      assignReady(store.assignOptions(one, sent), lease),
      assignReady(store.assignOptions(two, sent, other), lease),
      assignReady(store.assignOptions(two, sent, other), lease),
    ]);
    assert.equal(
      given.reduce((sum, count) => sum + count, 0),
      sent.length,
    );
    const tasks = sent.flatMap((message) => (message.kind === "assign" ? [message.task] : []));
    assert.deepEqual([tasks.length, new Set(tasks).size], [12, 12]);
    const attempts = await store.rows(sql`select a.attempt from attempts a join tasks t on t.id = a.task where t.project = ${project}`);
    assert.deepEqual(new Set(attempts.map((row) => row["attempt"])), new Set([1]));
    assert.equal(attempts.length, 12);
  });

  rule("a project has no more attempts at once than its limit", async (store) => {
    const [project, agent, runner] = [await store.project({ limit: 2 }), await store.agent(), await store.runner()];
    for (let count = 0; count < 4; count += 1) await queue(store, project, agent);
    const first = await store.assign(project, runner);
    assert.equal(first.length, 2);
    assert.deepEqual(await store.assign(project, runner), []);
    assert.ok(first[0]);
    await store.tell(ended(first[0], runner, done()));
    assert.equal((await store.assign(project, runner)).length, 1);
  });

  rule("an agent has no more sessions at once than its limit, over all projects, and what waits says why", async (store) => {
    const [agent, runner] = [await store.agent({ limit: 1 }), await store.runner()];
    const [one, two] = [await store.project(), await store.project()];
    await queue(store, one, agent);
    await queue(store, one, agent);
    const waiting = await queue(store, two, agent);
    const [first, ...more] = await store.assign(one, runner);
    assert.ok(first);
    assert.deepEqual([more, await store.assign(two, runner)], [[], []]);
    assert.deepEqual([(await store.task(waiting.id)).state, (await store.task(waiting.id)).reason], ["queued", "no capacity"]);
    await store.tell(ended(first, runner, done()));
    assert.equal((await store.assign(two, runner)).length, 1);
    assert.deepEqual(await store.assign(one, runner), []);
  });

  rule("orchestrators of two projects that look at the same moment give an agent no more than its limit", async (store) => {
    const [agent, runner] = [await store.agent({ limit: 1 }), await store.runner()];
    const projects = [await store.project(), await store.project(), await store.project()];
    for (const project of projects) await queue(store, project, agent);
    const leases = await Promise.all(projects.map((project) => store.conduct(project)));
    const other = await store.otherServer();
    const sent: ToRunner[] = [];
    const given = await Promise.all(
      leases.map((lease, index) => assignReady(store.assignOptions(runner, sent, index === 1 ? other : store.db), lease)),
    );
    assert.deepEqual([given.reduce((sum, count) => sum + count, 0), sent.length], [1, 1]);
  });

  rule("the higher priority goes first, then the older", async (store) => {
    const [project, agent, runner] = [await store.project({ limit: 2 }), await store.agent(), await store.runner()];
    const [old, young, high] = [
      await queue(store, project, agent),
      await queue(store, project, agent),
      await queue(store, project, agent, { priority: 5 }),
    ];
    const tasks = (await store.assign(project, runner)).map(({ task }) => task);
    assert.equal(tasks[0], high.id);
    assert.ok(tasks[1] === old.id || old.createdAt === young.createdAt, tasks.join());
  });

  rule("a task with open needs is not ready, and is not assigned even when it is looked at", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const need = await queue(store, project, agent);
    const task = await queue(store, project, agent, { needs: [need.id] });
    const lease = await store.conduct(project);
    assert.deepEqual(
      (await readyIn(store, project)).map(({ id }) => id),
      [need.id],
    );
    const [first, ...more] = await store.assign(project, runner);
    assert.deepEqual([first?.task, more, await statesIn(store, project)], [need.id, [], ["starting", "queued"]]);
    assert.equal(await assignReady(store.assignOptions(runner, []), { project, epoch: lease.epoch + 1 }), 0);
    assert.ok(first);
    await store.tell(ended(first, runner, done()));
    assert.deepEqual(
      (await store.assign(project, runner)).map((given) => given.task),
      [task.id],
    );
  });

  rule("what changed between the look and the start is not started", async (store) => {
    const changes = [
      (task: string) => sql`update tasks set ready = 0 where id = ${task}`,
      (task: string) => sql`update tasks set needs_left = 1 where id = ${task}`,
      (task: string) => sql`update tasks set cancel_requested = 1 where id = ${task}`,
      (task: string) => sql`update tasks set attempt = attempt + 1 where id = ${task}`,
      (task: string) => sql`update tasks set state = 'cancelled' where id = ${task}`,
      (_: string, runner: string) => sql`update runners set epoch = epoch + 1 where id = ${runner}`,
      (task: string) => sql`update tasks set priority = 1 where id = ${task}`,
    ];
    const given: number[] = [];
    for (const change of changes) {
      const [project, agent] = [await store.project(), await store.agent()];
      const { id } = await queue(store, project, agent);
      // It alone listens here, so the work is meant for it.
      const runner = await store.runner();
      const lease = await store.conduct(project);
      const sent: ToRunner[] = [];
      // Another server's write, committed after the look and before the start.
      const db: Db = {
        ...store.db,
        async commit(plan) {
          await store.write({ statements: [{ sql: change(id, runner.runner), expect: 1 }], events: [] });
          return await store.db.commit(plan);
        },
      };
      given.push(await assignReady(store.assignOptions(runner, sent, db), lease));
      assert.equal(sent.length, given.at(-1));
    }
    assert.deepEqual(given, [0, 0, 0, 0, 0, 0, 1], "the last change is the control: it is none of the start's conditions");
  });

  rule("a task waits for its retry's time, and then goes on in the same session with the next attempt", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    await queue(store, project, agent);
    const [first] = await store.assign(project, runner);
    assert.ok(first);
    await store.tell(ended(first, runner, failed(true)));
    assert.deepEqual(await store.assign(project, runner), []);
    await store.moveClock(1_500);
    const [second] = await store.assign(project, runner);
    assert.deepEqual([second?.attempt, second?.session], [2, first.session]);
  });

  rule("an attempt's token opens its own session alone, and no more when the attempt is over", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    await queue(store, project, agent);
    const [given] = await store.assign(project, runner);
    assert.ok(given?.access);
    const who = async () => {
      const actor = await actorOf(store.db.read, given.access?.token ?? "");
      return actor && [actor.kind, actor.session];
    };
    assert.deepEqual(await who(), ["agent", given.session]);
    await store.tell(ended(given, runner, done()));
    assert.equal(await who(), null);
  });
});

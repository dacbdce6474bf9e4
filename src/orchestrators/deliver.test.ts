import assert from "node:assert/strict";
import { about, onBothStores, type TestStore } from "../../test/support/stores.ts";
import { actorOf } from "../access/authenticate.ts";
import { answerApproval } from "../approvals/commands.ts";
import { sql, type Db } from "../db/plan.ts";
import type { Connection } from "../runners/connections.ts";
import type { RunnerLease } from "../runners/lease.ts";
import type { Assignment, ToRunner } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { assignReady } from "./assign.ts";
import { deliverAttempts } from "./deliver.ts";
import { startOrchestrators } from "./orchestrators.ts";

/** What a runner is told of, made from rows: once on each connection, whatever happened in between. */

const assignmentsIn = (sent: ToRunner[]): Assignment[] => sent.flatMap((message) => (message.kind === "assign" ? [message] : []));

async function queueOne(store: TestStore) {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  const { id } = await store.call(createTask, { project, prompt: "go", agent });
  return { project, runner, id };
}

const connectionOf = ({ runner, epoch }: RunnerLease, sent: ToRunner[]): Connection => ({
  runner,
  epoch,
  send: (message) => void sent.push(message),
  close: () => {},
});

onBothStores((rule) => {
  rule("what is given out is told once, also when somebody looks between its rows and its message", async (store) => {
    const { project, runner } = await queueOne(store);
    const lease = await store.conduct(project);
    const sent: ToRunner[] = [];
    const options = store.assignOptions(runner, sent);
    const connection = options.connections.find(runner.runner);
    assert.ok(connection);
    const db: Db = {
      ...store.db,
      read: store.db.read,
      async commit(plan) {
        const committed = await store.db.commit(plan);
        await deliverAttempts({ ...options, db: store.db }, connection);
        return committed;
      },
    };
    assert.equal(await assignReady({ ...options, db }, lease), 1);
    await deliverAttempts(options, connection);
    assert.equal(assignmentsIn(sent).length, 1);
  });

  rule("another connection of a runner is told again, and both tokens are good as long as the attempt is at work", async (store) => {
    const { project, runner, id } = await queueOne(store);
    const [first] = await store.assign(project, runner);
    const sent: ToRunner[] = [];
    const connection = connectionOf(runner, sent);
    for (let look = 0; look < 2; look += 1) await deliverAttempts(store.assignOptions(runner, []), connection);
    const [again, ...more] = assignmentsIn(sent);
    assert.deepEqual([again?.task, again?.attempt, again?.session, more], [id, 1, first?.session, []]);
    assert.notEqual(first?.access?.token, again?.access?.token);
    const sessionOf = async (given: Assignment | undefined) => (await actorOf(store.db.read, given?.access?.token ?? ""))?.session ?? null;
    assert.deepEqual([await sessionOf(first), await sessionOf(again)], [first?.session, first?.session]);
    await store.write({ statements: [{ sql: sql`update tasks set state = 'done' where id = ${id}`, expect: 1 }], events: [] });
    assert.deepEqual([await sessionOf(first), await sessionOf(again)], [null, null]);
  });

  rule("what could not be told because the store was away is told at the next look", async (store) => {
    const { project, runner, id } = await queueOne(store);
    await store.assign(project, runner);
    const sent: ToRunner[] = [];
    const [options, connection] = [store.assignOptions(runner, []), connectionOf(runner, sent)];
    const away: Db = { ...store.db, commit: () => Promise.reject(new Error("the store is away")) };
    await assert.rejects(deliverAttempts({ ...options, db: away }, connection), /is away/);
    await deliverAttempts(options, connection);
    assert.deepEqual(
      assignmentsIn(sent).map((given) => given.task),
      [id],
    );
  });

  rule("an answer is told once on each connection, whenever its runner comes", async (store) => {
    const { project, runner, id } = await queueOne(store);
    const [given] = await store.assign(project, runner);
    assert.ok(given);
    const options = [{ id: "yes", label: "Allow", allows: true, lasting: false }];
    await store.tell({ kind: "turn-started", ...about(given, runner), turn: 1, prompt: "go" });
    await store.tell({ kind: "permission", ...about(given, runner), permission: "p-1", tool: "write", action: { path: "a" }, options });
    const [asked] = await store.rows(sql`select id, hash from approvals where task = ${id}`);
    await store.call(answerApproval, { id: String(asked?.["id"]), hash: String(asked?.["hash"]), answer: "Allow" });
    for (const comes of ["before", "again"]) {
      const sent: ToRunner[] = [];
      const orchestrators = startOrchestrators(store.orchestratorOptions(runner, sent));
      await orchestrators.tick();
      await orchestrators.tick();
      await orchestrators.stop();
      const answers = sent.filter((message) => message.kind === "answer");
      assert.deepEqual(answers, [{ kind: "answer", task: id, attempt: 1, permission: "p-1", option: "yes" }], comes);
    }
  });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { about, ended, onBothStores, started, type TestStore } from "../../test/support/stores.ts";
import { canonical } from "../canonical.ts";
import { sql, statement } from "../db/plan.ts";
import { startOrchestrators } from "../orchestrators/orchestrators.ts";
import { keepRunnerLease } from "../runners/lease.ts";
import type { FromRunner, ToRunner } from "../runners/message.ts";
import type { Actor } from "../registry.ts";
import { createTask } from "../tasks/commands.ts";
import { answerApproval, planAnswered } from "./commands.ts";
import { getApproval } from "./store.ts";

const options = [
  { id: "o-always", label: "Always", allows: true, lasting: true },
  { id: "o-once", label: "Once", allows: true, lasting: false },
  { id: "o-no", label: "Reject", allows: false, lasting: false },
];

/** A running attempt that has asked for a permission. */
async function asked(store: TestStore, action: unknown = { path: "a.txt" }) {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  const { id: task } = await store.call(createTask, { project, prompt: "go", agent });
  const [given] = await store.assign(project, runner);
  assert.ok(given);
  await store.tell(started(given, runner));
  const message = { kind: "permission" as const, ...about(given, runner), permission: "p-1", tool: "write", action, options };
  assert.equal(await store.tell(message), true);
  const [approval] = await store.rows(sql`select id, hash from approvals where task = ${task}`);
  assert.ok(approval);
  return { project, runner, given, task, message, id: String(approval["id"]), hash: String(approval["hash"]), agent };
}

onBothStores((rule) => {
  rule("a question is answered once: the second answer conflicts, also when both come at once", async (store) => {
    const { id, task } = await asked(store);
    assert.equal((await store.task(task)).state, "needs you");
    const answers = await Promise.allSettled(["Once", "Always", "deny"].map((answer) => store.call(answerApproval, { id, answer })));
    const taken = answers.filter((answer) => answer.status === "fulfilled");
    assert.equal(taken.length, 1);
    for (const answer of answers) if (answer.status === "rejected") assert.equal((answer.reason as { code: string }).code, "conflict");
    await assert.rejects(store.call(answerApproval, { id, answer: "deny" }), { code: "conflict" });
    const row = await getApproval(store.db.read, id);
    assert.deepEqual([row.answer, row.answered_by], [taken[0]?.value.answer, "ann"]);
    const events = await store.rows(sql`select seq from events where task = ${task} and type = 'approval.answered'`);
    assert.equal(events.length, 1);
    assert.equal((await store.task(task)).state, "running");
  });

  rule("the answer is for the action that was looked at: another hash is refused", async (store) => {
    const { id, hash, message } = await asked(store, { path: "a.txt", text: "b" });
    const { permission, tool, action } = message;
    const raw = canonical({ permission, tool, action, options });
    assert.equal(hash, createHash("sha256").update(raw).digest("hex"));
    await assert.rejects(store.call(answerApproval, { id, answer: "yes", hash: "0".repeat(64) }), { code: "conflict" });
    assert.equal((await getApproval(store.db.read, id)).state, "open");
    // The action changes between the look and the answer: the write itself refuses.
    const seen = await getApproval(store.db.read, id);
    await store.write({ statements: [statement(sql`update approvals set hash = ${"1".repeat(64)} where id = ${id}`)], events: [] });
    const late = planAnswered(seen, { state: "answered", answer: "Once", comment: null, by: "ann", now: 1 });
    assert.equal((await store.db.commit(late)).kind, "conflict");
    const now = await getApproval(store.db.read, id);
    assert.equal(now.state, "open");
    assert.equal((await store.call(answerApproval, { id, answer: "yes", hash: now.hash })).answer, "Once");
  });

  rule("an agent's token can never answer, not even its own session's question", async (store) => {
    const { id, given, agent, task } = await asked(store);
    const actor: Actor = { kind: "agent", token: "token-of-the-agent", name: agent, session: given.session, scopes: null };
    for (const answer of ["Once", "deny"])
      await assert.rejects(store.call(answerApproval, { id, answer }, { actor }), { code: "forbidden" });
    assert.equal((await getApproval(store.db.read, id)).state, "open");
    assert.equal((await store.task(task)).state, "needs you");
  });

  rule("what is no option is refused and changes nothing", async (store) => {
    const { id } = await asked(store);
    for (const answer of ["perhaps", "o-once", "Onc"])
      await assert.rejects(store.call(answerApproval, { id, answer }), { code: "invalid_input" });
    assert.equal((await getApproval(store.db.read, id)).state, "open");
  });

  rule("the permission of an attempt that is lost expires, and can no longer be answered", async (store) => {
    const { id, runner } = await asked(store);
    const again = await keepRunnerLease(store.db, runner.runner, "after the restart");
    const orchestrators = startOrchestrators(store.orchestratorOptions(again));
    await orchestrators.tick();
    await orchestrators.stop();
    assert.equal((await getApproval(store.db.read, id)).state, "expired");
    await assert.rejects(store.call(answerApproval, { id, answer: "yes" }), { code: "conflict" });
    await again.stop();
  });

  rule("the permission of an attempt that ended expires with it", async (store) => {
    const { id, runner, given } = await asked(store);
    await store.tell(ended(given, runner, { kind: "cancelled" }));
    assert.equal((await getApproval(store.db.read, id)).state, "expired");
    await assert.rejects(store.call(answerApproval, { id, answer: "yes" }), { code: "conflict" });
  });

  rule("the answer finds its way to the attempt that asked, as the option that was chosen, once", async (store) => {
    for (const [answer, option] of [
      ["Once", "o-once"],
      ["deny", "o-no"],
    ] as const) {
      const { runner, given, message } = await asked(store);
      const sent: ToRunner[] = [];
      const orchestrators = startOrchestrators(store.orchestratorOptions(runner, sent));
      const more: FromRunner = { ...message, permission: "p-2" };
      await store.tell(more);
      const [approval] = await store.rows(
        sql`select id from approvals where task = ${given.task} and state = 'open' and action like '%p-2%'`,
      );
      await store.call(answerApproval, { id: String(approval?.["id"]), answer });
      await orchestrators.tick();
      await orchestrators.tick();
      await orchestrators.stop();
      const answers = sent.filter(({ kind }) => kind === "answer");
      assert.deepEqual(answers, [{ kind: "answer", task: given.task, attempt: 1, permission: "p-2", option }]);
    }
  });
});

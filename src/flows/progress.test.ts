import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, started, type TestStore } from "../../test/support/stores.ts";
import { answerApproval } from "../approvals/commands.ts";
import { sql } from "../db/plan.ts";
import { startOrchestrators } from "../orchestrators/orchestrators.ts";
import type { RunnerLease } from "../runners/lease.ts";
import type { Assignment, AttemptOutcome, ToRunner } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { createRun, retryRun, stopRun } from "./commands.ts";

/** A run of a flow, whose steps the test plays. */
class Bench {
  readonly store: TestStore;
  readonly project: string;
  readonly runner: RunnerLease;
  readonly id: string;
  readonly given = new Map<string, Assignment>();

  constructor(store: TestStore, project: string, runner: RunnerLease, id: string) {
    this.store = store;
    this.project = project;
    this.runner = runner;
    this.id = id;
  }

  static async start(store: TestStore, steps: string, head = ""): Promise<Bench> {
    const [project, runner] = [await store.project(), await store.runner()];
    const run = await store.call(createRun, { project, source: `name: f\n${head}steps:\n${steps}` });
    return new Bench(store, project, runner, run.id);
  }

  /** Gives out what is ready; the steps that run now, in order. */
  async running(): Promise<string[]> {
    for (const assignment of await this.store.assign(this.project, this.runner)) {
      const { step } = await this.store.task(assignment.task);
      if (step) this.given.set(step, assignment);
    }
    return [...this.given.keys()].toSorted();
  }

  async end(step: string, outcome: AttemptOutcome): Promise<boolean> {
    await this.running();
    const assignment = this.given.get(step);
    assert.ok(assignment, `${step} runs`);
    this.given.delete(step);
    return await this.store.tell(ended(assignment, this.runner, outcome));
  }

  /** `id state` of the steps, with the reason where there is one. */
  async steps(): Promise<string[]> {
    const rows = await this.store.rows(sql`select id, state, reason from steps where run = ${this.id} order by id`);
    return rows.map(({ id, state, reason }) => [id, state, reason].filter((word) => typeof word === "string").join(" "));
  }

  async run(): Promise<Record<string, unknown>> {
    const [row] = await this.store.rows(sql`select * from runs where id = ${this.id}`);
    assert.ok(row);
    return row;
  }

  async tasksOf(step: string): Promise<number> {
    return (await this.store.rows(sql`select id from tasks where run = ${this.id} and step = ${step}`)).length;
  }

  /** What the project's orchestrator does at one look. */
  async look(): Promise<ToRunner[]> {
    const sent: ToRunner[] = [];
    const orchestrators = startOrchestrators(this.store.orchestratorOptions(this.runner, sent));
    await orchestrators.tick();
    await orchestrators.stop();
    for (const message of sent) {
      if (message.kind !== "assign") continue;
      const { step, run } = await this.store.task(message.task);
      if (step && run === this.id) this.given.set(step, message);
    }
    return sent;
  }
}

const diamond = `
  - { id: a, needs: [], run: "true" }
  - { id: b, needs: [], run: "true" }
  - { id: c, needs: [a, b], run: "true" }
`;

const group = (quorum: string) => `
  - { id: list, run: "true" }
  - { id: fix, each: "\${{ steps.list.output }}", as: part, parallel: 2, run: ["echo", "\${{ part }}"]${quorum} }
  - { id: after, run: ["echo", "\${{ steps.fix.outputs.size() }}"] }
`;

onBothStores((rule) => {
  rule("two needs that end at the same moment start the step behind them exactly once", async (store) => {
    for (let count = 0; count < 5; count += 1) {
      const bench = await Bench.start(store, diamond);
      assert.deepEqual(await bench.running(), ["a", "b"]);
      assert.deepEqual(await Promise.all([bench.end("a", done()), bench.end("b", done())]), [true, true]);
      assert.deepEqual(await bench.running(), ["c"]);
      assert.equal(await bench.tasksOf("c"), 1);
      await bench.end("c", done());
      assert.equal((await bench.run())["state"], "done");
    }
  });

  rule("the last step's end, its task's end and the run's end are one commit", async (store) => {
    const bench = await Bench.start(store, `\n  - { id: only, run: "true" }\n`);
    await bench.running();
    const seen: string[][] = [];
    const off = store.db.onCommit(({ events }) => {
      if (events.some((event) => event.run === bench.id))
        seen.push(events.filter((event) => event.run === bench.id).map((event) => event.type));
    });
    await bench.end("only", done());
    off();
    assert.deepEqual(seen.at(-1), ["task.settled", "step.settled", "run.settled"]);
  });

  rule("a group counts its items however they end together, and goes on with the outputs of those that are done", async (store) => {
    const bench = await Bench.start(store, group(", join: { quorum: 0.5 }"));
    await bench.end("list", done({ output: ["p", "q", "r", "s"] }));
    assert.deepEqual(await bench.running(), ["fix[0]", "fix[1]"]);
    await Promise.all([bench.end("fix[0]", done({ output: "p!" })), bench.end("fix[1]", failed())]);
    assert.deepEqual(await bench.running(), ["fix[2]", "fix[3]"]);
    await Promise.all([bench.end("fix[2]", done({ output: "r!" })), bench.end("fix[3]", done({ output: "s!" }))]);
    const [counters] = await store.rows(
      sql`select wanted, created, done, failed, cancelled from steps where run = ${bench.id} and id = 'fix'`,
    );
    assert.deepEqual(counters, { wanted: 4, created: 4, done: 3, failed: 1, cancelled: 0 });
    assert.deepEqual(await bench.running(), ["after"]);
    const spec = bench.given.get("after")?.spec;
    assert.deepEqual(spec?.kind === "run" ? spec.run : null, ["echo", "3"]);
    assert.equal(await bench.tasksOf("after"), 1);
  });

  rule("a group without enough items fails, and what needs it is skipped", async (store) => {
    const bench = await Bench.start(store, group(""));
    await bench.end("list", done({ output: ["p", "q"] }));
    await bench.end("fix[0]", done());
    await bench.end("fix[1]", failed());
    assert.deepEqual(await bench.steps(), [
      "after skipped need failed",
      "fix failed need failed",
      "fix[0] done",
      "fix[1] failed command failed",
      "list done",
    ]);
    assert.deepEqual([(await bench.run())["state"], (await bench.run())["reason"]], ["failed", "need failed"]);
  });

  rule("a merge's delivered commit becomes the base of what starts after it", async (store) => {
    const bench = await Bench.start(
      store,
      `
  - { id: work, run: "true" }
  - { id: land, merge: "\${{ steps.work }}" }
  - { id: next, run: "true" }
`,
    );
    await bench.running();
    const base = (await bench.run())["base"];
    assert.match(String(base), /^[0-9a-f]{40}$/);
    assert.equal(bench.given.get("work")?.spec.base, base);
    await bench.end("work", done({ commit: "c0ffee", base: String(base), files: ["a"] }));
    await bench.running();
    const land = bench.given.get("land")?.spec;
    assert.deepEqual(land?.kind === "merge" ? land.sources.map(({ step, commit }) => [step, commit]) : null, [
      [`${bench.id}/work`, "c0ffee"],
    ]);
    assert.equal((await bench.run())["base"], base, "a step's own commit moves nothing");
    await bench.end("land", done({ commit: "beef01" }));
    assert.equal((await bench.run())["base"], "beef01");
    await bench.running();
    assert.equal(bench.given.get("next")?.spec.base, "beef01");
  });

  rule("a stop ends what waits, asks the runner for what runs, and the run ends with its last attempt", async (store) => {
    const bench = await Bench.start(store, group(""));
    await bench.end("list", done({ output: ["p", "q", "r"] }));
    const given = await store.assign(bench.project, bench.runner);
    const [first] = given;
    assert.ok(first);
    // The limit of the group's parallel work holds; one of its two tasks is left in the queue.
    await store.tell(started(first, bench.runner));
    await store.call(stopRun, { id: bench.id });
    const sent = await bench.look();
    // A runner that connects anew is told again what it has; nothing else is begun.
    const known = new Set(given.map(({ task }) => task));
    assert.ok(sent.every((message) => message.kind !== "assign" || known.has(message.task)));
    assert.ok(sent.some((message) => message.kind === "cancel" && message.task === first.task));
    assert.equal((await bench.run())["finished_at"], null);
    for (const message of sent.filter((each) => each.kind === "cancel")) {
      const task = await store.task(message.task);
      assert.equal(
        await store.tell(
          ended({ ...first, task: task.id, attempt: task.attempt, session: task.session ?? "" }, bench.runner, { kind: "cancelled" }),
        ),
        true,
      );
    }
    assert.deepEqual([(await bench.run())["state"], (await bench.run())["reason"]], ["cancelled", "person"]);
    const open = (await bench.steps()).filter((step) => !/(done|cancelled|skipped)/.test(step));
    assert.deepEqual(open, []);
    assert.equal(await bench.tasksOf("fix[2]"), 0);
  });

  rule("a retry goes on from what was not done, and keeps what was", async (store) => {
    const bench = await Bench.start(store, diamond);
    await bench.running();
    await bench.end("a", done({ output: "kept" }));
    await bench.end("b", failed());
    assert.deepEqual(await bench.steps(), ["a done", "b failed command failed", "c skipped need failed"]);
    await store.call(retryRun, { id: bench.id });
    assert.deepEqual(await bench.running(), ["b"]);
    await bench.end("b", done());
    assert.deepEqual([await bench.running(), await bench.tasksOf("a"), await bench.tasksOf("b")], [["c"], 1, 2]);
    await bench.end("c", done());
    assert.equal((await bench.run())["state"], "done");
    await assert.rejects(store.call(retryRun, { id: bench.id }), { code: "conflict" });
  });

  rule("a run whose time was over gets its minutes again with a retry", async (store) => {
    const bench = await Bench.start(store, diamond, "minutes: 1\n");
    await store.moveClock(61_000);
    await bench.look();
    await bench.look();
    assert.deepEqual([(await bench.run())["state"], (await bench.run())["reason"]], ["failed", "time limit"]);
    await store.call(retryRun, { id: bench.id });
    await bench.look();
    assert.deepEqual([(await bench.run())["state"], (await bench.run())["cancel_requested"]], ["running", 0]);
  });

  const question = `
  - { id: ok, ask: { question: "Merge?", timeout: 1h, default: "no", options: ["yes", "no"] } }
  - { id: go, if: "\${{ steps.ok.answer == 'yes' }}", run: "true" }
`;

  rule("a question that nobody answers in its time is answered by its default", async (store) => {
    const bench = await Bench.start(store, question);
    assert.equal((await bench.run())["state"], "needs you");
    await bench.look();
    assert.equal((await bench.run())["state"], "needs you");
    await store.moveClock(3_600_000 + 1_000);
    await bench.look();
    assert.deepEqual(await bench.steps(), ["go skipped condition", "ok done"]);
    const [approval] = await store.rows(sql`select state, answer, answered_by from approvals where run = ${bench.id}`);
    assert.deepEqual(approval, { state: "expired", answer: "no", answered_by: null });
    assert.equal((await bench.run())["state"], "done");
  });

  rule("a person's answer moves the run on in the same commit, once", async (store) => {
    const bench = await Bench.start(store, question);
    const [approval] = await store.rows(sql`select id from approvals where run = ${bench.id}`);
    const answers = await Promise.allSettled(
      ["yes", "yes", "no"].map((answer) => store.call(answerApproval, { id: String(approval?.["id"]), answer })),
    );
    assert.equal(answers.filter(({ status }) => status === "fulfilled").length, 1);
    const [row] = await store.rows(sql`select answer from approvals where run = ${bench.id}`);
    assert.deepEqual(await bench.running(), row?.["answer"] === "yes" ? ["go"] : []);
    assert.equal(await bench.tasksOf("go"), row?.["answer"] === "yes" ? 1 : 0);
  });

  rule("a stopped run's question is closed", async (store) => {
    const bench = await Bench.start(store, question);
    await store.call(stopRun, { id: bench.id });
    const [approval] = await store.rows(sql`select id, state from approvals where run = ${bench.id}`);
    assert.equal(approval?.["state"], "expired");
    await assert.rejects(store.call(answerApproval, { id: String(approval["id"]), answer: "yes" }), { code: "conflict" });
    await bench.look();
    assert.equal((await bench.run())["state"], "cancelled");
  });

  rule("a step's task that is not over cannot be waited for by a task outside of the run", async (store) => {
    const bench = await Bench.start(store, diamond);
    await bench.running();
    const need = bench.given.get("a")?.task ?? "";
    const agent = await store.agent();
    const outside = () => store.call(createTask, { project: bench.project, prompt: "go", agent, needs: [need] });
    await assert.rejects(outside(), { code: "conflict", fix: [`tutti show ${bench.id}`] });
    await bench.end("a", done());
    assert.equal((await outside()).reason, "new");
  });
});

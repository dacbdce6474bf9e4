import assert from "node:assert/strict";
import { test } from "node:test";
import { Player, read, readAll } from "../../test/support/player.ts";
import { done, failed, onBothStores, type TestStore } from "../../test/support/stores.ts";
import { answerApproval } from "../approvals/commands.ts";
import { sql, statement } from "../db/plan.ts";
import { createRun, getRunQuery, listRunsQuery, listStepsQuery } from "./commands.ts";
import { unionMs } from "./overview.ts";

const usage = (inputTokens: number, costUsd: number | null) => ({ model: "m", inputTokens, outputTokens: 0, cachedTokens: 0, costUsd });

const start = async (player: Player, steps: string): Promise<string> =>
  (await player.store.call(createRun, { project: player.project, source: `name: f\nsteps:\n${steps}` })).id;

const taskOf = async (store: TestStore, run: string, step: string): Promise<string> => {
  const [row] = await store.rows(sql`select task from steps where run = ${run} and id = ${step}`);
  return String(row?.["task"]);
};

const none = { queued: 0, starting: 0, running: 0, "needs you": 0, paused: 0, done: 0, failed: 0, cancelled: 0, skipped: 0 };

const group = (agent: string) => `
  - { id: list, run: "true" }
  - { id: fix, each: "\${{ steps.list.output }}", as: part, parallel: 2, agent: ${agent}, prompt: "fix \${{ part }}" }
  - { id: after, run: "true" }
`;

test("time for which two questions were open at once counts once", () => {
  assert.equal(unionMs([]), 0);
  assert.equal(unionMs([[10, 20]]), 10);
  assert.equal(
    unionMs([
      [30, 40],
      [10, 20],
      [15, 25],
      [16, 18],
    ]),
    25,
  );
});

onBothStores((rule) => {
  rule("a run counts its work in units: items each, those that are not made yet as queued, and its group not", async (store) => {
    const player = await Player.start(store);
    const run = await start(player, group(player.agent));
    await player.end(await taskOf(store, run, "list"), done({ output: ["a", "b", "c", "d", "e"] }));
    const counts = async () => (await read(store, getRunQuery, { id: run })).counts;
    assert.deepEqual(await counts(), { ...none, done: 1, queued: 6 });
    await player.begin(await taskOf(store, run, "fix[0]"));
    const [one, two] = [await taskOf(store, run, "fix[0]"), await taskOf(store, run, "fix[1]")];
    assert.deepEqual(await counts(), { ...none, done: 1, running: 1, starting: 1, queued: 4 });
    await player.end(two, failed());
    assert.deepEqual(await counts(), { ...none, done: 1, running: 1, failed: 1, queued: 4 });
    await player.startTurn(one);
    await player.endTurn(one, 1, { usage: usage(40, 0.5) });
    await player.end(one, done());
    const [card] = (await read(store, listRunsQuery, { project: player.project })).items;
    assert.deepEqual([card?.projectName, card?.tokens, card?.costUsd, card?.openApprovals], [player.project, 40, 0.5, 0]);
    assert.deepEqual(card?.firstFailure, { step: "fix[1]", reason: "command failed", message: "it ended with 1", task: two });
    const fix = (await read(store, listStepsQuery, { id: run })).items.find(({ id }) => id === "fix");
    assert.deepEqual(fix?.items, { ...none, done: 1, failed: 1, starting: 1, queued: 2 });
    assert.deepEqual([fix?.tokens, fix?.costUsd, fix?.parent], [40, 0.5, null]);
  });

  rule("steps come all, without items, or one group's items alone, page by page", async (store) => {
    const player = await Player.start(store);
    const run = await start(player, group(player.agent));
    await player.end(await taskOf(store, run, "list"), done({ output: ["a", "b", "c"] }));
    const ids = async (filter: object) =>
      (await readAll((cursor) => read(store, listStepsQuery, { id: run, limit: 2, cursor, ...filter }))).map(({ id }) => id);
    assert.deepEqual(await ids({}), ["list", "fix", "fix[0]", "fix[1]", "after"]);
    assert.deepEqual(await ids({ items: false }), ["list", "fix", "after"]);
    assert.deepEqual(await ids({ group: "fix", limit: 1 }), ["fix[0]", "fix[1]"]);
    assert.deepEqual(await ids({ group: "list" }), []);
    const items = (await read(store, listStepsQuery, { id: run, group: "fix" })).items;
    assert.deepEqual(
      items.map(({ parent }) => parent),
      ["fix", "fix"],
    );
  });

  rule("a step tells when it was ready, when it began and how long it stood still for a person", async (store) => {
    const player = await Player.start(store);
    const run = await start(
      player,
      `  - { id: work, agent: ${player.agent}, prompt: go }\n  - { id: sure, ask: { who: me, question: Really?, options: [go, stop] } }\n  - { id: end, run: "true" }\n`,
    );
    const steps = async () => new Map((await read(store, listStepsQuery, { id: run })).items.map((step) => [step.id, step]));
    const first = (await steps()).get("work");
    assert.ok(first?.queuedAt);
    assert.deepEqual([first.startedAt, first.agent, first.waitedForPersonMs], [null, null, 0]);
    assert.deepEqual([(await steps()).get("end")?.queuedAt, (await steps()).get("end")?.startedAt], [null, null]);
    await store.moveClock(100);
    const task = await taskOf(store, run, "work");
    const session = await player.begin(task);
    const asked = await player.askLeave(task, "shell", { command: "make" });
    assert.equal((await read(store, getRunQuery, { id: run })).openApprovals, 1);
    await store.moveClock(500);
    const waiting = (await steps()).get("work");
    assert.ok(waiting && waiting.waitedForPersonMs >= 500 && waiting.waitedForPersonMs < 30_000);
    await store.call(answerApproval, { id: asked, answer: "yes" });
    const answered = (await steps()).get("work")?.waitedForPersonMs ?? 0;
    await store.moveClock(500);
    await player.end(task, done());
    const work = (await steps()).get("work");
    assert.equal(work?.waitedForPersonMs, answered);
    assert.deepEqual([work?.agent, work?.session, work?.state], [player.agent, session, "done"]);
    assert.ok(work && (work.startedAt ?? 0) >= (work.queuedAt ?? 0) + 100 && (work.finishedAt ?? 0) >= (work.startedAt ?? 0) + 1_000);
    const question = (await steps()).get("sure");
    assert.ok(question?.queuedAt && question.startedAt === question.queuedAt && question.task === null);
    await store.moveClock(300);
    assert.ok(((await steps()).get("sure")?.waitedForPersonMs ?? 0) >= 300);
    await store.call(answerApproval, { id: question.approval ?? "", answer: "go" });
    const last = await steps();
    assert.equal((last.get("sure")?.finishedAt ?? 0) - (question.queuedAt ?? 0), last.get("sure")?.waitedForPersonMs);
  });

  rule("the first failure is the first that happened; a group only when none of its items failed", async (store) => {
    const player = await Player.start(store);
    const run = await start(
      player,
      `  - { id: a, needs: [], run: "true" }\n  - { id: b, needs: [], run: "true" }\n  - { id: g, needs: [a, b], run: "true" }\n`,
    );
    const [a, b] = [await taskOf(store, run, "a"), await taskOf(store, run, "b")];
    await player.end(b, failed());
    await store.moveClock(20);
    await player.end(a, failed());
    const { firstFailure, counts, state } = await read(store, getRunQuery, { id: run });
    assert.deepEqual([firstFailure?.step, firstFailure?.task, state], ["b", b, "failed"]);
    assert.deepEqual(counts, { ...none, failed: 2, skipped: 1 });
    const other = await start(
      player,
      `  - { id: list, run: "true" }\n  - { id: each, each: "\${{ steps.list.output }}", as: x, run: ["echo", "\${{ x }}"] }\n`,
    );
    await player.end(await taskOf(store, other, "list"), done({ output: "no list" }));
    const broken = await read(store, getRunQuery, { id: other });
    assert.deepEqual([broken.firstFailure?.step, broken.firstFailure?.reason], ["each", "error"]);
    const states = async (state: string | string[]) => (await read(store, listRunsQuery, { project: player.project, state })).items.length;
    assert.deepEqual([await states("failed"), await states("failed,done"), await states(["done", "running"])], [2, 2, 0]);
    await store.write({ statements: [statement(sql`delete from projects where id = ${player.project}`)], events: [] });
    assert.equal((await read(store, getRunQuery, { id: run })).projectName, player.project);
  });
});

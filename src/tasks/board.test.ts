import assert from "node:assert/strict";
import { base, commit, Player, read, readAll } from "../../test/support/player.ts";
import { done, failed, onBothStores } from "../../test/support/stores.ts";
import { sql, statement } from "../db/plan.ts";
import type { TranscriptEntry } from "../sessions/session.ts";
import { createTask, getTaskQuery, listTasksQuery, taskBoard } from "./commands.ts";

const usage = (inputTokens: number, outputTokens: number, costUsd: number | null) => ({
  model: "m",
  inputTokens,
  outputTokens,
  cachedTokens: 7,
  costUsd,
});

onBothStores((rule) => {
  rule("a board has every task in the column of its state, with exact counts however few cards are shown", async (store) => {
    const player = await Player.start(store);
    const { project } = player;
    const ended: string[] = [];
    for (let number = 0; number < 3; number += 1) {
      const task = await player.queue();
      await player.change(task);
      ended.unshift(task);
      await store.moveClock(20);
    }
    const [bad, asking, running] = [await player.running(), await player.running(), await player.running()];
    await player.end(bad, failed());
    await player.askLeave(asking, "shell", { command: "make" });
    const starting = await player.queue();
    await player.assignment(starting);
    const [later, sooner] = [await player.queue(), (await store.call(createTask, { project, prompt: "now", priority: 5 })).id];
    const board = async (limitPerColumn: number) =>
      (await read(store, taskBoard, { project, limitPerColumn })).columns.map(({ state, count, items }) => [
        state,
        count,
        items.map(({ id }) => id),
      ]);
    const running2 = [running, starting];
    assert.deepEqual(await board(50), [
      ["queued", 2, [sooner, later]],
      ["running", 2, running2],
      ["needs you", 1, [asking]],
      ["paused", 0, []],
      ["failed", 1, [bad]],
      ["done", 3, ended],
      ["cancelled", 0, []],
    ]);
    const short = await board(1);
    assert.deepEqual(
      [short[0], short[5]],
      [
        ["queued", 2, [sooner]],
        ["done", 3, ended.slice(0, 1)],
      ],
    );
    const { columns } = await read(store, taskBoard, {});
    assert.ok((columns.find(({ state }) => state === "done")?.count ?? 0) >= 3);
    await assert.rejects(read(store, taskBoard, { limitPerColumn: 201 }), { code: "invalid_input" });
  });

  rule("a card has its project's name, what was changed and what it used", async (store) => {
    const player = await Player.start(store);
    const task = await player.running();
    const card = async () =>
      (await read(store, taskBoard, { project: player.project })).columns.flatMap(({ items }) => items).find(({ id }) => id === task);
    assert.deepEqual([(await card())?.files, (await card())?.tokens, (await card())?.costUsd], [null, 0, null]);
    await player.startTurn(task);
    await player.endTurn(task, 1, { usage: usage(3, 4, 0.5), commit });
    await player.end(task, done({ commit, base, files: ["a", "b"], branch: "x", verified: true }));
    const { projectName, demo, tokens, costUsd, files, verified } = (await card()) ?? {};
    assert.deepEqual(
      { projectName, demo, tokens, costUsd, files, verified },
      {
        projectName: player.project,
        demo: false,
        tokens: 7,
        costUsd: 0.5,
        files: 2,
        verified: true,
      },
    );
  });

  rule("tasks are found by state, agent and what the title contains, letter for letter", async (store) => {
    const player = await Player.start(store);
    const { project, agent } = player;
    const first = await player.running("Fix the TILL");
    await player.end(first, failed());
    const [second, third] = [await player.queue("100% till_done"), await player.queue("tillXdone \\ 100 x")];
    const find = async (filter: object) => (await read(store, listTasksQuery, { project, ...filter })).items.map(({ id }) => id).toSorted();
    assert.deepEqual(await find({ q: "till" }), [first, second, third].toSorted());
    assert.deepEqual(await find({ q: "fix the till" }), [first]);
    assert.deepEqual(await find({ q: "till_" }), [second]);
    assert.deepEqual(await find({ q: "0%" }), [second]);
    assert.deepEqual(await find({ q: "\\" }), [third]);
    assert.deepEqual(await find({ agent }), [first]);
    assert.deepEqual(await find({ state: "failed" }), [first]);
    assert.deepEqual(await find({ state: ["failed", "queued"] }), [first, second, third].toSorted());
    assert.deepEqual(await find({ state: "failed,queued", q: "till", agent }), [first]);
    await assert.rejects(find({ state: "late" }), { code: "invalid_input" });
    const paged = await readAll((cursor) => read(store, listTasksQuery, { project, q: "till", limit: 1, cursor }));
    assert.deepEqual(paged.map(({ id }) => id).toSorted(), [first, second, third].toSorted());
  });

  rule("one task comes with the usage of each turn, its open questions and how its checks went", async (store) => {
    const player = await Player.start(store);
    const { project, agent } = player;
    const check = { run: "make test", retry: 1 };
    const { id } = await store.call(createTask, { project, prompt: "go", agent, check });
    const session = await player.begin(id);
    const entry = (turn: number, kind: TranscriptEntry["kind"], text: string, more: Partial<TranscriptEntry> = {}): TranscriptEntry => ({
      turn,
      at: 10 * turn,
      kind,
      text,
      ...more,
    });
    const checked = (turn: number, state: string, text: string) => entry(turn, "check", text, { name: check.run, state });
    await player.startTurn(id);
    // Far more than is read at first of a sealed turn.
    const talk = 'he said "check" '.repeat(50_000);
    await player.say(id, [entry(1, "text", talk), checked(1, "failed", `${"x".repeat(5_000)}the end`), entry(1, "outcome", "")]);
    await player.endTurn(id, 1, { usage: usage(100, 10, 0.25) });
    await player.startTurn(id, 2);
    const asked = await player.askLeave(id, "shell", { command: "make" });
    await player.say(id, [checked(2, "passed", "fine")]);
    const task = await read(store, getTaskQuery, { id });
    assert.deepEqual([task.projectName, task.approvals], [project, [asked]]);
    assert.deepEqual(
      {
        ...task.usage,
        byTurn: task.usage.byTurn.map(({ session: of, turn, attempt, usage: used }) => [of, turn, attempt, used?.inputTokens ?? null]),
      },
      {
        turns: 2,
        inputTokens: 100,
        outputTokens: 10,
        cachedTokens: 7,
        costUsd: 0.25,
        byTurn: [
          [session, 1, 1, 100],
          [session, 2, 1, null],
        ],
      },
    );
    assert.deepEqual(
      task.checks.map(({ name, state, at, output }) => [name, state, at, output.length, output.slice(-7)]),
      [
        [check.run, "failed", 10, 4_001, "the end"],
        [check.run, "passed", 20, 4, "fine"],
      ],
    );
    // A check that said more than is read at first is found too.
    await player.say(id, [checked(2, "failed", "y".repeat(400_000)), entry(2, "outcome", "")], 2);
    await player.endTurn(id, 2);
    const last = (await read(store, getTaskQuery, { id })).checks;
    assert.deepEqual(
      last.map(({ state }) => state),
      ["failed", "passed", "failed"],
    );
    await store.write({ statements: [statement(sql`delete from projects where id = ${player.project}`)], events: [] });
    assert.equal((await read(store, getTaskQuery, { id })).projectName, project);
    await assert.rejects(read(store, getTaskQuery, { id: "T-none" }), { code: "not_found" });
  });
});

import assert from "node:assert/strict";
import type { TranscriptEntry } from "../sessions/session.ts";
import { sql, statement } from "../db/plan.ts";
import { stopTask } from "../tasks/commands.ts";
import { Player, read, readAll } from "../../test/support/player.ts";
import { done, failed, onBothStores } from "../../test/support/stores.ts";
import { getFleetQuery, listFleetSessionsQuery } from "./commands.ts";

const usage = (inputTokens: number, outputTokens: number, costUsd: number | null) => ({
  model: "m",
  inputTokens,
  outputTokens,
  cachedTokens: 7,
  costUsd,
});
const entry = (text: string, at: number, more: Partial<TranscriptEntry> = {}): TranscriptEntry => ({
  kind: "text",
  text,
  turn: 1,
  at,
  ...more,
});

onBothStores((rule) => {
  rule("work is rolled up by project and agent: what is not over, and what ended today with what it used", async (store) => {
    const player = await Player.start(store);
    const old = await player.running();
    await player.startTurn(old);
    await player.endTurn(old, 1, { usage: usage(1_000, 1_000, 9) });
    await player.end(old, done());
    await store.moveClock(100);
    const since = store.services.clock.now();
    await store.moveClock(100);
    const [busy, asking, waiting, bad] = [await player.running(), await player.running(), await player.running(), await player.running()];
    await player.startTurn(busy);
    await player.endTurn(busy, 1, { usage: usage(100, 20, 0.5) });
    await player.startTurn(busy, 2);
    await player.endTurn(busy, 2, { usage: usage(1, 2, null) });
    await player.askLeave(asking, "shell", { command: "make" });
    const asked = store.services.clock.now();
    await player.end(bad, failed());
    await player.end(waiting, { kind: "limited", retryAt: store.services.clock.now() + 3_600_000, message: "the limit" });
    await player.queue();
    const fleet = await read(store, getFleetQuery, { since });
    const own = fleet.projects.find(({ id }) => id === player.project);
    const counts = { queued: 1, starting: 0, running: 1, "needs you": 1, paused: 1, done: 0, failed: 1, cancelled: 0 };
    assert.deepEqual(own?.counts, counts);
    assert.deepEqual([own?.tokens, own?.costUsd, own?.agentCount], [123, 0.5, 1]);
    assert.ok(own && own.oldestWaitAt !== null && own.oldestWaitAt <= asked && own.oldestWaitAt >= since);
    // The queued one has no agent yet.
    assert.deepEqual(own.agents, [{ name: player.agent, counts: { ...counts, queued: 0 }, sessions: 2, tokens: 123 }]);
    assert.equal(fleet.today.since, since);
    assert.ok(fleet.today.tokens >= 123 && (fleet.today.costUsd ?? 0) >= 0.5);
    const all = await read(store, getFleetQuery, { since: 0 });
    const ever = all.projects.find(({ id }) => id === player.project);
    assert.deepEqual([ever?.counts.done, ever?.tokens, ever?.costUsd], [1, 2_123, 9.5]);
    assert.equal(
      all.counts.done,
      all.projects.reduce((sum, project) => sum + project.counts.done, 0),
    );
  });

  rule("agents' work that gives no sign of life, uses much or runs long is hot, by its newest entry", async (store) => {
    const player = await Player.start(store);
    const [silent, lively] = [await player.running("silent"), await player.running("lively")];
    const now = store.services.clock.now();
    for (const task of [silent, lively]) await player.startTurn(task);
    await player.say(silent, [entry("on it", now - 900_000)]);
    await player.say(lively, [entry("on it", now - 900_000)]);
    await player.say(lively, [entry("x".repeat(9_000), now)], 2);
    await store.write({
      statements: [
        statement(sql`update attempts set started_at = ${now - 1_000_000} where task in (${silent}, ${lively})`, 2),
        statement(
          sql`update turns set started_at = ${now - 1_000_000} where session in (select id from sessions where task in (${silent}, ${lively}))`,
          2,
        ),
      ],
      events: [],
    });
    const { hot } = await read(store, getFleetQuery, {});
    const own = hot.filter(({ project }) => project === player.project);
    assert.deepEqual(
      own.map(({ kind, task, title, agent, since }) => [kind, task, title, agent, since]),
      [["stuck", silent, "silent", player.agent, now - 900_000]],
    );
  });

  rule("work is listed in the order of attention, page by page, each once", async (store) => {
    const player = await Player.start(store);
    const made: Record<string, string> = {};
    for (const name of ["running", "older", "asking", "bad", "old failure", "limited", "gone"]) {
      made[name] = await player.running(name);
      await store.moveClock(20);
    }
    const named = (name: string): string => made[name] ?? "";
    await player.askLeave(named("asking"), "shell", { command: "make" });
    await player.end(named("bad"), failed());
    await player.end(named("old failure"), failed());
    await player.end(named("limited"), { kind: "limited", retryAt: store.services.clock.now() + 3_600_000, message: "the limit" });
    await store.call(stopTask, { id: named("gone") });
    await player.end(named("gone"), { kind: "cancelled" });
    made["queued"] = await player.queue("queued");
    const yesterday = store.services.clock.now() - 25 * 3_600_000;
    await store.write({
      statements: [statement(sql`update tasks set updated_at = ${yesterday} where id = ${named("old failure")}`)],
      events: [],
    });
    const expected = ["asking", "bad", "running", "older", "queued", "limited"].map(named);
    const { project } = player;
    for (const limit of [1, 2, 5, 50]) {
      const items = await readAll((cursor) => read(store, listFleetSessionsQuery, { project, limit, cursor }));
      assert.deepEqual(
        items.map(({ task }) => task),
        expected,
        `pages of ${limit}`,
      );
    }
    const states = async (state: string | string[]) =>
      (await read(store, listFleetSessionsQuery, { project, state })).items.map(({ task }) => task);
    assert.deepEqual(await states("failed"), [named("bad"), named("old failure")]);
    assert.deepEqual(await states(["queued", "cancelled"]), [named("queued"), named("gone")]);
    assert.deepEqual(await states("queued,cancelled"), [named("queued"), named("gone")]);
    assert.deepEqual((await read(store, listFleetSessionsQuery, { project, agent: "nobody" })).items, []);
    await assert.rejects(read(store, listFleetSessionsQuery, { cursor: "x" }), { code: "invalid_input" });
    await assert.rejects(read(store, listFleetSessionsQuery, { state: "late" }), { code: "invalid_input" });
  });

  rule("a row tells who works on what, since when, what it used and what it did last", async (store) => {
    const player = await Player.start(store);
    const task = await player.queue("fix the till\nplease");
    const session = await player.begin(task);
    await player.startTurn(task);
    const now = store.services.clock.now();
    await player.say(task, [
      entry("I look at it", now - 5),
      entry("", now - 4, { kind: "tool", name: "shell", state: "started", text: '{"command":"ls\\u001b"}\nx' }),
    ]);
    const row = async () =>
      (await read(store, listFleetSessionsQuery, { project: player.project, state: "running,needs you,done" })).items[0];
    const first = await row();
    assert.deepEqual(
      { ...first, since: 0, startedAt: 0 },
      {
        session,
        task,
        title: "fix the till",
        agent: player.agent,
        backend: "command",
        model: null,
        project: player.project,
        projectName: player.project,
        state: "running",
        reason: null,
        message: null,
        since: 0,
        startedAt: 0,
        turn: 1,
        tokens: 0,
        costUsd: null,
        lastActivity: 'shell started {"command":"ls\\u001b"} x',
        lastActivityAt: now - 4,
        demo: false,
        run: null,
        step: null,
      },
    );
    assert.ok((first?.startedAt ?? 0) > 0 && (first?.since ?? 0) >= (first?.startedAt ?? 0));
    await player.say(task, [entry("one\ntwo\n\n", now - 3)], 2);
    assert.equal((await row())?.lastActivity, "two");
    await player.askLeave(task, "shell", { command: "make" });
    const asking = await row();
    assert.deepEqual([asking?.state, asking?.message], ["needs you", `${player.agent} wants to use shell`]);
    await player.endTurn(task, 1, { usage: usage(10, 5, 0.25), output: "all\nis well" });
    await player.end(task, done());
    const last = await row();
    assert.deepEqual([last?.state, last?.tokens, last?.costUsd, last?.lastActivity], ["done", 15, 0.25, "all is well"]);
  });
});

import assert from "node:assert/strict";
import { failed, onBothStores, done, type TestStore } from "../../test/support/stores.ts";
import { base, commit, Player, read, readAll } from "../../test/support/player.ts";
import { answerApproval } from "../approvals/commands.ts";
import { sql, statement } from "../db/plan.ts";
import { createRun } from "../flows/commands.ts";
import type { Actor } from "../registry.ts";
import { mergeTask, replyToTask, retryTask, stopTask } from "../tasks/commands.ts";
import { listInboxQuery, markInbox } from "./commands.ts";

/** Short enough for leases to hold. */
const tick = 200;

const inbox = (store: TestStore, input: Parameters<typeof listInboxQuery.run>[0] | object = {}) =>
  read(store, listInboxQuery, input as object);

/** `group kind id` of a project's items. */
async function shown(store: TestStore, project: string): Promise<string[]> {
  return (await inbox(store, { project })).items.map(({ group, kind, id }) => `${group} ${kind} ${id}`);
}

const noCounts = { blocked: 0, review: 0, failed: 0, total: 0 };

onBothStores((rule) => {
  rule("identical requests fold into one with its count, though each has a number of its own; another action does not", async (store) => {
    const player = await Player.start(store);
    const [first, second, third] = [await player.running("fix the till"), await player.running(), await player.running()];
    const a1 = await player.askLeave(first, "shell", { command: "npm ci" });
    const a2 = await player.askLeave(second, "shell", { command: "npm ci" });
    const a3 = await player.askLeave(third, "shell", { command: "ls" });
    const { items, counts } = await inbox(store, { project: player.project });
    assert.deepEqual(counts, { blocked: 2, review: 0, failed: 0, total: 2 });
    assert.deepEqual(
      items.map(({ id, title, waiting, folded, risk, task, agent, options, unseen, projectName }) => ({
        id,
        title,
        waiting,
        folded,
        risk,
        task,
        agent,
        options,
        unseen,
        projectName,
      })),
      [
        {
          id: a1,
          title: "npm ci",
          waiting: 2,
          folded: [a1, a2],
          risk: "high",
          task: first,
          agent: player.agent,
          options: ["Once", "deny"],
          unseen: true,
          projectName: player.project,
        },
        {
          id: a3,
          title: "ls",
          waiting: 1,
          folded: [a3],
          risk: "low",
          task: third,
          agent: player.agent,
          options: ["Once", "deny"],
          unseen: true,
          projectName: player.project,
        },
      ],
    );
    assert.match(items[0]?.message ?? "", /fix the till/);
    assert.deepEqual(items[0]?.risks, ["network"]);
    await store.call(answerApproval, { id: a1, answer: "yes", hash: items[0]?.hash ?? "" });
    assert.deepEqual(await shown(store, player.project), [`blocked permission ${a2}`, `blocked permission ${a3}`]);
  });

  rule(
    "blocked comes first and the oldest of it, then what is ready for review, then what failed; pages bring each item once",
    async (store) => {
      const player = await Player.start(store);
      const make = async (): Promise<string> => {
        await store.moveClock(tick);
        return await player.queue();
      };
      const [bad, good, worse, better] = [await make(), await make(), await make(), await make()];
      await player.end(bad, failed());
      await store.moveClock(tick);
      await player.change(good);
      await store.moveClock(tick);
      await player.end(worse, failed());
      await store.moveClock(tick);
      await player.change(better);
      const asking = await player.running();
      await store.moveClock(tick);
      const a1 = await player.askLeave(asking, "shell", { command: "make" });
      await store.moveClock(tick);
      const { id: run } = await store.call(createRun, {
        project: player.project,
        source: "name: f\nsteps:\n  - { id: sure, ask: { who: me, question: Really?, options: [go, stop] } }\n",
      });
      const expected = [
        `blocked permission ${a1}`,
        `review review ${better}`,
        `review review ${good}`,
        `failed failed task ${worse}`,
        `failed failed task ${bad}`,
      ];
      const all = (await inbox(store, { project: player.project })).items;
      const question = all.find(({ kind }) => kind === "question");
      assert.deepEqual(
        [question?.title, question?.run, question?.step, question?.options, question?.risk],
        ["Really?", run, "sure", ["go", "stop"], null],
      );
      expected.splice(1, 0, `blocked question ${question?.id}`);
      assert.deepEqual(await shown(store, player.project), expected);
      for (const limit of [1, 2, 4, 5]) {
        const items = await readAll((cursor) => inbox(store, { project: player.project, limit, cursor }));
        assert.deepEqual(
          items.map(({ group, kind, id }) => `${group} ${kind} ${id}`),
          expected,
          `pages of ${limit}`,
        );
      }
      for (const group of ["blocked", "review", "failed"] as const) {
        const items = await readAll((cursor) => inbox(store, { project: player.project, group, limit: 1, cursor }));
        assert.deepEqual(
          items.map(({ id }) => id),
          all.filter((item) => item.group === group).map(({ id }) => id),
          group,
        );
      }
      assert.deepEqual((await inbox(store, { project: player.project, limit: 1 })).counts, { blocked: 2, review: 2, failed: 2, total: 4 });
      await assert.rejects(inbox(store, { cursor: "x" }), { code: "invalid_input" });
    },
  );

  rule("a change waits for a person until it is merged; a merge that fails stands there instead", async (store) => {
    const player = await Player.start(store);
    const [task, idle] = [await player.queue(), await player.queue()];
    await player.change(task);
    await player.end(idle, done());
    assert.deepEqual(await shown(store, player.project), [`review review ${task}`]);
    assert.equal((await inbox(store, { project: player.project })).items[0]?.message, `on branch tutti/${task}`);
    const { id: merge } = await store.call(mergeTask, { id: task });
    assert.deepEqual(await shown(store, player.project), []);
    await player.end(merge, { ...failed(), kind: "failed", reason: "merge conflict" } as ReturnType<typeof failed>);
    assert.deepEqual(await shown(store, player.project), [`failed failed task ${merge}`]);
    await store.call(retryTask, { id: merge });
    assert.deepEqual(await shown(store, player.project), []);
    await player.end(merge, done({ commit, base, branch: "main" }));
    assert.deepEqual(await shown(store, player.project), []);
    // A merge that was stopped leaves a change that nobody has merged.
    const { id: stopped } = await store.call(mergeTask, { id: task });
    await player.begin(stopped);
    await store.call(stopTask, { id: stopped });
    await player.end(stopped, { kind: "cancelled" });
    assert.deepEqual(await shown(store, player.project), [`review review ${stopped}`]);
    await store.call(markInbox, { item: stopped, mark: "done" });
    assert.deepEqual(await shown(store, player.project), []);
    // More work on it is another change.
    await store.moveClock(tick);
    await store.call(replyToTask, { id: task, text: "and the tests?" });
    await player.change(task, 2);
    assert.deepEqual(await shown(store, player.project), [`review review ${task}`]);
  });

  rule("a merge that was put on a branch because the person's files were in the way waits for its person", async (store) => {
    const player = await Player.start(store);
    const task = await player.queue();
    await player.change(task);
    const { id: merge } = await store.call(mergeTask, { id: task });
    const note = "main has changes; finish with: git merge tutti/T-9";
    await player.end(merge, done({ commit, base, branch: "tutti/T-9", note }));
    const { items } = await inbox(store, { project: player.project });
    assert.deepEqual(
      items.map(({ group, task: of, message }) => [group, of, message]),
      [["review", merge, note]],
    );
    // An agent that only says these words has made no merge.
    const talker = await player.queue();
    await player.end(talker, done({ output: "; finish with: git merge x" }));
    // Nor does a merge wait because a commit that it merged says them.
    const other = await player.queue();
    await player.change(other);
    const { id: plain } = await store.call(mergeTask, { id: other });
    await player.end(plain, done({ output: { commits: ["; finish with: x"] }, commit, base, branch: "main" }));
    assert.deepEqual(await shown(store, player.project), [`review review ${merge}`]);
    await store.call(markInbox, { item: merge, mark: "done" });
    assert.deepEqual(await shown(store, player.project), []);
  });

  rule("what is done vanishes until something new happens to it, and the queue can reach zero", async (store) => {
    const player = await Player.start(store);
    const [bad, good, asking] = [await player.queue(), await player.queue(), await player.queue()];
    await player.end(bad, failed());
    await player.change(good);
    await player.begin(asking);
    const asked = await player.askLeave(asking, "shell", { command: "make" });
    for (const item of [bad, good, asked]) {
      assert.deepEqual(await store.call(markInbox, { item, mark: "done" }), { item, mark: "done", until: null });
    }
    assert.deepEqual(await inbox(store, { project: player.project }), { counts: noCounts, items: [], next: null });
    const events = await store.rows(sql`select data from events where stream = ${player.project} and type = 'inbox.marked' order by seq`);
    assert.deepEqual(
      events.map(({ data }) => JSON.parse(String(data)) as unknown),
      [bad, good, asked].map((item) => ({ item, mark: "done", until: null, by: "ann" })),
    );
    // Opened again: all three are back, and seen.
    for (const item of [bad, good, asked]) await store.call(markInbox, { item, mark: "open" });
    const again = (await inbox(store, { project: player.project })).items;
    assert.deepEqual(
      again.map(({ unseen }) => unseen),
      [false, false, false],
    );
    for (const item of [bad, good, asked]) await store.call(markInbox, { item, mark: "done" });
    // News: the failed task fails once more, and another identical request comes.
    await store.moveClock(tick);
    await store.call(retryTask, { id: bad });
    await player.end(bad, failed());
    const twin = await player.running();
    await player.askLeave(twin, "shell", { command: "make" });
    assert.deepEqual(await shown(store, player.project), [`blocked permission ${asked}`, `failed failed task ${bad}`]);
  });

  rule("what is snoozed comes back at its time, and one more of the same kind does not wake it", async (store) => {
    const player = await Player.start(store);
    const [bad, good, asking] = [await player.queue(), await player.queue(), await player.queue()];
    await player.end(bad, failed());
    await player.change(good);
    await player.begin(asking);
    const asked = await player.askLeave(asking, "shell", { command: "make" });
    const until = store.services.clock.now() + 4_000;
    for (const item of [bad, good, asked]) assert.equal((await store.call(markInbox, { item, mark: "snoozed", until })).until, until);
    await store.moveClock(tick);
    const second = await player.askLeave(await player.running(), "shell", { command: "make" });
    assert.deepEqual((await inbox(store, { project: player.project })).counts, noCounts);
    await store.moveClock(4_000);
    const { items } = await inbox(store, { project: player.project });
    assert.deepEqual(
      items.map(({ id }) => id),
      [asked, good, bad],
    );
    assert.deepEqual(items[0]?.folded, [asked, second]);
    // Any of the folded ones names the item.
    assert.equal((await store.call(markInbox, { item: second, mark: "done" })).item, asked);
  });

  rule("a failed run is one item with its first failure; its steps' tasks and runs that were stopped are none", async (store) => {
    const player = await Player.start(store);
    const { id: run } = await store.call(createRun, {
      project: player.project,
      source: 'name: nightly\nsteps:\n  - { id: a, run: "true" }\n  - { id: b, run: "false" }\n  - { id: c, run: "true" }\n',
    });
    const [task] = await store.rows(sql`select id from tasks where run = ${run} and step = 'a'`);
    await player.end(String(task?.["id"]), failed());
    const { items, counts } = await inbox(store, { project: player.project });
    assert.deepEqual(counts, { blocked: 0, review: 0, failed: 1, total: 0 });
    assert.deepEqual(
      items.map(({ id, kind, title, run: of, step, task: failedTask, message }) => [id, kind, title, of, step, failedTask, message]),
      [[run, "failed run", "nightly", run, "a", task?.["id"], "step a: it ended with 1"]],
    );
    await store.call(markInbox, { item: run, mark: "snoozed", until: store.services.clock.now() + 2_000 });

    assert.deepEqual(await shown(store, player.project), []);
    await store.moveClock(2_000);
    assert.deepEqual(await shown(store, player.project), [`failed failed run ${run}`]);
    await store.call(markInbox, { item: run, mark: "done" });
    assert.deepEqual(await shown(store, player.project), []);
  });

  rule(
    "tasks that wait for a sign-in are one item of their project that says how, and work that needs you without a question is one each",
    async (store) => {
      const player = await Player.start(store);
      const [first, second, stuck] = [await player.queue(), await player.queue(), await player.running()];
      const detection = JSON.stringify({ state: "signed out", version: "1", path: "/x", message: null, fix: "claude login" });
      await store.write({
        statements: [
          statement(
            sql`update agents set state = 'needs you', reason = 'signed out', detection = ${detection} where name = ${player.agent}`,
          ),
          statement(sql`update tasks set state = 'queued', reason = 'signed out' where id in (${first}, ${second})`, 2),
          statement(sql`update tasks set state = 'needs you', reason = 'quota' where id = ${stuck}`),
        ],
        events: [],
      });
      const { items, counts } = await inbox(store, { project: player.project });
      assert.equal(counts.blocked, 2);
      const signIn = items.find(({ kind }) => kind === "sign-in");
      assert.deepEqual([signIn?.id, signIn?.waiting, signIn?.title], [first, 2, "2 tasks wait for a sign-in"]);
      assert.match(signIn?.message ?? "", /claude login/);
      assert.ok(items.some(({ kind, id, reason }) => kind === "quota" && id === stuck && reason === "quota"));
      await store.call(markInbox, { item: first, mark: "done" });
      assert.equal((await inbox(store, { project: player.project })).counts.blocked, 1);
      await store.write({
        statements: [statement(sql`update agents set state = 'queued', reason = 'idle' where name = ${player.agent}`)],
        events: [],
      });
    },
  );

  rule("a mark is not older than what it marks, whatever the clocks of several servers say", async (store) => {
    const player = await Player.start(store);
    const bad = await player.queue();
    await player.end(bad, failed());
    const ahead = store.services.clock.now() + 3_600_000;
    await store.write({ statements: [statement(sql`update tasks set updated_at = ${ahead} where id = ${bad}`)], events: [] });
    await store.call(markInbox, { item: bad, mark: "done" });
    assert.deepEqual(await shown(store, player.project), []);
    await store.call(markInbox, { item: bad, mark: "open" });
    await store.call(markInbox, { item: bad, mark: "snoozed" });
    assert.deepEqual(await shown(store, player.project), []);
    const good = await player.queue();
    await player.change(good);
    await store.write({ statements: [statement(sql`update tasks set updated_at = ${ahead} where id = ${good}`)], events: [] });
    await store.call(mergeTask, { id: good });
    assert.deepEqual(await shown(store, player.project), []);
  });

  rule("only a person marks, only what is in the inbox, and only with a time that makes sense; a refusal writes nothing", async (store) => {
    const player = await Player.start(store);
    const [bad, plain] = [await player.queue(), await player.queue()];
    await player.end(bad, failed());
    await player.end(plain, done());
    const actor: Actor = { kind: "agent", token: "token-of-the-agent", name: player.agent, session: "S-1", scopes: null };
    await assert.rejects(store.call(markInbox, { item: bad, mark: "done" }, { actor }), { code: "forbidden" });
    await assert.rejects(read(store, listInboxQuery, {}, { actor }), { code: "forbidden" });
    for (const item of [plain, "T-none", "A-none", "R-none"]) {
      await assert.rejects(store.call(markInbox, { item, mark: "done" }), { code: "not_found" }, item);
    }
    const now = store.services.clock.now();
    for (const until of [now, now - 1, now + 400 * 24 * 3_600_000]) {
      await assert.rejects(store.call(markInbox, { item: bad, mark: "snoozed", until }), { code: "invalid_input" });
    }
    await assert.rejects(store.call(markInbox, { item: bad, mark: "done", until: now + 3_600_000 }), { code: "invalid_input" });
    assert.deepEqual(await store.rows(sql`select item from inbox_marks where item in (${bad}, ${plain})`), []);
    assert.deepEqual(await shown(store, player.project), [`failed failed task ${bad}`]);
  });
});

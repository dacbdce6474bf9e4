import assert from "node:assert/strict";
import { about, done, ended, failed, onBothStores, started, stateOf, waitsForLock, type TestStore } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { keepRunnerLease, runnerLeaseMs } from "../runners/lease.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { readOn, readingFrom } from "../sessions/transcript.ts";

/** A task that a runner has just been given. */
async function given(
  store: TestStore,
): Promise<{ runner: Awaited<ReturnType<TestStore["runner"]>>; assignment: Assignment; project: string }> {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  await store.call(createTask, { project, prompt: "go", agent });
  const [assignment] = await store.assign(project, runner);
  assert.ok(assignment);
  return { runner, assignment, project };
}

onBothStores((rule, kind) => {
  rule("an outcome is taken once, and the task ends with it", async (store) => {
    const { runner, assignment } = await given(store);
    assert.equal(await store.tell(started(assignment, runner)), true);
    assert.equal(await store.tell(ended(assignment, runner, done({ output: "first" }))), true);
    const after = await stateOf(store, assignment.task);
    assert.equal((await store.task(assignment.task)).state, "done");
    assert.equal(await store.tell(ended(assignment, runner, done({ output: "second" }))), false);
    assert.deepEqual(await stateOf(store, assignment.task), after);
  });

  rule("a NUL in what an agent says holds nothing up: it becomes the letter for what cannot be shown", async (store) => {
    const { runner, assignment } = await given(store);
    assert.equal(await store.tell(ended(assignment, runner, { ...failed(), message: "a\0b" } as AttemptOutcome)), true);
    const [row] = await store.rows(sql`select message from task_details where task = ${assignment.task}`);
    assert.equal(row?.["message"], "a\ufffdb");
  });

  rule("of two outcomes that come at the same moment one is taken", async (store) => {
    const { runner, assignment } = await given(store);
    const answers = await Promise.all(
      [done(), failed(), done(), failed()].map((outcome) => store.tell(ended(assignment, runner, outcome))),
    );
    assert.equal(answers.filter(Boolean).length, 1);
    const settled = await store.rows(sql`select seq from events where task = ${assignment.task} and type = 'task.settled'`);
    assert.equal(settled.length, 1);
  });

  rule("an outcome with a stale attempt number is refused and changes nothing", async (store) => {
    const { runner, assignment, project } = await given(store);
    await store.tell(ended(assignment, runner, { kind: "interrupted" }));
    const [next] = await store.assign(project, runner);
    assert.equal(next?.attempt, 2);
    const before = await stateOf(store, assignment.task);
    assert.equal(await store.tell(ended(assignment, runner, done())), false);
    assert.equal(await store.tell(ended({ ...assignment, attempt: 3 }, runner, done())), false);
    assert.deepEqual(await stateOf(store, assignment.task), before);
    assert.equal(await store.tell(ended(next, runner, done())), true);
  });

  rule("every message of a stale runner epoch is refused and changes nothing", async (store) => {
    const { runner, assignment } = await given(store);
    const again = await keepRunnerLease(store.db, runner.runner, "the-same-home-again");
    const before = await stateOf(store, assignment.task);
    for (const message of allMessages(assignment, runner)) assert.equal(await store.tell(message), false, message.kind);
    assert.deepEqual(await stateOf(store, assignment.task), before);
    assert.deepEqual(await store.rows(sql`select * from turns where session = ${assignment.session}`), []);
    // Nor can the new life of the runner speak for an attempt that it was not given.
    assert.equal(again.epoch, runner.epoch + 1);
    assert.equal(await store.tell(ended(assignment, again, done())), false);
    assert.deepEqual(await stateOf(store, assignment.task), before);
    await again.stop();
  });

  rule("every message after the runner's lease lapsed is refused and changes nothing", async (store) => {
    const { runner, assignment } = await given(store);
    await store.moveClock(runnerLeaseMs + 1_000);
    const before = await stateOf(store, assignment.task);
    for (const message of allMessages(assignment, runner)) assert.equal(await store.tell(message), false, message.kind);
    assert.deepEqual(await stateOf(store, assignment.task), before);
  });

  if (kind === "postgres") {
    rule("an outcome waits for a takeover of its runner that is under way, and is refused after it", async (store) => {
      const { runner, assignment } = await given(store);
      const before = await stateOf(store, assignment.task);
      await store.outside(async (client) => {
        await client.query("begin");
        await client.query("update runners set epoch = epoch + 1 where id = $1", [runner.runner]);
        const answer = store.tell(ended(assignment, runner, done()));
        await waitsForLock(client, answer);
        await client.query("commit");
        assert.equal(await answer, false);
      });
      assert.deepEqual(await stateOf(store, assignment.task), before);
    });
  }

  rule("a transcript's parts are read in their order, and the turn's end seals them whole into one artifact", async (store) => {
    const { runner, assignment } = await given(store);
    const { session } = assignment;
    await store.tell(started(assignment, runner));
    await store.tell({ kind: "turn-started", ...about(assignment, runner), turn: 1, prompt: "go" });
    const text = (part: number, index: number): string => `part ${part} entry ${index}\nwith a second line`;
    for (const part of Array.from({ length: 12 }, (_, index) => index + 1)) {
      const entries = [0, 1].map((index) => ({ turn: 1, at: part, kind: "text" as const, text: text(part, index) }));
      assert.equal(await store.tell({ kind: "transcript", ...about(assignment, runner), turn: 1, part, entries }), true);
    }
    const wanted = Array.from({ length: 24 }, (_, index) => text(Math.floor(index / 2) + 1, index % 2));
    const read = () =>
      Array.fromAsync(
        readOn({ read: store.db.read, artifacts: store.services.artifacts, session }, readingFrom({ turn: 0, index: 0 })),
        (entry) => entry.text,
      );
    assert.deepEqual(await read(), wanted);
    const end = { kind: "turn-ended" as const, ...about(assignment, runner), turn: 1, usage: null, commit: null };
    assert.equal(await store.tell({ ...end, outcome: { kind: "done", output: "ok" } }), true);
    assert.deepEqual(await store.rows(sql`select part from transcript_segments where session = ${session}`), []);
    const [turn] = await store.rows(sql`select transcript, state from turns where session = ${session}`);
    assert.equal(turn?.["state"], "done");
    const lines = (await store.services.artifacts.text(String(turn?.["transcript"]))).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { text: string }).text),
      wanted,
    );
    assert.deepEqual(await read(), wanted);
  });

  rule("a part that comes again is not stored twice", async (store) => {
    const { runner, assignment } = await given(store);
    await store.tell({ kind: "turn-started", ...about(assignment, runner), turn: 1, prompt: "go" });
    const part = { kind: "transcript" as const, ...about(assignment, runner), turn: 1, part: 1 };
    const entries = [{ turn: 1, at: 1, kind: "text" as const, text: "once" }];
    assert.equal(await store.tell({ ...part, entries }), true);
    await assert.rejects(store.tell({ ...part, entries }));
    assert.equal((await store.rows(sql`select part from transcript_segments where session = ${assignment.session}`)).length, 1);
  });
});

/** One message of each kind that writes. */
function allMessages(assignment: Assignment, runner: { runner: string; epoch: number }): FromRunner[] {
  const fence = about(assignment, runner);
  return [
    { kind: "started", ...fence, base: "b", notIncluded: [] },
    { kind: "vendor-session", ...fence, vendorSession: "v" },
    { kind: "turn-started", ...fence, turn: 1, prompt: "go" },
    { kind: "transcript", ...fence, turn: 1, part: 1, entries: [{ turn: 1, at: 1, kind: "text", text: "late" }] },
    { kind: "permission", ...fence, permission: "p", tool: "write", action: {}, options: [] },
    { kind: "turn-ended", ...fence, turn: 1, outcome: { kind: "done", output: "late" }, usage: null, commit: null },
    { kind: "outcome", ...fence, outcome: done() },
  ];
}

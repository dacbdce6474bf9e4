import assert from "node:assert/strict";
import { done, ended, failed, onBothStores, person, type TestStore } from "../../test/support/stores.ts";
import { ask } from "../registry.ts";
import { createTask } from "../tasks/commands.ts";
import { listDeadLetters, replayDeadLetters } from "./commands.ts";
import { DeadLetter } from "./dead-letter.ts";

const list = async (store: TestStore, input: object): Promise<DeadLetter[]> => {
  const answer = (await ask(listDeadLetters, { actor: person, services: store.services }, input)) as { items: unknown[] };
  return answer.items.map((item) => DeadLetter.parse(item));
};

/** A task of this project that fails each time that it is tried. */
async function poisoned(store: TestStore, project: string, agent: string, attempts: number): Promise<string> {
  const { id } = await store.call(createTask, { project, prompt: "go", agent, retry: { attempts } });
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    // The clock is moved further than any lease holds.
    const runner = await store.runner();
    const [given] = await store.assign(project, runner);
    assert.deepEqual([given?.task, given?.attempt], [id, attempt]);
    if (given) await store.tell(ended(given, runner, failed(true)));
    await store.moveClock(400_000);
  }
  return id;
}

onBothStores((rule) => {
  rule("a task that used up its tries is a dead letter with every attempt, and others go on", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const id = await poisoned(store, project, agent, 4);
    const [letter, ...more] = await list(store, { project });
    assert.deepEqual([letter?.task, letter?.failures, letter?.crashes, more], [id, 4, 0, []]);
    assert.deepEqual(
      letter?.attempts.map(({ attempt, state }) => [attempt, state]),
      [1, 2, 3, 4].map((attempt) => [attempt, "failed"]),
    );
    const runner = await store.runner();
    const other = await store.call(createTask, { project, prompt: "well", agent });
    const [given] = await store.assign(project, runner);
    assert.equal(given?.task, other.id);
    if (given) await store.tell(ended(given, runner, done()));
    assert.equal((await store.task(other.id)).state, "done");
  });

  rule("a replay gives it all its tries again, in its session, once however often it is asked for", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const id = await poisoned(store, project, agent, 2);
    const before = await store.task(id);
    const first = await store.call(replayDeadLetters, { project });
    assert.deepEqual(first, { replayed: [id], left: false });
    assert.deepEqual(await store.call(replayDeadLetters, { ids: [id] }), { replayed: [], left: false });
    assert.deepEqual(await list(store, { project }), []);
    for (const attempt of [3, 4]) {
      const runner = await store.runner();
      const [given] = await store.assign(project, runner);
      assert.deepEqual([given?.task, given?.attempt, given?.session], [id, attempt, before.session]);
      if (given) await store.tell(ended(given, runner, failed(true)));
      await store.moveClock(400_000);
    }
    assert.equal((await list(store, { project }))[0]?.attempts.length, 4);
  });

  rule("dead letters are found by what they failed for", async (store) => {
    const [project, agent] = [await store.project(), await store.agent()];
    const id = await poisoned(store, project, agent, 1);
    assert.deepEqual(
      (await list(store, { project, reason: "command failed" })).map(({ task }) => task),
      [id],
    );
    assert.deepEqual(await list(store, { project, reason: "crash loop" }), []);
    assert.deepEqual(await store.call(replayDeadLetters, { project, reason: "crash loop" }), { replayed: [], left: false });
  });
});

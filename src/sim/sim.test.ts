import assert from "node:assert/strict";
import { test } from "node:test";
import { sql, statement, type Plan } from "../db/plan.ts";
import { findTask, insertTask } from "../tasks/store.ts";
import { takeLease, orchestratorFence } from "../orchestrators/store.ts";
import { planted } from "./planted.ts";
import { simulate } from "./simulate.ts";
import { makeEngine, makeStore, readerOf } from "./store.ts";

const plan = (statements: Plan["statements"], events: Plan["events"] = []): Plan => ({ statements, events });
const openStore = () => {
  const store = makeStore(makeEngine());
  return { store, read: readerOf((query) => store.all(query, 1_000)) };
};
const task = (id: string): Plan =>
  insertTask({
    id,
    project: "p",
    spec: { kind: "agent", prompt: "work", agent: {}, includeDirty: false, env: {}, base: null },
    run: null,
    step: null,
    needs: [],
    needsLeft: 0,
    now: 1_000,
  });

test("a plan is written whole, or not at all: what was written before the statement in conflict is gone", async () => {
  const { store, read } = openStore();
  const stale = statement(sql`update tasks set attempt = 5 where id = 'T-9'`);
  const both = task("T-1");
  const answer = store.commit(plan([...both.statements, stale], both.events), 1_000);
  assert.deepEqual(answer, { kind: "conflict", statement: both.statements.length });
  assert.equal(await findTask(read, "T-1"), null);
  assert.equal(store.events.length, 0);
  assert.equal(store.commit(both, 1_000).kind, "committed");
  assert.equal((await findTask(read, "T-1"))?.state, "queued");
});

test("a key that is taken is a conflict at its statement, and events are numbered without gaps", () => {
  const { store } = openStore();
  assert.equal(store.commit(task("T-1"), 1_000).kind, "committed");
  assert.deepEqual(store.commit(task("T-1"), 1_000), { kind: "conflict", statement: 0 });
  assert.equal(store.commit(task("T-2"), 1_000).kind, "committed");
  assert.deepEqual(
    store.events.map(({ seq }) => seq),
    [1, 2],
  );
});

test("a lease holds by the store's clock", () => {
  const { store } = openStore();
  assert.equal(store.commit(takeLease("p", "one"), 1_000).kind, "committed");
  const fenced = plan([orchestratorFence({ project: "p", epoch: 1 })]);
  assert.equal(store.commit(fenced, 15_999).kind, "committed");
  assert.equal(store.commit(fenced, 16_000).kind, "conflict");
});

test("what is read is a copy: whoever changes it changes nothing", async () => {
  const { store, read } = openStore();
  store.commit(task("T-1"), 1_000);
  const row = await findTask(read, "T-1");
  assert.ok(row);
  row.state = "done";
  assert.equal((await findTask(read, "T-1"))?.state, "queued");
});

test("SQL that the simulator does not know is refused with its text", () => {
  const { store } = openStore();
  assert.throws(() => store.all(sql`select pg_sleep(1) from tasks`, 1_000), /function pg_sleep.*select pg_sleep\(1\) from tasks/s);
  assert.throws(() => store.all(sql`select id from tasks order by id offset 3`, 1_000), /does not know this SQL near "offset"/);
  assert.throws(() => store.all(sql`select nothing from tasks`, 1_000), /no column nothing/);
});

test("the same seed takes the same course", { timeout: 60_000 }, async () => {
  for (const seed of [3, 4, 5]) {
    const courses: string[][] = [[], []];
    for (const course of courses) await simulate(seed, { engine: makeEngine(), trace: (line) => void course.push(line) });
    assert.ok((courses[0]?.length ?? 0) > 100);
    assert.deepEqual(courses[0], courses[1]);
  }
});

test("nothing is broken in the first seeds, and faults bite in them", { timeout: 120_000 }, async () => {
  const engine = makeEngine();
  let [steps, bites] = [0, 0];
  for (let seed = 1; seed <= 300; seed += 1) {
    const outcome = await simulate(seed, { engine });
    assert.equal(outcome.violation, null, `seed ${seed}`);
    steps += outcome.steps;
    bites += outcome.bites;
  }
  assert.ok(steps / 300 >= 300, `${steps / 300} steps in a seed`);
  assert.ok(bites / 300 >= 3, `${bites / 300} faults bit in a seed`);
});

/** Those that few seeds find; all of them are tried by `npm run sim`. */
const quick = [
  "no reaper",
  "running need is enough",
  "need's end is lost",
  "event numbers outside of the transaction",
  "no idempotency key",
  "takeover too soon",
];

for (const name of quick) {
  test(`a planted bug is found: ${name}`, { timeout: 60_000 }, async () => {
    const bug = planted.find((one) => one.name === name);
    assert.ok(bug);
    let isChanged = false;
    const engine = makeEngine(bug.make(() => (isChanged = true)));
    for (let seed = 1; seed <= 100; seed += 1) {
      if ((await simulate(seed, { engine, planted: bug })).violation) return assert.ok(isChanged);
    }
    assert.fail("100 seeds did not find it");
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { onBothStores, person, type TestStore } from "../test/support/stores.ts";
import { createToken } from "./access/commands.ts";
import { sql, statement } from "./db/plan.ts";
import { AppError } from "./errors.ts";
import { ask, command, execute, follow, makeRegistry, openBlob, query, stream, blob, type Actor, type Command } from "./registry.ts";
import { createTask, getTaskQuery } from "./tasks/commands.ts";

const agentOf = (session: string | null): Actor => ({ kind: "agent", token: `token-of-${session}`, name: "demo", session, scopes: null });

/** A command that writes a row, and counts how often it decided. */
function noteCommand(store: TestStore, more: Partial<Pick<Command, "secret">> = {}) {
  const decided = { times: 0 };
  const entry = command({
    name: "note.write",
    help: "for this test",
    input: z.strictObject({ text: z.string(), size: z.object({ width: z.int().min(1) }).optional() }),
    output: z.object({ id: z.string() }),
    access: "person",
    ...more,
    async decide({ text }) {
      decided.times += 1;
      const id = store.fresh("note");
      const insert = sql`insert into counters (name, next) values (${`${text} ${id}`}, 1)`;
      return { plan: { statements: [statement(insert)], events: [] }, result: { id } };
    },
  });
  return { entry, decided };
}

const written = async (store: TestStore, text: string): Promise<number> =>
  (await store.rows(sql`select name from counters where name like ${`${text} %`}`)).length;
const audited = (store: TestStore, name: string) =>
  store.rows(sql`select actor, actor_kind, command, input_hash from audit where command = ${name} order by at, id`);

onBothStores((rule) => {
  rule("the same key with the same body gets the first answer, and one row is written", async (store) => {
    const [{ entry, decided }, text, key] = [noteCommand(store), store.fresh("text"), store.fresh("key")];
    const first = await store.call(entry, { text }, { key });
    assert.deepEqual(await store.call(entry, { text }, { key }), first);
    assert.deepEqual([await written(store, text), decided.times], [1, 1]);
    // Without a key every request is one of its own.
    assert.notDeepEqual(await store.call(entry, { text }), first);
    assert.equal(await written(store, text), 2);
  });

  rule("a frequent command asks only afterwards whether its key was used, and answers the same", async (store) => {
    const [{ entry }, text, key] = [noteCommand(store), store.fresh("text"), store.fresh("key")];
    const frequent = { ...entry, isFrequent: true };
    const first = await store.call(frequent, { text }, { key });
    assert.deepEqual(await store.call(frequent, { text }, { key }), first);
    assert.equal(await written(store, text), 1);
    await assert.rejects(store.call(frequent, { text: `${text} other` }, { key }), { code: "idempotency_mismatch" });
    // What speaks against a repeat now did not when it was done: its answer stands.
    const late = { ...frequent, decide: () => Promise.reject(new Error("too late")) };
    assert.deepEqual(await store.call(late, { text }, { key }), first);
    await assert.rejects(store.call(late, { text }, { key: store.fresh("key") }), /too late/);
  });

  rule("requests with one key that come at the same moment write one row and get one answer", async (store) => {
    const [{ entry }, text, key] = [noteCommand(store), store.fresh("text"), store.fresh("key")];
    const answers = await Promise.all(Array.from({ length: 5 }, () => store.call(entry, { text }, { key })));
    assert.deepEqual(new Set(answers.map(({ id }) => id)).size, 1);
    assert.equal(await written(store, text), 1);
  });

  rule("the same key with another body is refused, and another person's key is another key", async (store) => {
    const [{ entry }, text, key] = [noteCommand(store), store.fresh("text"), store.fresh("key")];
    const first = await store.call(entry, { text }, { key });
    await assert.rejects(store.call(entry, { text: `${text} other` }, { key }), { code: "idempotency_mismatch" });
    assert.equal(await written(store, text), 1);
    const other = await store.call(entry, { text }, { key, actor: { ...person, token: "token-of-bob" } });
    assert.notDeepEqual(other, first);
  });

  rule("the answer of a command that gives a secret is not kept, and a repeat is refused instead of done twice", async (store) => {
    const key = store.fresh("key");
    const answer = JSON.stringify(await store.call(createToken, { name: "ci" }, { key }));
    const token = /tutti_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/.exec(answer)?.[0];
    assert.ok(token);
    assert.deepEqual(await store.rows(sql`select response from idempotency where key = ${key}`), [{ response: null }]);
    const count = async () => (await store.rows(sql`select id from tokens where name = 'ci'`)).length;
    const before = await count();
    await assert.rejects(store.call(createToken, { name: "ci" }, { key }), { code: "conflict" });
    assert.equal(await count(), before);
    for (const table of [sql`audit`, sql`idempotency`, sql`tokens`, sql`events`])
      assert.ok(!JSON.stringify(await store.rows(sql`select * from ${table}`)).includes(token), "the token's text stands in the store");
  });

  rule("each command that is done has its audit row, in the same commit; one that is refused has none", async (store) => {
    const { entry } = noteCommand(store);
    const before = (await audited(store, entry.name)).length;
    await store.call(entry, { text: "a" });
    await assert.rejects(store.call(entry, { text: "a" }, { actor: agentOf("S-9") }), { code: "forbidden" });
    await assert.rejects(store.call(entry, { text: 1 as unknown as string }), { code: "invalid_input" });
    const rows = await audited(store, entry.name);
    assert.equal(rows.length, before + 1);
    const failing = command({
      ...entry,
      name: "note.conflict",
      async decide() {
        const never = statement(sql`update counters set next = 2 where name = 'there is no such counter'`);
        return { plan: { statements: [never], events: [] }, result: { id: "none" } };
      },
    });
    await assert.rejects(store.call(failing, { text: "a" }), { code: "busy" });
    assert.deepEqual(await audited(store, "note.conflict"), []);
    // A command that has nothing to write is audited as well.
    const idle = command({ ...entry, name: "note.idle", decide: async () => ({ plan: null, result: { id: "none" } }) });
    await store.call(idle, { text: "a" });
    const [row] = await audited(store, "note.idle");
    assert.deepEqual([row?.["actor"], row?.["actor_kind"]], [person.token, "person"]);
    assert.match(String(row?.["input_hash"]), /^[0-9a-f]{64}$/);
  });

  rule("an error in the input names the field, and nothing is decided", async (store) => {
    const { entry, decided } = noteCommand(store);
    const raw = { text: 3, size: { width: 0 }, odd: true };
    const error = await execute(makeRegistry([entry]), { actor: person, services: store.services }, entry.name, raw, null).catch(
      (caught) => caught,
    );
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "invalid_input");
    for (const field of ["text: ", "size.width: ", "odd"]) assert.ok(error.why?.includes(field), `${field} in ${error.why}`);
    assert.equal(decided.times, 0);
  });

  rule("an agent is refused before its input is looked at, so that it learns nothing from it", async (store) => {
    const { entry, decided } = noteCommand(store);
    const caller = { actor: agentOf("S-1"), services: store.services };
    for (const raw of [{}, { text: 3 }, { text: "well formed" }])
      await assert.rejects(execute(makeRegistry([entry]), caller, entry.name, raw, null), { code: "forbidden" });
    assert.equal(decided.times, 0);
    const common = { help: "for this test", input: z.strictObject({ id: z.string() }), access: "person" as const, path: "/x" };
    let looked = 0;
    const look = () => void (looked += 1);
    const asking = query({ ...common, name: "x.get", output: z.string(), run: async () => (look(), "x") });
    const following = stream({
      ...common,
      name: "x.follow",
      item: z.string(),
      async *run() {
        look();
        yield { event: "x", data: "x" };
      },
    });
    const body = { type: "text/plain", size: 0, etag: "x", open: async function* () {} };
    const opening = blob({ ...common, name: "x.bytes", run: async () => (look(), body) });
    for (const raw of [{ odd: true }, { id: "1" }]) {
      await assert.rejects(ask(asking, caller, raw), { code: "forbidden" });
      await assert.rejects(follow(following, caller, raw, null, AbortSignal.timeout(1_000)), { code: "forbidden" });
      await assert.rejects(openBlob(opening, caller, raw), { code: "forbidden" });
    }
    assert.equal(looked, 0);
  });

  rule("an agent reaches what belongs to its own session, and cannot tell another's from nothing", async (store) => {
    const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
    const [own, other] = [
      await store.call(createTask, { project, prompt: "a", agent }),
      await store.call(createTask, { project, prompt: "b", agent }),
    ];
    const [given] = (await store.assign(project, runner)).filter(({ task }) => task === own.id);
    assert.ok(given);
    const get = (actor: Actor, id: string) => ask(getTaskQuery, { actor, services: store.services }, { id });
    const mine = agentOf(given.session);
    assert.equal(((await get(mine, own.id)) as { id: string }).id, own.id);
    const refusals = await Promise.all(
      [other.id, "T-none"].map((id) => get(mine, id).catch((error: unknown) => (error as AppError).toJSON())),
    );
    assert.deepEqual(refusals[0], refusals[1]);
    assert.equal((refusals[0] as { code: string }).code, "forbidden");
    // A token without a session reaches nothing, also where a task has none yet.
    await assert.rejects(get(agentOf(null), own.id), { code: "forbidden" });
    await assert.rejects(get(agentOf(null), "T-none"), { code: "forbidden" });
    assert.equal(((await get(person, other.id)) as { id: string }).id, other.id);
    await assert.rejects(get(person, "T-none"), { code: "not_found" });
  });
});

test("two entries of one name are refused", () => {
  const entry = { name: "note.write" };
  assert.throws(() => makeRegistry([entry, entry]), /two registry entries are called note.write/);
});

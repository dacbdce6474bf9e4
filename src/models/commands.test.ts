import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { openDb } from "../db/open.ts";
import { sql, type Db } from "../db/plan.ts";
import type { AppError } from "../errors.ts";
import { ask, execute, makeRegistry, type Actor, type Query } from "../registry.ts";
import type { Services } from "../services.ts";
import { listProvidersQuery, removeProvider, setProvider } from "./commands.ts";
import { findProvider, listProviderNames } from "./store.ts";

const key = "sk-very-secret-0123456789";
const person: Actor = { kind: "person", token: "K-1", name: "ann", session: null };
const agent: Actor = { kind: "agent", token: "K-2", name: "goose", session: "S-1" };
const registry = makeRegistry([setProvider, removeProvider, listProvidersQuery]);

async function bench(t: TestContext) {
  const home = await mkdtemp(join(tmpdir(), "tutti-providers-"));
  const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
  t.after(async () => {
    await db.close();
    await rm(home, { recursive: true, force: true });
  });
  // The entries of this folder use nothing else of the services.
  const services = { db, home, clock: { now: () => 1_000 } } as unknown as Services;
  const run = (name: string, input: unknown, actor = person): Promise<unknown> => execute(registry, { actor, services }, name, input, null);
  const list = (input: unknown = {}, actor = person) => ask(registry.byName("provider.list") as Query, { actor, services }, input);
  return { home, db, run, list };
}

const local = { name: "local", baseUrl: "http://127.0.0.1:11434/v1/", model: "qwen3" };

/** Everything that the store holds, as text. */
async function everythingIn(db: Db): Promise<string> {
  const tables = await db.read.all<{ name: string }>(sql`select name from sqlite_master where type = 'table'`);
  const rows = await Promise.all(tables.map(({ name }) => db.read.all<object>({ pieces: [`select * from ${name}`] })));
  return JSON.stringify(rows);
}

test("a provider's key lies in a file for the server alone, and in no row, event or answer", async (t) => {
  const { home, db, run, list } = await bench(t);
  const answer = await run("provider.set", { ...local, key });
  assert.deepEqual(answer, { name: "local", baseUrl: "http://127.0.0.1:11434/v1", model: "qwen3", keyName: "local" });
  assert.equal((await stat(join(home, "keys", "local"))).mode & 0o777, 0o600);
  assert.equal((await stat(join(home, "keys"))).mode & 0o777, 0o700);
  assert.deepEqual(await findProvider(db.read, home, "local"), { baseUrl: "http://127.0.0.1:11434/v1", model: "qwen3", key });
  const seen = JSON.stringify([answer, await list()]) + (await everythingIn(db));
  assert.match(seen, /provider\.updated/);
  assert.equal(seen.includes(key), false);
});

test("a change without a key keeps it for the same server, and gives it to no other one", async (t) => {
  const { home, db, run } = await bench(t);
  await run("provider.set", { ...local, key });
  await run("provider.set", { ...local, model: "other" });
  assert.deepEqual(await findProvider(db.read, home, "local"), { baseUrl: "http://127.0.0.1:11434/v1", model: "other", key });
  await assert.rejects(run("provider.set", { ...local, baseUrl: "https://elsewhere.example/v1" }), { code: "invalid_input" });
  assert.equal((await findProvider(db.read, home, "local"))?.baseUrl, "http://127.0.0.1:11434/v1");
  await run("provider.set", { ...local, baseUrl: "https://elsewhere.example/v1", key: null });
  assert.equal((await findProvider(db.read, home, "local"))?.key, null);
  assert.deepEqual(await readdir(join(home, "keys")), []);
});

test("removing a provider removes its key", async (t) => {
  const { home, db, run } = await bench(t);
  await run("provider.set", { ...local, key });
  await run("provider.remove", { name: "local" });
  assert.deepEqual(await readdir(join(home, "keys")), []);
  assert.deepEqual(await listProviderNames(db.read), []);
  await assert.rejects(run("provider.remove", { name: "local" }), { code: "not_found" });
});

test("what cannot be a provider is refused by the field, and leaves nothing", async (t) => {
  const { home, db, run } = await bench(t);
  const wrong: [object, RegExp][] = [
    [{ baseUrl: "file:///etc/passwd" }, /baseUrl: must be an http/],
    [{ baseUrl: "no address" }, /baseUrl/],
    [{ baseUrl: `https://ann:${key}@api.example/v1` }, /baseUrl: must not carry a name/],
    [{ baseUrl: "https://api.example/v1?key=1" }, /baseUrl: must not carry a query/],
    [{ name: "demo" }, /name: "demo" is the built-in/],
    [{ name: "../../x" }, /name/],
    [{ model: " " }, /model/],
    [{ key: "two\nlines" }, /key/],
  ];
  for (const [changed, message] of wrong) {
    await assert.rejects(run("provider.set", { ...local, key, ...changed }), (error: AppError) => {
      assert.equal(error.code, "invalid_input");
      assert.match(error.message, message);
      assert.equal(JSON.stringify(error).includes(key), false);
      return true;
    });
  }
  assert.deepEqual(await listProviderNames(db.read), []);
  await assert.rejects(readFile(join(home, "keys", "local")), { code: "ENOENT" });
});

test("agents reach no entry of this folder", async (t) => {
  const { run, list } = await bench(t);
  await assert.rejects(run("provider.set", local, agent), { code: "forbidden" });
  await assert.rejects(run("provider.remove", { name: "local" }, agent), { code: "forbidden" });
  await assert.rejects(list({}, agent), { code: "forbidden" });
});

test("the list comes in pages, in the order of the names", async (t) => {
  const { run, list } = await bench(t);
  for (const name of ["c", "a", "b"]) await run("provider.set", { ...local, name });
  const first = (await list({ limit: 2 })) as { items: { name: string }[]; next: string };
  const second = (await list({ limit: 2, cursor: first.next })) as { items: { name: string }[]; next: string | null };
  assert.deepEqual(
    [...first.items, ...second.items].map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.equal(second.next, null);
});

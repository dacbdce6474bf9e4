import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { openDb } from "../db/open.ts";
import { startModelServer } from "../../test/support/model-server/server.ts";
import { until } from "../../test/support/tutti.ts";
import { sql, type Db } from "../db/plan.ts";
import type { AppError } from "../errors.ts";
import { ask, execute, makeRegistry, type Actor, type Query } from "../registry.ts";
import type { Services } from "../services.ts";
import { discoverProviders, listProvidersQuery, removeProvider, setProvider, testProviderQuery } from "./commands.ts";
import { environmentProviders, findTarget, targetsOf, type EnvironmentProvider } from "./find.ts";
import { listProviders } from "./store.ts";

const key = "sk-very-secret-0123456789";
const person: Actor = { kind: "person", token: "K-1", name: "ann", session: null, scopes: null };
const agent: Actor = { kind: "agent", token: "K-2", name: "goose", session: "S-1", scopes: null };
const registry = makeRegistry([setProvider, removeProvider, listProvidersQuery, testProviderQuery, discoverProviders]);

async function bench(t: TestContext, environment?: EnvironmentProvider[]) {
  const home = await mkdtemp(join(tmpdir(), "tutti-providers-"));
  const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
  t.after(async () => {
    await db.close();
    await rm(home, { recursive: true, force: true });
  });
  // The entries of this folder use nothing else of the services.
  const services = { db, home, clock: { now: () => 1_000 }, environmentProviders: environment } as unknown as Services;
  const query = (name: string, input: unknown, actor = person) => ask(registry.byName(name) as Query, { actor, services }, input);
  const run = (name: string, input: unknown, actor = person): Promise<unknown> => execute(registry, { actor, services }, name, input, null);
  const list = (input: unknown = {}, actor = person) => query("provider.list", input, actor);
  const find = (name: string, model?: string) => findTarget({ read: db.read, home, environment }, name, model);
  return { home, db, run, list, query, find, sources: { read: db.read, home, environment } };
}

const local = { name: "local", baseUrl: "http://127.0.0.1:11434/v1/", model: "qwen3" };

/** Everything that the store holds, as text. */
async function everythingIn(db: Db): Promise<string> {
  const tables = await db.read.all<{ name: string }>(sql`select name from sqlite_master where type = 'table'`);
  const rows = await Promise.all(tables.map(({ name }) => db.read.all<object>({ pieces: [`select * from ${name}`] })));
  return JSON.stringify(rows);
}

test("a provider's key lies in a file for the server alone, and in no row, event or answer", async (t) => {
  const { home, db, run, list, find } = await bench(t);
  const answer = await run("provider.set", { ...local, key });
  const address = { protocol: "openai", api: "chat", baseUrl: "http://127.0.0.1:11434/v1" };
  assert.deepEqual(answer, { name: "local", ...address, model: "qwen3", keyName: "local", source: "store" });
  assert.equal((await stat(join(home, "keys", "local"))).mode & 0o777, 0o600);
  assert.equal((await stat(join(home, "keys"))).mode & 0o777, 0o700);
  assert.deepEqual(await find("local"), { provider: "local", ...address, model: "qwen3", key });
  const seen = JSON.stringify([answer, await list()]) + (await everythingIn(db));
  assert.match(seen, /provider\.updated/);
  assert.equal(seen.includes(key), false);
});

test("a change without a key keeps it for the same server, and gives it to no other one", async (t) => {
  const { home, run, find } = await bench(t);
  await run("provider.set", { ...local, key });
  await run("provider.set", { name: "local", model: "other" });
  const changed = await find("local");
  assert.deepEqual([changed?.baseUrl, changed?.model, changed?.key], ["http://127.0.0.1:11434/v1", "other", key]);
  await assert.rejects(run("provider.set", { ...local, baseUrl: "https://elsewhere.example/v1" }), { code: "invalid_input" });
  assert.equal((await find("local"))?.baseUrl, "http://127.0.0.1:11434/v1");
  await run("provider.set", { ...local, baseUrl: "https://elsewhere.example/v1", key: null });
  assert.equal((await find("local"))?.key, null);
  assert.deepEqual(await readdir(join(home, "keys")), []);
});

test("removing a provider removes its key", async (t) => {
  const { home, db, run } = await bench(t);
  await run("provider.set", { ...local, key });
  await run("provider.remove", { name: "local" });
  assert.deepEqual(await readdir(join(home, "keys")), []);
  assert.deepEqual(await listProviders(db.read), []);
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
  assert.deepEqual(await listProviders(db.read), []);
  await assert.rejects(readFile(join(home, "keys", "local")), { code: "ENOENT" });
});

test("agents reach no entry of this folder, and who may only look spends nothing", async (t) => {
  const { run, list, query } = await bench(t);
  await assert.rejects(run("provider.set", local, agent), { code: "forbidden" });
  await assert.rejects(run("provider.remove", { name: "local" }, agent), { code: "forbidden" });
  await assert.rejects(list({}, agent), { code: "forbidden" });
  await assert.rejects(query("provider.test", { name: "local" }, agent), { code: "forbidden" });
  await assert.rejects(query("provider.discover", {}, agent), { code: "forbidden" });
  const reader: Actor = { ...person, scopes: ["read"] };
  await assert.rejects(query("provider.test", { name: "local" }, reader), { code: "forbidden" }, "it spends");
  assert.deepEqual(await list({}, reader), { items: [], next: null });
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

test("a vendor needs no address: its name or its protocol says where it is", async (t) => {
  const { run, find } = await bench(t);
  const wanted: [{ name: string; protocol?: string; api?: string; baseUrl?: string }, object][] = [
    [{ name: "anthropic" }, { protocol: "anthropic", api: null, baseUrl: "https://api.anthropic.com" }],
    [{ name: "gemini" }, { protocol: "google", api: null, baseUrl: "https://generativelanguage.googleapis.com/v1beta" }],
    [{ name: "openai" }, { protocol: "openai", api: "responses", baseUrl: "https://api.openai.com/v1" }],
    [
      { name: "work", protocol: "anthropic" },
      { protocol: "anthropic", api: null, baseUrl: "https://api.anthropic.com" },
    ],
    [
      { name: "old", protocol: "openai", api: "chat" },
      { protocol: "openai", api: "chat", baseUrl: "https://api.openai.com/v1" },
    ],
    [
      { name: "proxy", baseUrl: "http://127.0.0.1:1" },
      { protocol: "openai", api: "chat", baseUrl: "http://127.0.0.1:1" },
    ],
  ];
  for (const [input, expected] of wanted) {
    const { protocol, api, baseUrl } = (await run("provider.set", { ...input, model: "m" })) as Record<string, unknown>;
    assert.deepEqual({ protocol, api, baseUrl }, expected, input.name);
    assert.equal((await find(input.name))?.protocol, protocol);
  }
});

test("what is not said stays, and another protocol brings its own address, to which the old key does not go", async (t) => {
  const { run, find } = await bench(t);
  await run("provider.set", { name: "work", protocol: "openai", api: "chat", model: "m", key });
  await run("provider.set", { name: "work", model: "n" });
  assert.deepEqual(await find("work"), {
    provider: "work",
    protocol: "openai",
    api: "chat",
    baseUrl: "https://api.openai.com/v1",
    model: "n",
    key,
  });
  await assert.rejects(run("provider.set", { name: "work", protocol: "anthropic", model: "n" }), /gets another server/);
  assert.equal((await find("work"))?.protocol, "openai");
  await run("provider.set", { name: "work", protocol: "anthropic", model: "n", key: null });
  assert.equal((await find("work"))?.baseUrl, "https://api.anthropic.com");
});

test("a provider of which nothing is known, and an api that its protocol has not, are refused", async (t) => {
  const { run, db } = await bench(t);
  for (const name of ["mine", "constructor"]) {
    await assert.rejects(run("provider.set", { name, model: "m" }), (error: AppError) => {
      assert.equal(error.code, "invalid_input");
      assert.match(error.fix[0] ?? "", new RegExp(`^tutti providers set ${name} --base-url <url> --model m$`));
      return true;
    });
  }
  await assert.rejects(run("provider.set", { name: "anthropic", api: "chat", model: "m" }), /api: only OpenAI's protocol/);
  assert.deepEqual(await listProviders(db.read), []);
});

const variables = {
  openai: null,
  anthropic: { baseUrl: null, key, model: "claude" },
  google: { baseUrl: "http://127.0.0.1:9", key: null, model: "g" },
};

test("providers of the environment are listed among the others without their keys, win over them, and are changed only there", async (t) => {
  const { run, list, find, db } = await bench(t, environmentProviders(variables));
  await run("provider.set", { ...local, name: "between" });
  const { items } = (await list()) as { items: Record<string, unknown>[] };
  assert.deepEqual(
    items.map(({ name, protocol, keyName, source }) => [name, protocol, keyName, source]),
    [
      ["anthropic", "anthropic", "environment", "environment"],
      ["between", "openai", null, "store"],
      ["google", "google", null, "environment"],
    ],
  );
  assert.equal(JSON.stringify(items).includes(key), false);
  assert.deepEqual(await find("anthropic"), {
    provider: "anthropic",
    protocol: "anthropic",
    api: null,
    baseUrl: "https://api.anthropic.com",
    model: "claude",
    key,
  });
  await assert.rejects(run("provider.set", { name: "anthropic", model: "m" }), { code: "conflict" });
  await assert.rejects(run("provider.remove", { name: "google" }), { code: "conflict" });
  assert.deepEqual(
    (await listProviders(db.read)).map(({ name }) => name),
    ["between"],
  );
  const first = (await list({ limit: 2 })) as { items: { name: string }[]; next: string };
  const rest = (await list({ limit: 2, cursor: first.next })) as { items: { name: string }[]; next: string | null };
  assert.deepEqual(
    [...first.items, ...rest.items].map(({ name }) => name),
    ["anthropic", "between", "google"],
  );
});

test("an address of the environment that is none ends the start, and is not repeated: it may hold a password", () => {
  const wrong = { ...variables, google: { baseUrl: `https://ann:${key}@h/`, key: null, model: "g" } };
  assert.throws(
    () => environmentProviders(wrong),
    (error: AppError) => {
      assert.equal(error.code, "invalid_input");
      assert.match(error.message, /google must not carry a name or password/);
      assert.equal(JSON.stringify(error).includes(key), false);
      return true;
    },
  );
});

test("an agent's models come in the order of its settings; what is not set up is left out, and without its own there is none", async (t) => {
  const { run, sources } = await bench(t, environmentProviders(variables));
  await run("provider.set", local);
  const names = async (settings: Parameters<typeof targetsOf>[1]) =>
    (await targetsOf(sources, settings)).map(({ provider, model }) => `${provider}/${model}`);
  const fallbacks = [{ provider: "gone" }, { provider: "anthropic", model: "small" }, { provider: "google" }];
  assert.deepEqual(await names({ provider: "local", model: "big", fallbacks }), ["local/big", "anthropic/small", "google/g"]);
  assert.deepEqual(await names({ provider: "gone", fallbacks }), []);
  assert.deepEqual(await names({ provider: "demo", fallbacks }), []);
  assert.deepEqual(await names({ fallbacks }), []);
});

test("a provider is tested by a real call through its entry; one that is not set up is named", async (t) => {
  const { run, query } = await bench(t);
  const server = await startModelServer([{ reply: "ok" }], { key });
  t.after(() => server.close());
  await run("provider.set", { name: "house", baseUrl: `${server.url}/v1`, model: "m", key });
  const tested = (await query("provider.test", { name: "house", model: "another" })) as { state: string; model: string };
  assert.deepEqual([tested.state, tested.model], ["ready", "another"]);
  assert.equal((server.requests[0]?.body as { model: string } | undefined)?.model, "another");
  await assert.rejects(query("provider.test", { name: "gone" }), { code: "not_found" });
});

test("discovery says which of what it found is set up already, and how to add the others, and adds nothing", async (t) => {
  const { run, query, list } = await bench(t);
  const [known, unknown] = [await startModelServer(), await startModelServer()];
  t.after(() => Promise.all([known.close(), unknown.close()]));
  await run("provider.set", { name: `local-${unknown.port}`, baseUrl: `${known.url}/v1`, model: "m" });
  const before = await list();
  const ports = [known.port, unknown.port];
  // On a machine that has other work a look may come too late.
  const items = await until("both to be found", async () => {
    const found = (await query("provider.discover", { ports })) as { items: Record<string, unknown>[] };
    return found.items.length === ports.length && found.items;
  });
  const name = `local-${unknown.port}`;
  assert.deepEqual(
    items.map((item) => [item.provider, item.add]),
    [
      [name, null],
      [null, `tutti providers set ${name}-${unknown.port} --protocol openai --base-url ${unknown.url}/v1 --model mock-model`],
    ],
  );
  assert.deepEqual(await list(), before);
});

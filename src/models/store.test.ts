import assert from "node:assert/strict";
import { onBothStores } from "../../test/support/stores.ts";
import { statement, sql } from "../db/plan.ts";
import { removeProvider, setProvider } from "./commands.ts";
import { findTarget, targetsOf } from "./find.ts";
import { getProvider, insertProvider, listProviders, updateProvider } from "./store.ts";

onBothStores((rule) => {
  rule("a provider is kept with its protocol, changed, found with its key, and removed", async (store) => {
    const sources = { read: store.db.read, home: store.services.home };
    const name = store.fresh("house");
    await store.call(setProvider, { name, protocol: "google", model: "g", key: "k" });
    assert.deepEqual(await findTarget(sources, name), {
      provider: name,
      protocol: "google",
      api: null,
      baseUrl: "https://generativelanguage.googleapis.com/v1beta",
      model: "g",
      key: "k",
    });
    await store.call(setProvider, { name, protocol: "openai", api: "responses", baseUrl: "http://127.0.0.1:1/v1", model: "m", key: null });
    const [target] = await targetsOf(sources, { provider: name });
    assert.deepEqual([target?.protocol, target?.api, target?.model, target?.key], ["openai", "responses", "m", null]);
    await store.call(removeProvider, { name });
    assert.equal(await getProvider(store.db.read, name), null);
  });

  rule("a change of a provider that got another address meanwhile is not written: a key could go to a wrong server", async (store) => {
    const name = store.fresh("moved");
    const old = {
      name,
      protocol: "openai",
      api: "chat",
      baseUrl: "http://127.0.0.1:1/v1",
      model: "m",
      keyName: null,
      source: "store",
    } as const;
    await store.write({ statements: [insertProvider(old, 1)], events: [] });
    await store.write({ statements: [updateProvider({ ...old, baseUrl: "http://127.0.0.1:2/v1" }, old)], events: [] });
    const late = await store.db.commit({ statements: [updateProvider({ ...old, model: "n", keyName: name }, old)], events: [] });
    assert.equal(late.kind, "conflict");
    const kept = (await listProviders(store.db.read)).find((provider) => provider.name === name);
    assert.deepEqual([kept?.baseUrl, kept?.model, kept?.keyName], ["http://127.0.0.1:2/v1", "m", null]);
  });

  rule("a row from before there were protocols speaks Chat Completions", async (store) => {
    const name = store.fresh("old");
    const row = sql`insert into providers (name, base_url, model, created_at) values (${name}, 'https://api.openai.com/v1', 'm', 1)`;
    await store.write({ statements: [statement(row)], events: [] });
    const found = await getProvider(store.db.read, name);
    assert.deepEqual([found?.protocol, found?.api], ["openai", "chat"]);
  });
});

import { z } from "zod";
import type { NewEvent } from "../db/plan.ts";
import { invalidInput, notFound } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { isSameServer, NewProvider, plainUrl, Provider } from "./provider.ts";
import { deleteProvider, getProvider, insertProvider, listProviders, removeKey, updateProvider, writeKey } from "./store.ts";

export const setProvider = command({
  name: "provider.set",
  help: "Add a provider of models or change it. Its key is kept by the server alone and is never shown.",
  input: NewProvider,
  output: Provider,
  access: "person",
  cli: { verb: "providers set", args: ["name"], custom: true },
  async decide({ key, ...wanted }, { read, home, now }) {
    const old = await getProvider(read, wanted.name);
    if (key === undefined && old?.keyName && !isSameServer(old.baseUrl, wanted.baseUrl)) {
      throw invalidInput(`${wanted.name} gets another server, and its key was given for the old one`, "a key goes to no other server", [
        "give the key of the new server, or null when it wants none",
      ]);
    }
    const keyName = key === undefined ? (old?.keyName ?? null) : key === null ? null : wanted.name;
    const provider: Provider = { ...wanted, baseUrl: plainUrl(wanted.baseUrl), keyName };
    // Before the commit, so that no row names a key that is not there. It may be done again: the same text in the same file.
    if (typeof key === "string") await writeKey(home, wanted.name, key);
    if (key === null && old?.keyName) await removeKey(home, old.keyName);
    return {
      plan: { statements: [old ? updateProvider(provider, old) : insertProvider(provider, now)], events: [updated({ ...provider })] },
      result: provider,
    };
  },
});

export const removeProvider = command({
  name: "provider.remove",
  help: "Remove a provider and its key.",
  input: z.strictObject({ name: z.string().min(1).max(100) }),
  output: z.object({ name: z.string() }),
  access: "person",
  cli: { verb: "providers remove", args: ["name"], custom: true },
  async decide({ name }, { read, home }) {
    const provider = await getProvider(read, name);
    if (!provider) throw notFound("provider", name, ["tutti providers"]);
    // The key goes first: when the commit fails, a provider without its key is left, and no key without its provider.
    if (provider.keyName) await removeKey(home, provider.keyName);
    return { plan: { statements: [deleteProvider(name)], events: [updated({ name, removed: true })] }, result: { name } };
  },
});

const updated = (data: Record<string, unknown>): NewEvent => ({ stream: "instance", type: "provider.updated", data });

export const listProvidersQuery = query({
  name: "provider.list",
  help: "Where models are. Keys are not shown.",
  path: "/providers",
  input: z.strictObject({ ...Page.shape }),
  output: listOf(Provider),
  access: "person",
  cli: { verb: "providers", columns: ["name", "model", "keyName", "baseUrl"], custom: true },
  async run({ limit, cursor }, { read }) {
    const providers = await listProviders(read, { after: cursor ?? "", limit: limit + 1 });
    return page(providers, limit, ({ name }) => name);
  },
});

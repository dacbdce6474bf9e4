import { z } from "zod";
import type { NewEvent } from "../db/plan.ts";
import { conflict, invalidInput, notFound } from "../errors.ts";
import { command, listOf, Page, page, query, type Context } from "../registry.ts";
import { discoverModels, FoundProvider, usualPlaces } from "./discover.ts";
import { allProviders, findTarget, type Sources } from "./find.ts";
import { isSameServer, NewProvider, placeOf, Provider } from "./provider.ts";
import { deleteProvider, getProvider, insertProvider, removeKey, updateProvider, writeKey } from "./store.ts";
import { ProviderTest, testProvider } from "./test-provider.ts";

const Name = z.strictObject({ name: z.string().min(1).max(100) });

const sourcesOf = ({ read, home, environmentProviders }: Context): Sources => ({ read, home, environment: environmentProviders });

/** What a variable says is changed where the variable is set. Throws AppError conflict. */
function refuseEnvironment(name: string, { environmentProviders = [] }: Context): void {
  if (!environmentProviders.some((provider) => provider.name === name)) return;
  throw conflict(`the provider "${name}" is given by the server's environment`, "what variables say wins over what is stored", [
    "choose another name",
    "start the server without the variable",
  ]);
}

export const setProvider = command({
  name: "provider.set",
  help: "Add a provider of models or change it. Its key is kept by the server alone and is never shown.",
  input: NewProvider,
  output: Provider,
  access: "person",
  scope: "admin",
  cli: { verb: "providers set", args: ["name"], custom: true },
  async decide({ key, ...wanted }, context) {
    const { read, home, now } = context;
    refuseEnvironment(wanted.name, context);
    const old = await getProvider(read, wanted.name);
    const place = placeOf(wanted, old);
    if (!place) {
      throw invalidInput(`where "${wanted.name}" is, is not known`, "neither an address nor a vendor's protocol was given", [
        `tutti providers set ${wanted.name} --base-url <url> --model ${wanted.model}`,
        `tutti providers set ${wanted.name} --protocol anthropic --model ${wanted.model}`,
      ]);
    }
    if (wanted.api && !place.api) {
      throw invalidInput(`api: only OpenAI's protocol has two of them, and "${wanted.name}" speaks ${place.protocol}`, undefined, [
        "leave api out",
      ]);
    }
    if (key === undefined && old?.keyName && !isSameServer(old.baseUrl, place.baseUrl)) {
      throw invalidInput(`${wanted.name} gets another server, and its key was given for the old one`, "a key goes to no other server", [
        "give the key of the new server, or null when it wants none",
      ]);
    }
    const keyName = key === undefined ? (old?.keyName ?? null) : key === null ? null : wanted.name;
    const provider: Provider = { name: wanted.name, ...place, model: wanted.model, keyName, source: "store" };
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
  input: Name,
  output: z.object({ name: z.string() }),
  access: "person",
  scope: "admin",
  cli: { verb: "providers remove", args: ["name"], custom: true },
  mcp: { tool: "remove_provider", group: "models" },
  async decide({ name }, context) {
    const { read, home } = context;
    refuseEnvironment(name, context);
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
  cli: { verb: "providers", columns: ["name", "protocol", "model", "keyName", "baseUrl"], custom: true },
  mcp: { tool: "list_providers", group: "models" },
  async run({ limit, cursor }, context) {
    const providers = await allProviders(sourcesOf(context));
    return page(providers.filter(({ name }) => name > (cursor ?? "")).slice(0, limit + 1), limit, ({ name }) => name);
  },
});

export const testProviderQuery = query({
  name: "provider.test",
  help: "Ask a provider's model for one word: is it ready, its key refused, its model unknown, or is nobody there? Costs a few tokens.",
  path: "/providers/:name/test",
  input: Name.extend({ model: Provider.shape.model.optional().describe("another model than the provider's own") }),
  output: ProviderTest,
  access: "person",
  // It spends: whoever may only look may not.
  scope: "admin",
  mcp: { tool: "test_provider", group: "models" },
  async run({ name, model }, context) {
    const target = await findTarget(sourcesOf(context), name, model);
    if (!target) throw notFound("provider", name, ["tutti providers", "tutti provider discover"]);
    return await testProvider(target);
  },
});

export const discoverProviders = query({
  name: "provider.discover",
  help: "Look for model servers on this machine (Ollama, llama.cpp, vLLM, LM Studio). Nothing is added.",
  path: "/provider-discovery",
  input: z.strictObject({
    ports: z
      .array(z.coerce.number().int().min(1).max(65_535))
      .min(1)
      .max(16)
      .optional()
      .describe("where to look on 127.0.0.1, instead of the usual ports"),
  }),
  output: z.object({
    items: z.array(
      FoundProvider.extend({
        /** The provider that is set up there already, by its name. */
        provider: z.string().nullable(),
        /** Adds it; null when it has no model yet, or is added already. */
        add: z.string().nullable(),
      }),
    ),
  }),
  access: "person",
  scope: "admin",
  cli: { verb: "provider discover", columns: ["name", "kind", "baseUrl", "models", "provider", "add"] },
  mcp: { tool: "discover_providers", group: "models" },
  async run({ ports }, context) {
    const [found, known] = await Promise.all([discoverModels(ports ?? usualPlaces), allProviders(sourcesOf(context))]);
    const items = found.map((item) => {
      const provider = known.find(({ baseUrl }) => isSameServer(baseUrl, item.baseUrl))?.name ?? null;
      const name = known.some((other) => other.name === item.name) ? `${item.name}-${new URL(item.baseUrl).port}` : item.name;
      const [model] = item.models;
      const add = provider === null && model !== undefined ? addCommand(name, item, model) : null;
      return { ...item, name, provider, add };
    });
    return { items };
  },
});

/** One command for a shell: a model's name comes from a program that is not ours. */
const addCommand = (name: string, { baseUrl, protocol }: FoundProvider, model: string): string =>
  `tutti providers set ${name} --protocol ${protocol} --base-url ${baseUrl} --model ${/^[\w.:/@+-]+$/.test(model) ? model : `'${model.replaceAll("'", `'\\''`)}'`}`;

import type { Reader } from "../db/plan.ts";
import { Protocol, type SessionModel } from "./model.ts";
import { invalidInput } from "../errors.ts";
import { addressProblem, plainUrl, usualApi, vendorAddresses, type Provider, type Target } from "./provider.ts";
import { getProvider, listProviders, readKey } from "./store.ts";

/** What the variables of the environment say of one provider. */
export interface EnvironmentProvider {
  name: string;
  protocol: Protocol;
  baseUrl: string;
  model: string;
  key: string | null;
}

/** What src/config.ts found, as providers: each is called as its vendor. Throws AppError invalid_input. */
export function environmentProviders(
  variables: Readonly<Record<Protocol, { baseUrl: string | null; key: string | null; model: string } | null>>,
): EnvironmentProvider[] {
  return Protocol.options.flatMap((protocol) => {
    const found = variables[protocol];
    if (!found) return [];
    const baseUrl = found.baseUrl ?? vendorAddresses[protocol];
    const problem = addressProblem(baseUrl);
    if (problem) throw invalidInput(`the address that a variable gives for the models of ${protocol} ${problem}`);
    return [{ name: protocol, protocol, ...found, baseUrl }];
  });
}

/** Where providers are looked for: those of the environment come first. */
export interface Sources {
  read: Reader;
  home: string;
  environment?: readonly EnvironmentProvider[];
}

/** As it is shown, without its key. */
const shown = ({ name, protocol, baseUrl, model, key }: EnvironmentProvider): Provider => ({
  name,
  protocol,
  api: protocol === "openai" ? usualApi(baseUrl) : null,
  baseUrl: plainUrl(baseUrl),
  model,
  keyName: key === null ? null : "environment",
  source: "environment",
});

/** All of them in the order of their names; there are never many. */
export async function allProviders({ read, environment = [] }: Sources): Promise<Provider[]> {
  const given = environment.map(shown);
  const stored = await listProviders(read);
  const others = stored.filter(({ name }) => !given.some((provider) => provider.name === name));
  return [...given, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A provider with its key, as the server itself needs it; null when it is not set up. The answer goes to no caller. */
export async function findTarget(sources: Sources, name: string, model?: string): Promise<Target | null> {
  const given = sources.environment?.find((provider) => provider.name === name);
  if (given) return targetOf(shown(given), given.key, model);
  const provider = await getProvider(sources.read, name);
  return provider && targetOf(provider, provider.keyName === null ? null : await readKey(sources.home, provider.keyName), model);
}

const targetOf = ({ name, protocol, api, baseUrl, model }: Provider, key: string | null, wanted?: string): Target => ({
  provider: name,
  protocol,
  api,
  baseUrl,
  model: wanted ?? model,
  key,
});

/** What an agent's settings say about its models. */
interface Choice {
  provider?: string;
  model?: string;
  fallbacks?: { provider: string; model?: string }[];
}

/**
 * The models of an agent in the order in which they are asked: its own, then its fallbacks. Fallbacks that are not set up are left
 * out; without its own provider there is nothing, because nobody chose the others for that.
 */
export async function targetsOf(sources: Sources, { provider, model, fallbacks = [] }: Choice): Promise<Target[]> {
  if (provider === undefined || provider === "demo") return [];
  const first = await findTarget(sources, provider, model);
  if (!first) return [];
  const others = await Promise.all(fallbacks.map((fallback) => findTarget(sources, fallback.provider, fallback.model)));
  return [first, ...others.filter((target) => target !== null)];
}

/** What a session may know of it. */
export const withoutKey = ({ provider, protocol, api, model }: Target): SessionModel => ({ provider, protocol, api, model });

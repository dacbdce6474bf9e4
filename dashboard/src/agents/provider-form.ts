import type { Protocol } from "../../../src/models/model.ts";
import { addressProblem, NewProvider, type Provider } from "../../../src/models/provider.ts";
import type { Problems } from "./agent-form.ts";

/** What is typed for a provider. The key is only ever written: it is never there to be read. */
export interface ProviderDraft {
  name: string;
  /** Empty: as its name or its address says. */
  protocol: Protocol | "";
  baseUrl: string;
  model: string;
  key: string;
  /** It wants no key any more. */
  noKey: boolean;
}

export const draftOf = (provider: Provider | null): ProviderDraft => ({
  name: provider?.name ?? "",
  protocol: provider?.protocol ?? "",
  baseUrl: provider?.baseUrl ?? "",
  model: provider?.model ?? "",
  key: "",
  noKey: false,
});

/** The input of `provider.set`, or what is wrong with it, by field. A key that is left empty stays as it is. Pure. */
export function providerOf(draft: ProviderDraft): { input: NewProvider | null; problems: Problems<ProviderDraft> } {
  const problems: Problems<ProviderDraft> = {};
  const { shape } = NewProvider;
  const [name, baseUrl, model, key] = [draft.name.trim(), draft.baseUrl.trim(), draft.model.trim(), draft.key.trim()];
  const wrongName = shape.name.safeParse(name).error?.issues[0]?.message;
  if (wrongName !== undefined) problems.name = wrongName;
  const wrongAddress = baseUrl === "" ? null : addressProblem(baseUrl);
  if (wrongAddress !== null) problems.baseUrl = wrongAddress;
  if (model === "") problems.model = "which of its models?";
  if (key !== "" && !shape.key.safeParse(key).success) problems.key = "one word of printable ASCII letters";
  if (Object.keys(problems).length > 0) return { input: null, problems };
  const input = {
    name,
    model,
    ...(draft.protocol === "" ? {} : { protocol: draft.protocol }),
    ...(baseUrl === "" ? {} : { baseUrl }),
    ...(draft.noKey ? { key: null } : key === "" ? {} : { key }),
  };
  return { input, problems };
}

/** Where its key is, in words. Pure. */
export const keyWords = ({ keyName, source }: Pick<Provider, "keyName" | "source">): string =>
  keyName === null ? "no key" : source === "environment" ? "key from the server's environment" : "key kept by the server";

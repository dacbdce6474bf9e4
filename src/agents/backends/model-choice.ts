import type { LanguageModel } from "ai";
import { AppError } from "../../errors.ts";
import { choiceOf } from "../../models/choose.ts";
import { demoModel, demoModelName, isDemo } from "../../models/demo.ts";
import type { BrokerAccess, SessionModel } from "../../models/model.ts";
import type { SessionSpec } from "../backend.ts";

/** A model that a session can ask. */
export interface ChosenModel {
  name: string;
  /** Who has it; null: the demo model, which is nobody's. */
  provider: string | null;
  languageModel: LanguageModel;
  /** The demo model costs nothing; of others only the provider knows, and says it to nobody. */
  costUsd: number | null;
}

/**
 * The models of a session in the order in which they are asked: its agent's own, then its fallbacks, all through the broker. Errors:
 * AppError agent_unavailable when there is no broker to ask.
 */
export async function modelsOf({ agent, broker }: Pick<SessionSpec, "agent" | "broker">): Promise<[ChosenModel, ...ChosenModel[]]> {
  if (isDemo(agent.settings.provider)) return [{ name: demoModelName, provider: null, languageModel: demoModel(), costUsd: 0 }];
  if (!broker) {
    throw new AppError("agent_unavailable", `agent ${agent.name} has no provider to ask`, {
      why: agent.settings.provider ? `the provider "${agent.settings.provider}" is not set up` : "its settings name no provider",
      fix: [howToSet(agent.settings.provider)],
    });
  }
  return [await chosen(broker, broker), ...(await Promise.all(broker.fallbacks.map((model) => chosen(broker, model))))];
}

export const howToSet = (provider: string | undefined): string =>
  `tutti providers set ${provider ?? "<name>"} --base-url <url> --model <name>`;

const chosen = async (broker: BrokerAccess, model: SessionModel): Promise<ChosenModel> => ({
  name: model.model,
  provider: model.provider,
  languageModel: await languageModel(broker, model),
  costUsd: null,
});

/** In the provider's own protocol. The SDK's parts take 100 ms and 30 MB to load: only sessions that need one pay for it. */
async function languageModel({ url, token, fallbacks }: BrokerAccess, wanted: SessionModel): Promise<LanguageModel> {
  const { protocol, api, model } = wanted;
  // With fallbacks each is asked by name, so that the broker does not choose another one: the conversation must fit who answers.
  const common = { apiKey: token, headers: fallbacks.length > 0 ? choiceOf(wanted) : {} };
  switch (protocol) {
    case "openai": {
      if (api === "responses") {
        const { createOpenAI } = await import("@ai-sdk/openai");
        return createOpenAI({ ...common, baseURL: `${url}/v1` }).responses(model);
      }
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      return createOpenAICompatible({ ...common, name: "broker", baseURL: `${url}/v1`, includeUsage: true }).chatModel(model);
    }
    case "anthropic": {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      return createAnthropic({ ...common, baseURL: `${url}/v1` })(model);
    }
    case "google": {
      const { createGoogle } = await import("@ai-sdk/google");
      return createGoogle({ ...common, baseURL: `${url}/v1beta` })(model.replace(/^models\//, ""));
    }
  }
}

import { readCopilot } from "../streams/copilot.ts";
import type { Preset, PresetSession } from "./preset.ts";

const common = {
  program: "copilot",
  // Tried with 1.0.102.
  versions: { from: "1.0.0", below: "2.0.0" },
  install: "npm install -g @github/copilot",
  usage: true,
};

export const copilot: Preset = {
  proprietary: true,
  signIn: "copilot login",
  login: [".copilot"],
  loginFiles: [".copilot/config.json"],
  protocols: ["openai", "anthropic"],
  acp: { ...common, asks: true, prepare: (session) => ({ args: ["--acp"], env: environment(session), files: [] }) },
  command: {
    ...common,
    asks: false,
    read: readCopilot,
    usageIsSum: false,
    prepare(session) {
      const args = ["--output-format", "json", ...(session.permissions === "auto" ? ["--allow-all-tools"] : [])];
      return { args: [...args, ...(session.resume ? [`--resume=${session.resume}`] : [])], env: environment(session), files: [] };
    },
  },
};

function environment({ broker, model }: PresetSession): Record<string, string> {
  const env: Record<string, string> = { COPILOT_AUTO_UPDATE: "false" };
  if (!broker) return model ? { ...env, COPILOT_MODEL: model } : env;
  const isOpenAi = broker.protocol === "openai";
  return {
    ...env,
    COPILOT_OFFLINE: "true",
    COPILOT_PROVIDER_TYPE: isOpenAi ? "openai" : "anthropic",
    COPILOT_PROVIDER_BASE_URL: isOpenAi ? `${broker.url}/v1` : broker.url,
    COPILOT_PROVIDER_API_KEY: broker.token,
    COPILOT_MODEL: broker.model,
  };
}

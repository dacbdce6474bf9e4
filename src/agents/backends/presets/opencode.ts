import { join } from "node:path";
import type { BrokerAccess } from "../../../models/model.ts";
import { readOpencode } from "../streams/opencode.ts";
import type { Preset, PresetSession } from "./preset.ts";

const common = {
  program: "opencode",
  // Tried with 1.18.33.
  versions: { from: "1.0.0", below: "2.0.0" },
  install: "npm install -g opencode-ai",
  usage: true,
};

export const opencode: Preset = {
  proprietary: false,
  signIn: "opencode auth login",
  login: [".local/share/opencode", ".config/opencode"],
  loginFiles: [".local/share/opencode/auth.json"],
  protocols: ["openai", "anthropic", "google"],
  acp: { ...common, asks: true, prepare: (session) => ({ args: ["acp"], env: environment(session), files: [] }) },
  command: {
    ...common,
    asks: false,
    read: readOpencode,
    usageIsSum: false,
    prepare(session) {
      const args = ["run", "--format", "json", ...(session.resume ? ["--session", session.resume] : [])];
      return { args, env: environment(session), files: [] };
    },
  },
};

function environment({ broker, permissions, cwd, model }: PresetSession): Record<string, string> {
  const leave = permissions === "auto" ? "allow" : "ask";
  const config: Record<string, unknown> = {
    $schema: "https://opencode.ai/config.json",
    autoupdate: false,
    share: "disabled",
    permission: { edit: leave, bash: leave, webfetch: leave, external_directory: leave },
  };
  if (broker) {
    config.provider = { tutti: { ...providerOf(broker), name: "Tutti", models: { [broker.model]: { name: broker.model } } } };
    config.model = `tutti/${broker.model}`;
    config.small_model = `tutti/${broker.model}`;
    config.enabled_providers = ["tutti"];
  } else if (model) {
    config.model = model;
  }
  const env: Record<string, string> = {
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  };
  if (permissions === "ask") {
    // A repository's opencode.json and .opencode could allow what a person wants to be asked ({"*": "allow"}), and bring plugins,
    // which run unasked. This switches off its instructions as well, so they are named.
    env.OPENCODE_DISABLE_PROJECT_CONFIG = "1";
    config.instructions = ["AGENTS.md", "CLAUDE.md"].map((name) => join(cwd, name));
  }
  // In the environment and not in a file: what stands there comes last and wins.
  return { ...env, OPENCODE_CONFIG_CONTENT: JSON.stringify(config) };
}

/** Each package wants the version part of the address. */
function providerOf({ protocol, url, token }: BrokerAccess): { npm: string; options: { baseURL: string; apiKey: string } } {
  switch (protocol) {
    case "openai":
      return { npm: "@ai-sdk/openai-compatible", options: { baseURL: `${url}/v1`, apiKey: token } };
    case "anthropic":
      return { npm: "@ai-sdk/anthropic", options: { baseURL: `${url}/v1`, apiKey: token } };
    case "google":
      return { npm: "@ai-sdk/google", options: { baseURL: `${url}/v1beta`, apiKey: token } };
  }
}

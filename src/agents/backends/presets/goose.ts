import { readGoose } from "../streams/goose.ts";
import type { HomeFile, Preset, PresetSession } from "./preset.ts";

const common = {
  program: "goose",
  // Tried with 1.34.0.
  versions: { from: "1.30.0", below: "2.0.0" },
  install: "npm install -g @aaif/goose",
  usage: true,
};

export const goose: Preset = {
  proprietary: false,
  signIn: "goose configure",
  login: [".config/goose"],
  loginFiles: [".config/goose/config.yaml"],
  protocols: ["openai", "anthropic", "google"],
  acp: { ...common, asks: true, prepare: (session) => ({ ...surroundings(session), args: ["acp"] }) },
  command: {
    ...common,
    asks: false,
    read: readGoose,
    usageIsSum: true,
    // It tells no id, but goes on with a conversation by the name that it was given.
    prepare(session) {
      const name = session.resume ?? session.fresh;
      const args = ["run", "--quiet", "--output-format", "stream-json", "--name", name, ...(session.resume ? ["--resume"] : [])];
      return { ...surroundings(session), args: [...args, "--instructions", "-"], vendorSession: name };
    },
  },
};

function surroundings({ broker, permissions, model }: PresetSession): { env: Record<string, string>; files: HomeFile[] } {
  const env: Record<string, string> = {
    GOOSE_MODE: permissions === "auto" ? "auto" : "approve",
    GOOSE_DISABLE_KEYRING: "1",
    GOOSE_TELEMETRY_ENABLED: "false",
    // Each would be a model call of its own beside the work.
    GOOSE_DISABLE_SESSION_NAMING: "true",
    GOOSE_DISABLE_TOOL_CALL_SUMMARY: "true",
  };
  if (!broker) return { env: { ...env, ...(model ? { GOOSE_MODEL: model } : {}) }, files: [] };
  return {
    env: { ...env, GOOSE_MODEL: broker.model, ...providerOf(broker) },
    files: [{ path: ".config/goose/config.yaml", text: extensions }],
  };
}

function providerOf({ protocol, url, token }: NonNullable<PresetSession["broker"]>): Record<string, string> {
  switch (protocol) {
    case "openai":
      return { GOOSE_PROVIDER: "openai", OPENAI_HOST: url, OPENAI_API_KEY: token };
    case "anthropic":
      return { GOOSE_PROVIDER: "anthropic", ANTHROPIC_HOST: url, ANTHROPIC_API_KEY: token };
    case "google":
      return { GOOSE_PROVIDER: "google", GOOGLE_HOST: url, GOOGLE_API_KEY: token };
  }
}

const extensions = `extensions:
  developer:
    bundled: true
    enabled: true
    name: developer
    timeout: 300
    type: builtin
`;

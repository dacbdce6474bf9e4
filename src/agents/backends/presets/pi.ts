import { readPi } from "../streams/pi.ts";
import { jsonFile, type HomeFile, type Preset, type PresetSession } from "./preset.ts";

/** It asks nothing, ever, and so gets only tools that read when a person wants to be asked. */
export const pi: Preset = {
  proprietary: false,
  signIn: "pi",
  login: [".pi/agent"],
  loginFiles: [".pi/agent/auth.json"],
  protocols: ["openai", "anthropic", "google"],
  acp: null,
  command: {
    program: "pi",
    // Tried with 0.87.1.
    versions: { from: "0.80.0", below: "1.0.0" },
    install: "npm install -g @earendil-works/pi-coding-agent",
    asks: false,
    usage: true,
    read: readPi,
    usageIsSum: false,
    prepare(session) {
      const { broker, model, permissions, resume } = session;
      const which = broker ? ["--provider", "tutti", "--model", broker.model] : model ? ["--model", model] : [];
      // Extensions of the repository are code that runs unasked.
      const bounds = permissions === "ask" ? ["--tools", "read,grep,find,ls", "--no-approve"] : [];
      const args = ["--print", "--mode", "json", ...which, ...bounds, ...(resume ? ["--session", resume] : [])];
      return { args, env: { PI_OFFLINE: "1", PI_SKIP_VERSION_CHECK: "1" }, files: filesFor(session) };
    },
  },
};

function filesFor({ broker }: PresetSession): HomeFile[] {
  if (!broker) return [];
  const { url, token, model, protocol } = broker;
  const at = {
    openai: { baseUrl: `${url}/v1`, api: broker.api === "responses" ? "openai-responses" : "openai-completions" },
    anthropic: { baseUrl: url, api: "anthropic-messages" },
    google: { baseUrl: `${url}/v1beta`, api: "google-generative-ai" },
  }[protocol];
  return [jsonFile(".pi/agent/models.json", { providers: { tutti: { ...at, apiKey: token, models: [{ id: model }] } } })];
}

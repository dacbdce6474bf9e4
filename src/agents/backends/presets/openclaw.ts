import { join } from "node:path";
import { jsonFile, type HomeFile, type Preset, type PresetSession } from "./preset.ts";

/**
 * OpenClaw's adapter for ACP speaks to a gateway of its own, which is started for the session, on a port of loopback with a secret
 * of the session. It asks nothing, so with `ask` it gets only the tools that read. An error of the model is a turn that ends
 * without a word.
 */
export const openclaw: Preset = {
  proprietary: false,
  signIn: "openclaw onboard",
  login: [".openclaw"],
  loginFiles: [".openclaw/openclaw.json"],
  protocols: ["openai", "anthropic", "google"],
  acp: {
    program: "openclaw",
    // Tried with 2026.9.6.
    versions: { from: "2026.6.0", below: "2027.0.0" },
    install: "npm install -g openclaw",
    asks: false,
    usage: false,
    companion: ({ port }) => ({ args: ["gateway", "run", "--port", String(port), "--bind", "loopback"], port, startMs: 90_000 }),
    prepare: (session) => ({
      args: ["acp", "--url", `ws://127.0.0.1:${session.port}`, "--token-file", join(session.home, secretFile)],
      env: { OPENCLAW_GATEWAY_TOKEN: session.fresh, OPENCLAW_DISABLE_BONJOUR: "1", OPENCLAW_NO_RESPAWN: "1" },
      files: [{ path: secretFile, text: session.fresh }, ...configFor(session)],
    }),
  },
  command: null,
};

/** Beside its own folder, which may be the person's. Not an argument: everybody on the machine can read those. */
const secretFile = ".tutti/gateway-token";

function configFor({ broker, cwd, fresh, permissions, port }: PresetSession): HomeFile[] {
  if (!broker) return [];
  const { url, token, model, protocol } = broker;
  const at = {
    openai: { baseUrl: `${url}/v1`, api: broker.api === "responses" ? "openai-responses" : "openai-completions" },
    anthropic: { baseUrl: url, api: "anthropic-messages" },
    google: { baseUrl: `${url}/v1beta`, api: "google-generative-ai" },
  }[protocol];
  const config = {
    gateway: { mode: "local", port, bind: "loopback", auth: { mode: "token", token: fresh } },
    models: {
      providers: { tutti: { ...at, apiKey: token, models: [{ id: model, name: model, contextWindow: 128_000, maxTokens: 16_000 }] } },
    },
    agents: { defaults: { workspace: cwd, skipBootstrap: true, model: `tutti/${model}` } },
    ...(permissions === "ask" ? { tools: { allow: ["read", "session_status"] } } : {}),
  };
  return [jsonFile(".openclaw/openclaw.json", config)];
}

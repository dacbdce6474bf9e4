import { z } from "zod";
import { readCodex } from "../streams/codex.ts";
import type { HomeFile, Preset, PresetSession } from "./preset.ts";

/**
 * Codex cannot be asked what it asks (it hands nothing on), so its own sandbox is the bound: with `auto` Tutti's sandbox stands
 * around it and it may do anything inside; with `ask` it may read only. Its home must not lie below the temporary folder: there it
 * refuses to make its sandbox's helper, and every command fails. A session's home does not.
 */
export const codex: Preset = {
  proprietary: false,
  signIn: "codex login",
  login: [".codex"],
  loginFiles: [".codex/auth.json"],
  // It speaks OpenAI's Responses API only.
  protocols: ["openai"],
  acp: {
    program: "codex-acp",
    // Tried with 2.6.0, which brings codex 0.166.
    versions: { from: "2.0.0", below: "3.0.0" },
    install: "npm install -g @agentclientprotocol/codex-acp",
    asks: false,
    usage: true,
    // Else it tells an error as if it were the agent's words, and its warnings as well.
    clientMeta: { jetbrains: { air: { version: 1, capabilities: ["sessionFailure"] } } },
    failureIn,
    prepare(session) {
      const { env, files } = surroundings(session);
      return { args: [], env: { ...env, INITIAL_AGENT_MODE: session.permissions === "auto" ? "agent-full-access" : "read-only" }, files };
    },
  },
  command: {
    program: "codex",
    // Tried with 0.169.0.
    versions: { from: "0.150.0", below: "1.0.0" },
    install: "npm install -g @openai/codex",
    asks: false,
    usage: true,
    read: readCodex,
    usageIsSum: true,
    prepare(session) {
      const sandbox = session.permissions === "auto" ? "danger-full-access" : "read-only";
      const args = ["exec", "--json", "--skip-git-repo-check", "--sandbox", sandbox, "-C", session.cwd];
      const model = session.broker === null && session.model ? ["--model", session.model] : [];
      const conversation = session.resume ? ["resume", session.resume] : [];
      return { args: [...args, ...model, ...conversation, "-"], ...surroundings(session) };
    },
  },
};

const Failure = z.object({
  _meta: z.object({ jetbrains: z.object({ air: z.object({ sessionFailure: z.object({ severity: z.string(), title: z.string() }) }) }) }),
});

function failureIn(response: unknown): string | null {
  const parsed = Failure.safeParse(response);
  if (!parsed.success) return null;
  const { severity, title } = parsed.data._meta.jetbrains.air.sessionFailure;
  return severity === "error" ? title : null;
}

const tokenVariable = "TUTTI_BROKER_TOKEN";

/** With its own login it reads its own settings; else the broker is its one provider. Features that would call home are off. */
function surroundings({ broker, model }: PresetSession): { env: Record<string, string>; files: HomeFile[] } {
  const env: Record<string, string> = { NO_BROWSER: "1" };
  // codex-acp; `codex exec` takes an argument.
  if (!broker) return { env: model ? { ...env, CODEX_CONFIG: JSON.stringify({ model }) } : env, files: [] };
  const config = [
    `model = ${JSON.stringify(broker.model)}`,
    `model_provider = "tutti"`,
    `[model_providers.tutti]`,
    `name = "Tutti"`,
    `base_url = ${JSON.stringify(`${broker.url}/v1`)}`,
    `env_key = "${tokenVariable}"`,
    `wire_api = "responses"`,
    `[features]`,
    `plugins = false`,
    `apps = false`,
  ];
  return { env: { ...env, [tokenVariable]: broker.token }, files: [{ path: ".codex/config.toml", text: `${config.join("\n")}\n` }] };
}

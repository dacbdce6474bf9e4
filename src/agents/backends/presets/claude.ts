import { readClaude } from "../streams/claude.ts";
import type { Preset, PresetSession } from "./preset.ts";

/**
 * Claude Code, alone or behind its adapter for ACP, which brings it along. Any IS_SANDBOX makes the adapter pass on the flag that
 * skips every permission, and as root the program then ends: that variable is taken away.
 */
export const claude: Preset = {
  proprietary: true,
  signIn: "claude",
  login: [".claude"],
  loginFiles: [".claude/.credentials.json"],
  protocols: ["anthropic"],
  acp: {
    program: "claude-agent-acp",
    // Tried with 0.100.0.
    versions: { from: "0.50.0", below: "1.0.0" },
    install: "npm install -g @agentclientprotocol/claude-agent-acp",
    asks: true,
    usage: true,
    keyOnly: true,
    prepare: (session) => ({ args: [], env: environment(session), files: [], unset }),
  },
  command: {
    program: "claude",
    // Tried with 2.1.329.
    versions: { from: "2.0.0", below: "3.0.0" },
    install: "npm install -g @anthropic-ai/claude-code",
    asks: false,
    usage: true,
    read: readClaude,
    usageIsSum: false,
    prepare(session) {
      const { broker, model, permissions, resume } = session;
      const name = broker?.model ?? model;
      const args = [
        "--print",
        "--output-format",
        "stream-json",
        "--verbose",
        // Not the flag that skips every permission, which it refuses as root. "default" refuses what it would have to ask for, and a
        // repository's own settings must not allow it.
        ...(permissions === "auto"
          ? ["--permission-mode", "acceptEdits", "--allowedTools", "Bash,Edit,Write,NotebookEdit,WebFetch,WebSearch"]
          : ["--permission-mode", "default", "--setting-sources", "user"]),
        ...(name ? ["--model", name] : []),
        ...(resume ? ["--resume", resume] : []),
      ];
      return { args, env: environment(session), files: [], unset };
    },
  },
};

const unset = ["IS_SANDBOX"];

function environment({ broker, model }: PresetSession): Record<string, string> {
  const env: Record<string, string> = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1" };
  if (!broker) return model ? { ...env, ANTHROPIC_MODEL: model } : env;
  return {
    ...env,
    ANTHROPIC_BASE_URL: broker.url,
    ANTHROPIC_API_KEY: broker.token,
    ANTHROPIC_MODEL: broker.model,
    ANTHROPIC_SMALL_FAST_MODEL: broker.model,
  };
}

import type { BackendKind } from "../../../src/agents/agent.ts";

/** The programs that the server knows by name, and the ways in which each can be used. A test holds this beside the server's own list. */
export const presets: Readonly<Record<string, readonly BackendKind[]>> = {
  claude: ["acp", "command"],
  codex: ["acp", "command"],
  copilot: ["acp", "command"],
  gemini: ["acp", "command"],
  goose: ["acp", "command"],
  openclaw: ["acp"],
  opencode: ["acp", "command"],
  pi: ["command"],
  qwen: ["acp", "command"],
};

export const presetsFor = (backend: BackendKind): string[] =>
  Object.entries(presets).flatMap(([name, ways]) => (ways.includes(backend) ? [name] : []));

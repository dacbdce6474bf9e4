// A real agent program against the scripted model server, reached through the broker, as a subject of the backends' suite.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import type { Agent } from "../../src/agents/agent.ts";
import type { AgentBackend, AgentEvent, Outcome, SessionSpec } from "../../src/agents/backend.ts";
import type { Subject } from "../../src/agents/backend.suite.ts";
import { acpBackend } from "../../src/agents/backends/acp.ts";
import { commandBackend } from "../../src/agents/backends/command.ts";
import { presetNamed } from "../../src/agents/backends/presets/table.ts";
import { startBroker } from "../../src/models/broker.ts";
import type { Protocol } from "../../src/models/model.ts";
import { agentWith, makeAgentBench, personPath, type AgentBench } from "./agent-bench.ts";
import { brokerAccess } from "./model-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "./model-server/server.ts";

export type Kind = "acp" | "command";

const variableOf = (program: string): string => `TUTTI_TEST_AGENT_${program.toUpperCase().replaceAll("-", "_")}`;

/** The path of a program that `npm run test:agents` installed or was given; the tests cannot run without it. */
export function installedProgram(preset: string, kind: Kind): string {
  const program = presetNamed(preset)?.[kind]?.program;
  assert.ok(program, `${preset} has no preset for ${kind}`);
  const path = process.env[variableOf(program)];
  assert.ok(path, `${variableOf(program)} is not set: run \`npm run test:agents -- ${preset}\``);
  return path;
}

/** The Node that runs the tests comes first: some programs are scripts, and want a newer one than the machine's. */
export const programPath = (): string => `${dirname(process.execPath)}:${personPath()}`;

export interface RealAgent extends Subject {
  bench: AgentBench;
  server: ModelServer;
  /** What the broker alone knows. */
  key: string;
}

// Only the newest words count, and only their end: a program may send a failed prompt again together with the next one.
const rules: Rule[] = [
  { name: "fail", match: String.raw`PLEASE FAIL\s+\S+$`, error: { status: 400, message: "refused by the script" } },
  { name: "limit", match: String.raw`PLEASE LIMIT$`, error: { status: 429, message: "slow down" } },
  { name: "hang", match: String.raw`PLEASE HANG\s+\S+$`, tools: true, stream: "silent" },
];

/** A model whose name the programs that check names know. */
export const modelOf: Record<Protocol, string> = { openai: "mock-model", anthropic: "claude-sonnet-4-5", google: "gemini-2.5-pro" };

export interface RealOptions {
  kind?: Kind;
  backend?: AgentBackend;
  env?: Record<string, string>;
  /** Default: the first that the preset knows. */
  protocol?: Protocol;
  settings?: Partial<Agent["settings"]>;
}

/** A session with the preset's program, which has a token of the broker; the key that the model server wants is `key`. */
export async function makeRealAgent(preset: string, options: RealOptions = {}): Promise<RealAgent> {
  const { kind = "acp", backend = kind === "acp" ? acpBackend : commandBackend, env = {} } = options;
  const program = installedProgram(preset, kind);
  const protocol = options.protocol ?? presetNamed(preset)?.protocols[0] ?? "openai";
  const [key, token] = [`key-${randomUUID()}`, `session-${randomUUID()}`];
  const server = await startModelServer(rules, { key });
  const api = protocol === "openai" ? ("chat" as const) : null;
  const model = { provider: "tests", protocol, api, model: modelOf[protocol] };
  const target = { ...model, key, baseUrl: protocol === "openai" ? `${server.url}/v1` : server.url };
  const broker = await startBroker({
    resolve: async (given) => (given === token ? [target] : []),
    log: { warn: (details, message) => console.error(message, details) },
  });
  const access = brokerAccess({ url: broker.url, token, ...model });
  const agent = agentWith(kind, { preset, command: [program], credentials: "key", provider: "tests", ...options.settings });
  const bench = await makeAgentBench(agent, { broker: access, env: { PATH: programPath(), ...env } });
  return {
    bench,
    server,
    key,
    backend,
    cwd: bench.cwd,
    spec: bench.spec,
    prompts: {
      say: (text) => `SAY ${text}`,
      write: (file, content) => `WRITE ${file}: ${content}`,
      ask: presetNamed(preset)?.[kind]?.asks ? (file, content) => `RUN echo ${content} > ${file}` : null,
      fail(text) {
        const error = { status: 400, message: `refused: ${text}` };
        server.setRules(rules.map((rule) => (rule.name === "fail" ? { ...rule, error } : rule)));
        return `PLEASE FAIL ${text}`;
      },
      limit: null,
      hang: (word) => `PLEASE HANG ${word}`,
      recall: "RECALL",
    },
    hanging: async (word) =>
      void (await server.waitFor(({ newest, rule, state }) => rule === "hang" && state === "open" && newest.includes(word), 60_000)),
    kill: () => void bench.started.at(-1)?.process.stop({ graceMs: 0 }),
    pids: bench.pids,
    environments: bench.environments,
    secrets: [key],
    cancelWithinMs: 12_000,
    async close() {
      await bench.close();
      await broker.close();
      await server.close();
    },
  };
}

export interface Turn {
  events: AgentEvent[];
  outcome: Outcome;
}

/** Opens a session, takes these turns, and closes it. */
export async function converse(
  agent: Subject,
  prompts: string[],
  { changed = {}, allow = true }: { changed?: Partial<SessionSpec>; allow?: boolean } = {},
): Promise<Turn[]> {
  const { signal } = new AbortController();
  const connection = await agent.backend.open(agent.spec(changed), signal);
  try {
    const turns: Turn[] = [];
    for (const prompt of prompts) {
      const events: AgentEvent[] = [];
      for await (const event of connection.prompt(prompt, signal)) {
        events.push(event);
        if (event.kind === "permission")
          connection.answer(event.id, allow ? (event.options.find(({ allows }) => allows)?.id ?? null) : null);
      }
      const last = events.at(-1);
      assert.ok(last?.kind === "outcome");
      turns.push({ events, outcome: last.outcome });
    }
    return turns;
  } finally {
    await connection.close();
  }
}

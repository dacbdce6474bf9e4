// A real agent program from npm against the scripted model server, as a subject of the backends' suite.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { AgentBackend, AgentEvent, Outcome, SessionSpec } from "../../src/agents/backend.ts";
import type { Subject } from "../../src/agents/backend.suite.ts";
import { agentWith, makeAgentBench, type AgentBench } from "./agent-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "./model-server/server.ts";

/** The path of a program that `scripts/agents-for-tests.mjs` installed; the tests cannot run without it. */
export function installedProgram(name: "goose" | "opencode"): string {
  const variable = `TUTTI_TEST_${name.toUpperCase()}`;
  const path = process.env[variable];
  assert.ok(path, `${variable} is not set: run \`npm run test:agents -- ${name}\``);
  return path;
}

export interface RealAgent extends Subject {
  bench: AgentBench;
  server: ModelServer;
}

// Only the newest words count, and only their end: a program may send a failed prompt again together with the next one.
const rules: Rule[] = [
  { name: "fail", match: String.raw`PLEASE FAIL\s+\S+$`, error: { status: 400, message: "refused by the script" } },
  { name: "hang", match: String.raw`PLEASE HANG\s+\S+$`, tools: true, stream: "silent" },
];

/** A session with the preset's program. The key that the broker would use is `secrets[0]`; the program gets a token instead. */
export async function makeRealAgent(
  preset: "goose" | "opencode",
  backend: AgentBackend,
  { env = {} }: { env?: Record<string, string> } = {},
): Promise<RealAgent> {
  const program = installedProgram(preset);
  const server = await startModelServer(rules);
  const broker: SessionSpec["broker"] = { url: server.url, token: `session-${randomUUID()}`, model: "mock-model" };
  const agent = agentWith("acp", { preset, command: [program, "acp"], credentials: "key", provider: "tests" });
  const bench = await makeAgentBench(agent, { broker, env });
  return {
    bench,
    server,
    backend,
    cwd: bench.cwd,
    spec: bench.spec,
    prompts: {
      say: (text) => `SAY ${text}`,
      write: (file, content) => `WRITE ${file}: ${content}`,
      ask: (file, content) => `RUN echo ${content} > ${file}`,
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
      void (await server.waitFor(({ newest, rule, state }) => rule === "hang" && state === "open" && newest.includes(word), 30_000)),
    kill: () => void bench.started.at(-1)?.process.stop({ graceMs: 0 }),
    pids: bench.pids,
    environments: bench.environments,
    secrets: ["the-provider-s-key"],
    cancelWithinMs: 12_000,
    async close() {
      await bench.close();
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

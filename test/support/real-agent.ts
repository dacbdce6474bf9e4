// A real agent program from npm against the scripted model server, as a subject of the backends' suite.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { AgentBackend, SessionSpec } from "../../src/agents/backend.ts";
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

export const standingRules: Rule[] = [
  { name: "fail", match: "PLEASE FAIL", in: "conversation", error: { status: 400, message: "" } },
  { name: "hang", match: "PLEASE HANG", tools: true, stream: "silent" },
];

/** A session with the preset's program. The key that the broker would use is `secrets[0]`; the program gets a token instead. */
export async function makeRealAgent(
  preset: "goose" | "opencode",
  backend: AgentBackend,
  { env = {} }: { env?: Record<string, string> } = {},
): Promise<RealAgent> {
  const program = installedProgram(preset);
  const server = await startModelServer();
  server.setRules(standingRules);
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
        server.setRules([
          { ...standingRules[0], match: text, in: "newest", error: { status: 400, message: `no such model ${text}` } },
          ...standingRules.slice(1),
        ]);
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

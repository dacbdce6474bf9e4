// goose, the real program: npm run test:agents -- goose
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { makeAcpBackend } from "../../src/agents/backends/acp.ts";
import { backendSuite } from "../../src/agents/backend.suite.ts";
import { rowsOf } from "../support/agent-row.ts";
import { converse, makeRealAgent, type RealAgent } from "../support/real-agent.ts";

// Its pauses between tries would make every failing call take seven seconds.
const env = { GOOSE_PROVIDER_SKIP_BACKOFF: "true" };
// It does not answer a cancel while the model is silent.
const backend = makeAcpBackend({ cancelMs: 1500 });

backendSuite("goose", () => makeRealAgent("goose", { backend, env }));

rowsOf("goose", { env, hasSuite: ["acp"] });

async function agentFor(t: TestContext): Promise<RealAgent> {
  const agent = await makeRealAgent("goose", { backend, env });
  t.after(() => agent.close());
  return agent;
}

test("goose: a prompt is one request to the model, through the broker", async (t) => {
  const agent = await agentFor(t);
  await converse(agent, ["SAY hello"]);
  const calls = agent.server.requests.filter(({ path }) => path === "/v1/chat/completions");
  assert.deepEqual(
    calls.map(({ newest }) => newest),
    ["SAY hello"],
  );
  assert.deepEqual(new Set(agent.server.requests.map(({ authorization }) => authorization)), new Set([`Bearer ${agent.key}`]));
});

test("goose: a limit of the provider is a limit", async (t) => {
  const agent = await agentFor(t);
  agent.server.setRules([{ error: { status: 429, message: "slow down", retryAfterSeconds: 1 } }]);
  const [turn] = await converse(agent, ["SAY hello"]);
  assert.equal(turn?.outcome.kind, "limited", JSON.stringify(turn?.outcome));
});

for (const [status, retryable] of [
  [401, false],
  [500, true],
] as const) {
  test(`goose: an answer ${status} of the provider is a failure${retryable ? " that may pass" : ""}`, async (t) => {
    const agent = await agentFor(t);
    agent.server.setRules([{ error: { status, message: "scripted" } }]);
    const [turn] = await converse(agent, ["SAY hello"]);
    assert.partialDeepStrictEqual(turn?.outcome, { kind: "failed", cause: "model", retryable });
  });
}

test("goose: a broken answer of the model is a failure that may pass", async (t) => {
  const agent = await agentFor(t);
  agent.server.setRules([{ stream: "broken" }]);
  const [turn] = await converse(agent, ["SAY hello"]);
  assert.partialDeepStrictEqual(turn?.outcome, { kind: "failed", cause: "model", retryable: true });
});

test("goose: what two turns took is told for each", async (t) => {
  const agent = await agentFor(t);
  agent.server.setRules([{ usage: { input: 100, output: 10 } }]);
  const turns = await converse(agent, ["SAY one", "SAY two"]);
  const usages = turns.map(({ events }) => events.find((event) => event.kind === "usage")?.usage);
  assert.deepEqual(
    usages.map((usage) => [usage?.inputTokens, usage?.outputTokens, usage?.model]),
    [
      [100, 10, "mock-model"],
      [100, 10, "mock-model"],
    ],
  );
});

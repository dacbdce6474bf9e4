import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { agentWith, makeAgentBench, type AgentBench } from "../../../test/support/agent-bench.ts";
import { brokerAccess } from "../../../test/support/model-bench.ts";
import { until } from "../../../test/support/processes.ts";
import type { AppError } from "../../errors.ts";
import { acpBackend } from "./acp.ts";
import { startCompanion } from "./companion.ts";
import { launchOf } from "./launch.ts";

const scripted = join(import.meta.dirname, "../../../test/support/acp-agents/main.ts");
const never = new AbortController().signal;
const broker = brokerAccess({ url: "http://127.0.0.1:9", token: "session-token-of-the-test" });

async function benchFor(t: TestContext, env: Record<string, string> = {}): Promise<AgentBench> {
  const settings = { preset: "openclaw", command: [process.execPath, scripted], credentials: "key" as const, env };
  const bench = await makeAgentBench(agentWith("acp", settings), { broker });
  t.after(() => bench.close());
  return bench;
}

test("an agent that needs a gateway gets one of its own, which ends with it", async (t) => {
  const bench = await benchFor(t);
  const connection = await acpBackend.open(bench.spec(), never);
  assert.equal(bench.started.length, 2);
  assert.equal(connection.abilities.permissions, false, "this preset asks nothing");
  const events = [];
  for await (const event of connection.prompt("SAY hello", never)) events.push(event);
  assert.deepEqual(events.at(-1), { kind: "outcome", outcome: { kind: "done", output: "hello" } });
  await connection.close();
  await until("nothing is left", () => bench.pids().length === 0);
});

test("a gateway that ends is why the agent cannot be started, in its own words", async (t) => {
  const bench = await benchFor(t, { GATEWAY_FAULT: "ends" });
  await assert.rejects(acpBackend.open(bench.spec(), never), (error: AppError) => {
    assert.match(error.why ?? "", /it ended: the gateway has no licence to listen/);
    return error.code === "agent_unavailable";
  });
  assert.deepEqual(bench.pids(), []);
});

test("a gateway that does not listen in time is ended, and so is one that nobody waits for any more", async (t) => {
  const bench = await benchFor(t, { GATEWAY_FAULT: "deaf" });
  const spec = bench.spec();
  const { companion, env } = launchOf(spec, { port: 9 });
  assert.ok(companion);
  await assert.rejects(startCompanion(spec, { ...companion, startMs: 300 }, env, never), (error: AppError) =>
    /did not listen within 0\.3 s/.test(error.why ?? ""),
  );
  await assert.rejects(startCompanion(spec, companion, env, AbortSignal.timeout(300)), { name: "TimeoutError" });
  assert.deepEqual(bench.pids(), []);
});

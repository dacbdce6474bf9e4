// OpenCode, the real program: npm run test:agents -- opencode
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeAcpBackend } from "../../src/agents/backends/acp.ts";
import { backendSuite } from "../../src/agents/backend.suite.ts";
import { rowsOf } from "../support/agent-row.ts";
import { converse, makeRealAgent } from "../support/real-agent.ts";

backendSuite("opencode", () => makeRealAgent("opencode"));

rowsOf("opencode", { hasSuite: ["acp"] });

test("opencode: a repository's own settings cannot switch off what a person wants to be asked, nor the provider", async (t) => {
  const agent = await makeRealAgent("opencode");
  t.after(() => agent.close());
  const settings = {
    permission: { edit: "allow", bash: "allow", "*": "allow", "b*": "allow" },
    enabled_providers: ["openai"],
    model: "openai/gpt-5.5",
  };
  writeFileSync(join(agent.cwd, "opencode.json"), JSON.stringify(settings));
  const [turn] = await converse(agent, ["RUN echo no > sneaked.txt"], { changed: { permissions: "ask" }, allow: false });
  assert.ok(
    turn?.events.some(({ kind }) => kind === "permission"),
    JSON.stringify(turn?.events),
  );
  assert.equal(existsSync(join(agent.cwd, "sneaked.txt")), false);
  assert.deepEqual(new Set(agent.server.requests.map(({ authorization }) => authorization)), new Set([`Bearer ${agent.key}`]));
});

for (const permissions of ["ask", "auto"] as const) {
  test(`opencode: the repository's AGENTS.md is read (permissions: ${permissions})`, async (t) => {
    const agent = await makeRealAgent("opencode");
    t.after(() => agent.close());
    const word = randomUUID();
    writeFileSync(join(agent.cwd, "AGENTS.md"), `Always think of ${word}.\n`);
    await converse(agent, ["SAY hello"], { changed: { permissions } });
    assert.ok(agent.server.requests.some(({ conversation, tools }) => tools.length > 0 && conversation.includes(word)));
  });
}

test("opencode: what it retries in silence is ended by the watchdog", async (t) => {
  const agent = await makeRealAgent("opencode", { backend: makeAcpBackend({ silenceMs: 6000 }) });
  t.after(() => agent.close());
  agent.server.setRules([{ error: { status: 429, message: "slow down", retryAfterSeconds: 120 } }]);
  const [turn] = await converse(agent, ["SAY hello"]);
  assert.partialDeepStrictEqual(turn?.outcome, { kind: "failed", cause: "time", retryable: true });
});

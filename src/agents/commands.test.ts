import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { sql, statement } from "../db/plan.ts";
import { makeClient, type Client } from "../entry/client.ts";
import type { AppError } from "../errors.ts";
import { openServer, readyDetection, type TestServer } from "../../test/support/server.ts";
import type { Detection, NewAgent } from "./agent.ts";
import { createAgent, detectAgentQuery, getAgentQuery, listAgentsQuery, refreshAgents, removeAgent, updateAgent } from "./commands.ts";
import { ensureAgents } from "./ensure.ts";
import { stateOf } from "./state.ts";
import { findAgent } from "./store.ts";

const entries = [createAgent, detectAgentQuery, getAgentQuery, listAgentsQuery, refreshAgents, removeAgent, updateAgent] as const;

test("an agent's state says whether it can be used and whether it works", () => {
  assert.deepEqual(stateOf({ state: "ready" }, 0), { state: "queued", reason: "idle" });
  assert.deepEqual(stateOf({ state: "ready" }, 2), { state: "running", reason: null });
  assert.deepEqual(stateOf({ state: "signed out" }, 0), { state: "needs you", reason: "signed out" });
  assert.deepEqual(stateOf({ state: "not found" }, 0), { state: "failed", reason: "not found" });
  assert.deepEqual(stateOf({ state: "unsupported version" }, 1), { state: "failed", reason: "unsupported version" });
});

suite("agents", () => {
  /** What the next probe finds. */
  const found: Detection = { ...readyDetection };
  let server: TestServer;
  let client: Client<typeof entries>;
  before(async () => {
    server = await openServer({ entries, detection: found });
    client = makeClient({ url: server.url, token: server.tokens.person, entries });
  });
  after(() => server.close());

  const goose = { backend: "acp" as const, settings: { preset: "goose" } };
  const makeTask = (id: string, agent: string, state: string) =>
    server.services.db.commit({
      statements: [
        statement(sql`
          insert into tasks (id, project, kind, state, priority, attempt, needs_left, ready_at, agent, created_at, updated_at)
          values (${id}, 'shop', 'agent', ${state}, 0, 1, 0, 0, ${agent}, 0, 0)`),
      ],
      events: [],
    });

  test("a new agent is looked for at once, and its work is counted", async () => {
    const made = await client.command("agent.create", { name: "coder", ...goose, skills: ["ts"] });
    assert.deepEqual([made.state, made.reason, made.active, made.limit, made.demo], ["queued", "idle", 0, 4, false]);
    for (const [id, state] of [
      ["T-11", "running"],
      ["T-12", "starting"],
      ["T-13", "needs you"],
      ["T-14", "queued"],
      ["T-15", "done"],
    ] as const) {
      await makeTask(id, "coder", state);
    }
    const busy = await client.query("agent.get", { name: "coder" });
    assert.deepEqual([busy.state, busy.reason, busy.active], ["running", null, 3]);
  });

  test("an agent that could not work at all is refused", async () => {
    for (const input of [
      { name: "x", backend: "acp" as const, settings: {} },
      { name: "x", backend: "command" as const, settings: {} },
      { name: "x", backend: "command" as const, settings: { preset: "openclaw" } },
      { name: "x", backend: "acp" as const, settings: { preset: "pi" } },
      { name: "x", backend: "model" as const, settings: {} },
      { name: "Not A Name", ...goose },
      { name: "x", ...goose, limit: 0 },
    ]) {
      await assert.rejects(client.command("agent.create", input), (error: AppError) => error.code === "invalid_input");
    }
    await assert.rejects(client.command("agent.create", { name: "coder", ...goose }), (error: AppError) => error.code === "conflict");
    await assert.rejects(client.query("agent.get", { name: "nobody" }), (error: AppError) => error.code === "not_found");
  });

  test("a change keeps what it does not name; new settings are tried at once", async () => {
    await client.command("agent.create", { name: "writer", ...goose, role: "writer", skills: ["docs"], limit: 2 });
    const limited = await client.command("agent.update", { name: "writer", limit: 7 });
    assert.deepEqual([limited.limit, limited.role, limited.skills, limited.settings.preset], [7, "writer", ["docs"], "goose"]);
    found.state = "signed out";
    const moved = await client.command("agent.update", { name: "writer", role: null, settings: { preset: "opencode" } });
    found.state = "ready";
    assert.deepEqual([moved.role, moved.settings.preset, moved.state, moved.reason], [null, "opencode", "needs you", "signed out"]);
    assert.deepEqual(await client.query("agent.get", { name: "writer" }), moved);
  });

  test("looking again tells what is so now; only the command remembers it", async () => {
    found.state = "not found";
    assert.equal((await client.query("agent.detect", { name: "writer" })).state, "not found");
    assert.equal((await client.query("agent.get", { name: "writer" })).detection.state, "signed out");
    const { items } = await client.command("agent.refresh", { name: "writer" });
    assert.deepEqual([items[0]?.state, items[0]?.reason], ["failed", "not found"]);
    assert.equal((await client.query("agent.get", { name: "writer" })).detection.state, "not found");
    assert.equal((await client.query("agent.get", { name: "coder" })).detection.state, "ready");
    found.state = "ready";
    assert.ok((await client.command("agent.refresh", {})).items.every(({ detection }) => detection.state === "ready"));
  });

  test("an agent with work is not removed", async () => {
    await assert.rejects(client.command("agent.remove", { name: "coder" }), (error: AppError) => error.code === "conflict");
    await client.command("agent.remove", { name: "writer" });
    assert.equal(await findAgent(server.services.db.read, "writer"), null);
  });

  test("a start makes what is missing, looks again for all, and erases nothing that a person saved", async () => {
    const agents: NewAgent[] = [
      {
        name: "demo",
        backend: "model",
        role: null,
        skills: [],
        limit: 4,
        settings: { provider: "demo", env: {}, credentials: "none", permissions: "auto" },
      },
      {
        name: "goose",
        backend: "acp",
        role: null,
        skills: [],
        limit: 4,
        settings: { preset: "goose", env: {}, credentials: "vendor", permissions: "auto" },
      },
    ];
    const defaults = agents.map((agent) => ({ choices: [agent], always: false }));
    const { services } = server;
    await ensureAgents(services, defaults);
    assert.equal((await findAgent(services.db.read, "demo"))?.demo, true);
    const saved = await client.command("agent.update", {
      name: "goose",
      limit: 9,
      settings: { preset: "goose", env: { A: "1" }, permissions: "ask" },
    });
    found.state = "not found";
    await ensureAgents(services, defaults);
    const after = await findAgent(services.db.read, "goose");
    assert.deepEqual([after?.state, after?.limit, after?.settings], ["failed", 9, saved.settings]);
    found.state = "ready";
    await ensureAgents(services, defaults);
    const events = async () =>
      (await services.db.read.all(sql`select 1 from events where stream = 'instance' and type like 'agent.%'`)).length;
    const before = await events();
    await ensureAgents(services, defaults);
    assert.equal(await events(), before, "a start that finds nothing new writes nothing");
    assert.deepEqual(
      (await client.query("agent.list", {})).items.map(({ name }) => name),
      ["coder", "demo", "goose"],
    );
  });
});

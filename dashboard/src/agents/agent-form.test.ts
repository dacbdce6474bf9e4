import assert from "node:assert/strict";
import { test } from "node:test";
import { NewAgent, type Agent } from "../../../src/agents/agent.ts";
import { createAgent, updateAgent } from "../../../src/agents/commands.ts";
import { changeOf, emptyAgent, limitOf, newAgentOf, updateOf } from "./agent-form.ts";

const draft = (more: object) => ({ ...emptyAgent, name: "a", ...more });

const agent: Agent = {
  name: "a",
  backend: "acp",
  state: "queued",
  reason: "idle",
  role: null,
  skills: ["ts"],
  limit: 4,
  active: 0,
  demo: false,
  settings: { preset: "goose", env: { LANG: "C" }, credentials: "vendor", permissions: "auto", fallbacks: [{ provider: "b" }] },
  detection: { state: "ready", version: "1", path: "/g", message: null, fix: null },
};

test("every draft that is whole is an agent for the server", () => {
  for (const more of [
    {},
    { credentials: "key", provider: "openai", model: " m " },
    { backend: "command", preset: "", command: "/bin/x\n--flag \n\n{prompt}" },
    { backend: "model", provider: "demo" },
  ]) {
    const { input, problems } = newAgentOf(draft(more) as typeof emptyAgent);
    assert.deepEqual(problems, {});
    assert.equal(createAgent.input.safeParse(input).success, true);
  }
});

test("arguments are lines, and only those that say something", () => {
  const { input } = newAgentOf(draft({ preset: "", credentials: "none", command: "/bin/x\n --say hello world \n\n" }) as typeof emptyAgent);
  assert.deepEqual(input?.settings.command, ["/bin/x", "--say hello world"]);
  assert.equal(input?.settings.preset, undefined);
});

test("what is missing is said at its field", () => {
  assert.deepEqual(Object.keys(newAgentOf({ ...emptyAgent, name: "A b" }).problems), ["name"]);
  assert.deepEqual(Object.keys(newAgentOf(draft({ preset: "" }) as typeof emptyAgent).problems), ["command"]);
  assert.deepEqual(Object.keys(newAgentOf(draft({ credentials: "key" }) as typeof emptyAgent).problems), ["provider"]);
  assert.deepEqual(Object.keys(newAgentOf(draft({ backend: "model" }) as typeof emptyAgent).problems), ["provider"]);
});

test("a choice that is not shown any more says nothing", () => {
  const own = newAgentOf(draft({ preset: "", command: "x", credentials: "vendor" }) as typeof emptyAgent);
  assert.equal(own.input?.settings.credentials, "none");
  const login = newAgentOf(draft({ credentials: "vendor", provider: "openai", command: "x" }) as typeof emptyAgent);
  assert.equal(login.input?.settings.provider, undefined);
  assert.equal(login.input?.settings.command, undefined);
  const demo = newAgentOf(draft({ backend: "model", provider: "demo", credentials: "vendor" }) as typeof emptyAgent);
  assert.equal(demo.input?.settings.credentials, "none");
  assert.equal(demo.input?.settings.preset, undefined);
});

test("only what differs is sent", () => {
  assert.equal(updateOf(agent, changeOf(agent)).input, null);
  assert.deepEqual(updateOf(agent, { ...changeOf(agent), limit: "5" }).input, { name: "a", limit: 5 });
  assert.deepEqual(updateOf(agent, { ...changeOf(agent), skills: "ts, sql,, ts " }).input, { name: "a", skills: ["ts", "sql"] });
  assert.deepEqual(updateOf({ ...agent, role: "x" }, { ...changeOf(agent), role: " " }).input, { name: "a", role: null });
});

test("a change of permissions keeps every other setting, because settings are taken whole", () => {
  const { input } = updateOf(agent, { ...changeOf(agent), permissions: "ask" });
  assert.deepEqual(input?.settings, { ...agent.settings, permissions: "ask" });
  assert.equal(updateAgent.input.safeParse(input).success, true);
});

test("a limit is what the server takes as one", () => {
  for (const text of ["0", "1001", "1.5", "-1", "", "4 5", "1e2", "9999"]) assert.equal(limitOf(text), null, text);
  for (const text of ["1", " 4 ", "1000"]) {
    assert.equal(limitOf(text), Number(text));
    assert.equal(NewAgent.shape.limit.safeParse(limitOf(text)).success, true);
  }
});

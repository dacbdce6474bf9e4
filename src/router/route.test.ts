import assert from "node:assert/strict";
import { test } from "node:test";
import type { Agent } from "../agents/agent.ts";
import { route, type Candidate } from "./route.ts";

const agent = (name: string, more: Partial<Agent> = {}): Agent => ({
  name,
  backend: "acp",
  state: "queued",
  reason: "idle",
  role: null,
  skills: [],
  limit: 2,
  active: 0,
  demo: false,
  settings: { env: {}, credentials: "none", permissions: "auto" },
  detection: { state: "ready", version: "1", path: "/x", message: null, fix: null },
  ...more,
});
const notFound = { state: "not found", version: null, path: null, message: null, fix: "install it" } as const;
const candidates = (...agents: Agent[]): Candidate[] => agents.map((one) => ({ agent: one, active: one.active, breaker: "yes" }));
const chosen = (result: ReturnType<typeof route>): string =>
  result.kind === "agent" ? result.candidate.agent.name : `wait: ${result.reason}`;

test("a named agent is taken, and no other", () => {
  assert.equal(chosen(route({ name: "b" }, candidates(agent("a"), agent("b")))), "b");
  assert.equal(chosen(route({ name: "c" }, candidates(agent("a")))), "wait: no agent");
});

test("role and skills filter: all of them must be there", () => {
  const all = candidates(agent("a", { role: "writer" }), agent("b", { skills: ["ts", "sql"] }), agent("c", { skills: ["ts"] }));
  assert.equal(chosen(route({ role: "writer" }, all)), "a");
  assert.equal(chosen(route({ skills: ["ts", "sql"] }, all)), "b");
  assert.equal(chosen(route({ skills: ["go"] }, all)), "wait: no agent");
});

test("the specialist goes before the one that can do everything, and more room before less", () => {
  assert.equal(
    chosen(route({ skills: ["ts"] }, candidates(agent("all", { skills: ["ts", "go", "sql"] }), agent("ts", { skills: ["ts"] })))),
    "ts",
  );
  assert.equal(chosen(route({}, candidates(agent("a", { active: 1 }), agent("b")))), "b");
});

test("an agent at its limit waits for capacity, one that is not there says what it lacks", () => {
  assert.equal(chosen(route({}, candidates(agent("a", { active: 2 })))), "wait: no capacity");
  assert.equal(chosen(route({ name: "a" }, candidates(agent("a", { detection: notFound })))), "wait: not found");
});

test("the demo model is not taken while a real agent is ready, even a busy one, unless it is named", () => {
  const demo = agent("demo", { demo: true });
  assert.equal(chosen(route({}, candidates(demo, agent("z")))), "z");
  assert.equal(chosen(route({}, candidates(demo, agent("z", { active: 2 })))), "wait: no capacity");
  assert.equal(chosen(route({}, candidates(demo, agent("z", { detection: notFound })))), "demo");
  assert.equal(chosen(route({ name: "demo" }, candidates(demo, agent("z")))), "demo");
});

test("every choice is explained", () => {
  const result = route({ skills: ["ts"] }, candidates(agent("a", { skills: ["ts"] })));
  assert.match(result.why, /ts/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Agent } from "../agents/agent.ts";
import type { Candidate } from "../router/route.ts";
import type { Lane } from "../tasks/lane.ts";
import { chooseWork, roomFor, type LaneView, type Room } from "./choose.ts";

const agent = (name: string, limit: number, role: string | null = null): Agent => ({
  name,
  backend: "command",
  state: "queued",
  reason: "idle",
  role,
  skills: [],
  limit,
  active: 0,
  demo: false,
  settings: { env: {}, credentials: "none", permissions: "auto" },
  detection: { state: "ready", version: "1", path: "/x", message: null, fix: null },
});

const roomOf = (candidates: Candidate[], project = 100, keys: Record<string, number> = {}): Room => ({
  candidates: new Map(candidates.map((one) => [one.agent.name, one])),
  keys: new Map(Object.entries(keys)),
  project,
});

const free = (one: Agent, active = 0, breaker: Candidate["breaker"] = "yes"): Candidate => ({ agent: one, active, breaker });

interface Task {
  id: string;
  priority: number;
  seq: number;
}

let seq = 0;
const task = (id: string, priority = 0): Task => ({ id, priority, seq: (seq += 1) });
const lane = (agentOf: Lane["agent"], limits: Lane["limits"] = []): Lane => ({ agent: agentOf, limits });
const named = (name: string, ...tasks: Task[]): LaneView<Task> => ({ lane: lane({ name }), tasks });
const ids = (given: { task: Task }[]): string[] => given.map((one) => one.task.id);

test("the higher priority goes first, then the older, over all lanes", () => {
  const lanes = [named("a", task("old"), task("young")), named("b", task("high", 5)), { lane: lane(null), tasks: [task("last")] }];
  const { given } = chooseWork(lanes, roomOf([free(agent("a", 9)), free(agent("b", 9))]));
  assert.deepEqual(ids(given), ["high", "old", "young", "last"]);
});

test("a lane that is held up holds up no other, and says why", () => {
  const busy = Array.from({ length: 60 }, (_, index) => task(`busy-${index}`, 9));
  const { given, held } = chooseWork(
    [named("busy", ...busy), named("free", task("mine"))],
    roomOf([free(agent("busy", 1), 1), free(agent("free", 1))]),
  );
  assert.deepEqual(ids(given), ["mine"]);
  assert.equal(held.get(0)?.reason, "no capacity");
});

test("tasks of one key run at most as many at once as its limit says, those at work counted", () => {
  const limits = [{ key: "deploy", limit: 2 }];
  const lanes = [{ lane: lane(null, limits), tasks: [task("one"), task("two"), task("three")] }];
  assert.deepEqual(ids(chooseWork(lanes, roomOf([])).given), ["one", "two"]);
  assert.deepEqual(ids(chooseWork(lanes, roomOf([], 100, { deploy: 1 })).given), ["one"]);
  const full = roomOf([], 100, { deploy: 2 });
  assert.equal(roomFor(lane(null, limits), full).held?.reason, "concurrency");
  assert.equal(chooseWork(lanes, full).held.get(0)?.reason, "concurrency");
});

test("an agent that rests is not chosen, and one that may be tried gets one task only", () => {
  const lanes = [named("a", task("one"), task("two"))];
  const rests = roomOf([free(agent("a", 9), 0, "no")]);
  assert.equal(chooseWork(lanes, rests).held.get(0)?.reason, "circuit open");
  assert.equal(roomFor(lane({ name: "a" }), rests).tasks, 0);
  const trial = chooseWork(lanes, roomOf([free(agent("a", 9), 0, "trial")]));
  assert.deepEqual([ids(trial.given), trial.given[0]?.isTrial, trial.held.get(0)?.reason], [["one"], true, "circuit open"]);
});

test("the view that is given is not changed", () => {
  const room = roomOf([free(agent("a", 9))]);
  chooseWork([named("a", task("one"))], room);
  assert.equal(room.candidates.get("a")?.active, 0);
});

test("whatever waits: no limit is passed, nothing is given twice, and nothing that could start is left waiting", () => {
  const agents = fc.array(fc.record({ limit: fc.integer({ min: 1, max: 4 }), active: fc.nat(4), role: fc.constantFrom("x", "y") }), {
    minLength: 1,
    maxLength: 4,
  });
  const laneOf = fc.record({
    agent: fc.constantFrom<Lane["agent"]>(null, { role: "x" }, { role: "y" }, { name: "a0" }, {}),
    limits: fc.constantFrom<Lane["limits"]>(
      [],
      [{ key: "k", limit: 2 }],
      [
        { key: "k", limit: 2 },
        { key: "l", limit: 1 },
      ],
    ),
    tasks: fc.array(fc.integer({ min: -1, max: 1 }), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(agents, fc.array(laneOf, { maxLength: 5 }), fc.nat(10), fc.nat(2), (all, views, project, k) => {
      const candidates = all.map(({ limit, active, role }, index) => free(agent(`a${index}`, limit, role), Math.min(active, limit)));
      const room = roomOf(candidates, project, { k });
      const lanes = views.map((view) => ({
        lane: lane(view.agent, view.limits),
        tasks: view.tasks.toSorted((a, b) => b - a).map((priority, index) => ({ id: `${index}`, priority, seq: (seq += 1) })),
      }));
      const { given, held } = chooseWork(lanes, room);
      assert.equal(new Set(given.map((one) => one.task)).size, given.length);
      assert.ok(given.length <= project);
      for (const { agent: one, active } of candidates) {
        const sessions = active + given.filter((each) => each.agent?.name === one.name).length;
        assert.ok(sessions <= one.limit, `${one.name} has ${sessions}`);
      }
      const ofKey = (key: string): number =>
        given.filter((one) => lanes.find(({ tasks }) => tasks.includes(one.task))?.lane.limits.some((limit) => limit.key === key)).length;
      assert.ok(k + ofKey("k") <= Math.max(2, k) && ofKey("l") <= 1);
      for (const [index, view] of lanes.entries()) {
        const left = view.tasks.filter((each) => !given.some((one) => one.task === each));
        assert.equal(left.length > 0 && !held.has(index) && given.length < project, false, "a lane with work left says why");
      }
    }),
  );
});

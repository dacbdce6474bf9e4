import type { Agent } from "../agents/agent.ts";
import { insertAgent } from "../agents/store.ts";
import { AppError, toAppError } from "../errors.ts";
import { compileFlow } from "../flows/compile.ts";
import type { Flow } from "../flows/flow.ts";
import { planFirstMoves } from "../flows/progress.ts";
import { insertRuns, insertSteps } from "../flows/writes.ts";
import type { RunRow } from "../flows/store.ts";
import { mergePlans, type Db, type Plan } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import { ProjectSettings } from "../projects/project.ts";
import { insertProject } from "../projects/store.ts";
import type { Assignment, AttemptOutcome } from "../runners/message.ts";
import { fractionOf } from "../spread.ts";
import type { Random } from "./random.ts";
import type { Behaviour } from "./runner.ts";

/** What a seed's world is made of, and what happens in it: made up, but of the product's own nouns. */
export interface World {
  servers: number;
  runners: { name: string; home: string | null }[];
  projects: Map<string, number>;
  agents: Map<string, number>;
  tasks: NewTask[];
  runs: { at: number; project: string; flow: Flow; inputs: Record<string, unknown> }[];
  /** Faults end then; ms. */
  calmAt: number;
  plan: Plan;
  agentRows: Agent[];
}

export interface NewTask {
  at: number;
  title: string;
  input: Record<string, unknown>;
  /** How many of the newest tasks before it, by their place. */
  needs: number[];
  /** When a person stops it. */
  stopAt: number | null;
  retries: boolean;
}

const flowTexts = [
  `name: chain
steps:
  - id: one
    agent: ada
    prompt: one
  - id: two
    agent: ada
    prompt: "two after \${{ steps.one.output }}"
  - id: three
    run: [echo, three]
`,
  `name: diamond
steps:
  - id: top
    agent: ada
    prompt: top
  - id: left
    needs: [top]
    agent: ada
    prompt: left
  - id: right
    needs: [top]
    run: [echo, right]
  - id: middle
    needs: [top]
    run: [echo, middle]
  - id: bottom
    needs: [left, right, middle]
    run: [echo, bottom]
`,
  `name: group
inputs: { parts: { type: array } }
steps:
  - id: each
    each: "\${{ inputs.parts }}"
    as: part
    parallel: 3
    run: [echo, "\${{ part }}"]
    join: { quorum: 0.5 }
  - id: sum
    fold: "\${{ steps.each.outputs }}"
    agent: ada
    prompt: sum
`,
  `name: question
steps:
  - id: first
    run: [echo, first]
  - id: ok
    ask: { who: owner, question: "Go on?", timeout: 8s, default: no }
  - id: land
    if: "\${{ steps.ok.answer == 'yes' }}"
    merge: "\${{ steps.first }}"
  - id: last
    needs: [first]
    run: [echo, last]
`,
];

/** Compiled once: a run is begun from the graph. */
const compiledFlows: Flow[] = [];
export function flows(): readonly Flow[] {
  if (compiledFlows.length === 0) {
    for (const text of flowTexts) {
      const { flow, problems } = compileFlow(text, { file: "flow.yaml", readFile: () => null });
      if (!flow) throw new Error(`a flow of the simulator does not compile: ${JSON.stringify(problems)}`);
      compiledFlows.push(flow);
    }
  }
  return compiledFlows;
}

const readyAgent: Omit<Agent, "name" | "limit"> = {
  backend: "command",
  state: "queued",
  reason: "idle",
  role: null,
  skills: [],
  active: 0,
  demo: false,
  settings: { command: ["true"], env: {}, credentials: "none", permissions: "ask" },
  detection: { state: "ready", version: "1.0.0", path: "/usr/bin/true", message: null, fix: null },
};

const agentNames = ["ada", "ben", "cleo", "dan", "eve", "fay"];

export function makeWorld(random: Random, now: number, isHard: boolean): World {
  const servers = random.whole(1, 3);
  const projects = new Map(
    Array.from({ length: random.chance(0.5) ? 1 : random.whole(2, 4) }, (_, index) => [`p${index}`, random.whole(1, 4)]),
  );
  const agents = new Map(agentNames.slice(0, random.whole(2, 6)).map((name) => [name, random.whole(1, 3)]));
  const runners = Array.from({ length: random.whole(1, 3) }, (_, index) => ({
    name: `r${index}`,
    home: random.chance(0.3) ? `s${random.whole(0, servers - 1)}` : null,
  }));
  const spanMs = random.whole(2_000, 15_000);
  const tasks = Array.from({ length: random.chance(0.1) ? random.whole(20, 40) : random.whole(5, 9) }, (_, index) =>
    makeTask(random, index, { projects: [...projects.keys()], agents: [...agents.keys()], spanMs, now }),
  );
  tasks.sort((one, other) => one.at - other.at);
  const runs = Array.from({ length: random.chance(0.4) ? random.whole(1, 2) : 0 }, () => {
    const flow = random.pick(flows());
    const inputs: Record<string, unknown> =
      flow.name === "group" ? { parts: Array.from({ length: random.whole(isHard ? 0 : 1, 5) }, (_, at) => `part ${at}`) } : {};
    return { at: random.next() * spanMs, project: random.pick([...projects.keys()]), flow, inputs };
  });
  const agentRows = [...agents].map(([name, limit]): Agent => ({ ...readyAgent, name, limit }));
  const plan: Plan = {
    statements: [
      ...[...projects].map(([id, limit]) =>
        insertProject({ id, name: id, source: `/${id}`, baseBranch: "main", settings: ProjectSettings.parse({ limit }), createdAt: now }),
      ),
      ...agentRows.map((agent) => insertAgent(agent, now)),
    ],
    events: [],
  };
  return { servers, runners, projects, agents, agentRows, tasks, runs, calmAt: spanMs + random.whole(1_000, 8_000), plan };
}

function makeTask(
  random: Random,
  index: number,
  { projects, agents, spanMs, now }: { projects: string[]; agents: string[]; spanMs: number; now: number },
): NewTask {
  const at = random.next() * spanMs;
  const title = `request ${index}`;
  const input: Record<string, unknown> = { project: random.pick(projects), prompt: title };
  if (random.chance(0.6)) input["agent"] = random.pick(agents);
  if (random.chance(0.3)) input["priority"] = random.whole(-2, 2);
  if (random.chance(0.15)) input["delay"] = random.whole(1, 4);
  if (random.chance(0.15)) input["deadline"] = now + Math.floor(at) + random.whole(5_000, 20_000);
  if (random.chance(0.3)) input["concurrency"] = [{ key: random.pick(["k1", "k2"]), limit: 1 }];
  input["retry"] = { attempts: random.whole(1, 3), backoff: { base_ms: random.whole(0, 300), factor: 2, max_ms: 1_000, jitter: 0.2 } };
  const needs = random.chance(0.35) ? Array.from({ length: random.whole(1, 2) }, () => random.whole(1, 4)) : [];
  const stopAt = random.chance(0.15) ? at + random.next() * 6_000 : null;
  return { at, title, input, needs, stopAt, retries: random.chance(0.3) };
}

/** What the agent of an attempt does: decided by the names alone, so that it does not hang on the order in which things happen. */
export function behave(seed: number, isCalm: boolean, { task, attempt, spec }: Assignment): Behaviour {
  const draw = (what: string): number => fractionOf(`${seed} ${task} ${attempt} ${what}`);
  const done: AttemptOutcome = {
    kind: "done",
    output: "ok",
    commit: `c-${task}`,
    base: "c0",
    files: [],
    branch: null,
    note: null,
    verified: null,
  };
  const failed = (retryable: boolean): AttemptOutcome => ({
    kind: "failed",
    reason: spec.kind === "agent" ? "agent failed" : "command failed",
    message: "it ended with 1",
    retryable,
    commit: null,
    base: null,
    files: [],
  });
  const kind = isCalm ? 0 : draw("kind");
  // In some worlds one thing fails always: that is what breakers are for.
  const isBad = !isCalm && fractionOf(`${seed} bad`) < 0.25 && draw("bad") < 0.7;
  const outcome: AttemptOutcome =
    isBad || (kind > 0.62 && kind < 0.8)
      ? failed(true)
      : kind < 0.62
        ? done
        : kind < 0.86
          ? failed(false)
          : kind < 0.92
            ? { kind: "limited", retryAt: null, message: "limit" }
            : done;
  const slow = !isCalm && draw("slow") < 0.15 ? 8_000 : 400;
  return {
    outcome: outcome.kind === "limited" ? { ...outcome, retryAt: 0 } : outcome,
    // Commands of one run often end at the same moment: that is when its steps might overlook each other.
    pauses:
      spec.kind === "run"
        ? [30]
        : Array.from({ length: 1 + Math.floor(draw("count") * 2) }, (_, index) => 20 + draw(`pause ${index}`) * slow),
    asks: !isCalm && draw("asks") < 0.06,
    hasTurn: draw("turn") < 0.3,
    neverEnds: !isCalm && draw("never") < 0.05,
    isDeaf: draw("deaf") < 0.3,
  };
}

/** Begins a run as `run.create` does, from a graph that is compiled already. */
export async function beginRun(
  db: Db,
  { project, flow, inputs, now }: { project: string; flow: Flow; inputs: Record<string, unknown>; now: number },
): Promise<string> {
  const { result } = await transact(db, async () => {
    const id = `R-${await db.nextNumber("run")}`;
    const row: RunRow = {
      id,
      project,
      flow: flow.name,
      state: "queued",
      reason: "new",
      message: null,
      graph: JSON.stringify(flow),
      inputs: JSON.stringify(inputs),
      agents: "{}",
      base: "c0",
      revision: 0,
      cancel_requested: 0,
      deadline: null,
      created_at: now,
      updated_at: now,
      finished_at: null,
    };
    const rows: Plan = {
      statements: [
        insertRuns({
          id,
          project,
          flow: row.flow,
          graph: row.graph,
          inputs: row.inputs,
          agents: row.agents,
          base: row.base,
          deadline: null,
          now,
        }),
        insertSteps(...flow.steps.map((step, position) => ({ run: id, id: step.id, position, kind: step.kind, now }))),
      ],
      events: [{ stream: project, type: "run.created", run: id, data: { flow: row.flow, steps: flow.steps.length } }],
    };
    return { plan: mergePlans(rows, await planFirstMoves(db, row, now)), result: id };
  });
  return result;
}

export const isUnclear = (error: unknown): boolean => toAppError(error).retryable;
export const tookTooLong = (): AppError => new AppError("unreachable", "no answer from the server");

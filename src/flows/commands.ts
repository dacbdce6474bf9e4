import { z } from "zod";
import { makeCache } from "../db/cache.ts";
import { list, mergePlans, sql, statement, type Plan, type Reader } from "../db/plan.ts";
import { AppError, conflict, invalidInput, notFound } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { createdCursor } from "../cursor.ts";
import { insertRuns, insertSteps } from "./writes.ts";
import { compileFlow } from "./compile.ts";
import { lintText } from "./lint.ts";
import { Run, type Flow, type Problem } from "./flow.ts";
import { RunCard, StepCard, toRunCards, toStepCards } from "./overview.ts";
import { planFirstMoves, planProgress } from "./progress.ts";
import { getRun, graphOf, listRuns, listSteps, listTopSteps, stepCursor, toRun, type RunRow } from "./store.ts";

/** A flow as a client sends it: its text and the files that it names, read where the client is. */
const FlowSource = z.strictObject({
  source: z.string().max(256_000).describe("the flow's YAML"),
  file: z.string().max(1000).default("flow.yaml").describe("its name, for messages"),
  files: z.record(z.string(), z.string().max(256_000)).default({}).describe("prompt and schema files by the path that the flow names"),
});

const compile = ({ source, file, files }: z.infer<typeof FlowSource>): { flow: Flow | null; problems: Problem[] } =>
  compileFlow(source, { file, readFile: (path) => (Object.hasOwn(files, path) ? (files[path] ?? null) : null) });

export const lintFlow = command({
  name: "flow.lint",
  help: "Check a flow: every mistake with file, line and column. Nothing is run.",
  input: FlowSource,
  output: z.object({
    ok: z.boolean(),
    problems: z.array(
      z.object({ at: z.object({ file: z.string(), line: z.int(), column: z.int() }), message: z.string(), fix: z.string().nullable() }),
    ),
  }),
  access: "person",
  mcp: { tool: "check_flow", group: "runs" },
  decide: async (input) => {
    const { flow, problems } = compile(input);
    return { plan: null, result: { ok: flow !== null, problems } };
  },
});

/** The same flow is run many times: reading it costs more than anything else of a run's beginning. What was read is not to be changed. */
const compiled = makeCache(50, (text: string) => compile(FlowSource.parse(JSON.parse(text))));

export const createRun = command({
  name: "run.create",
  help: "Run a flow in a project.",
  input: FlowSource.extend({
    project: z.string(),
    inputs: z.record(z.string(), z.unknown()).default({}).describe("the flow's inputs by name"),
    agents: z.record(z.string(), z.string()).default({}).describe("agents that stand in for names in the flow"),
  }),
  output: Run,
  access: "person",
  mcp: { tool: "create_run", group: "runs" },
  async decide(input, { read, db, now, workspaces }) {
    const { flow, problems } = compiled(JSON.stringify({ source: input.source, file: input.file, files: input.files }));
    if (!flow) {
      throw new AppError("invalid_input", `the flow has ${problems.length} mistake${problems.length === 1 ? "" : "s"}`, {
        why: lintText(problems),
        fix: [`tutti flow lint ${input.file}`],
      });
    }
    const project = await read.one<{ id: string; source: string; base_branch: string }>(
      sql`select id, source, base_branch from projects where id = ${input.project}`,
    );
    if (!project) throw notFound("project", input.project, ["tutti projects"]);
    const inputs = readInputs(flow, input.inputs);
    await agentsMustExist(read, flow, input.agents);
    const repository = { project: project.id, source: project.source, baseBranch: project.base_branch };
    const { head } = await workspaces.refresh(repository);
    const id = `R-${await db.nextNumber("run")}`;
    const deadline = deadlineOf(flow, now);
    const row: RunRow = {
      id,
      project: project.id,
      flow: flow.name,
      state: "queued",
      reason: "new",
      message: null,
      graph: JSON.stringify(flow),
      inputs: JSON.stringify(inputs),
      agents: JSON.stringify(input.agents),
      base: head,
      revision: 0,
      cancel_requested: 0,
      deadline,
      created_at: now,
      updated_at: now,
      finished_at: null,
    };
    const first = await planFirstMoves(db, row, now);
    return { plan: mergePlans(insertRun(row, flow), first), result: { ...toRun(row), state: "running" as const, reason: null } };
  },
});

/** A retry gets the minutes anew: under the old deadline it would be stopped at once. */
const deadlineOf = (flow: Flow, now: number): number | null => (flow.minutes === null ? null : now + flow.minutes * 60_000);

function insertRun(row: RunRow, flow: Flow): Plan {
  return {
    statements: [
      insertRuns({
        id: row.id,
        project: row.project,
        flow: row.flow,
        graph: row.graph,
        inputs: row.inputs,
        agents: row.agents,
        base: row.base,
        deadline: row.deadline,
        now: row.created_at,
      }),
      insertSteps(...flow.steps.map((step, position) => ({ run: row.id, id: step.id, position, kind: step.kind, now: row.created_at }))),
    ],
    events: [{ stream: row.project, type: "run.created", run: row.id, data: { flow: row.flow, steps: flow.steps.length } }],
  };
}

/** Inputs as the flow declares them, with its defaults. Throws AppError invalid_input naming what is unknown, missing or of another type. */
function readInputs(flow: Flow, given: Record<string, unknown>): Record<string, unknown> {
  const declared = Object.keys(flow.inputs).join(", ") || "none";
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(flow.inputs, name)) throw invalidInput(`the flow has no input "${name}"`, `its inputs are: ${declared}`);
  }
  const inputs: Record<string, unknown> = {};
  for (const [name, input] of Object.entries(flow.inputs)) {
    const value = Object.hasOwn(given, name) ? given[name] : input.default;
    if (value === undefined) throw invalidInput(`input "${name}" is missing`, `the flow needs it (${input.type})`, [`--input ${name}=...`]);
    const type = Array.isArray(value) ? "array" : typeof value;
    if (type !== input.type) throw invalidInput(`input "${name}" must be a ${input.type}`, `it is a ${type}`);
    inputs[name] = value;
  }
  return inputs;
}

async function agentsMustExist(read: Reader, flow: Flow, stands: Record<string, string>): Promise<void> {
  const known = new Set((await read.all<{ name: string }>(sql`select name from agents`)).map((row) => row.name));
  for (const step of flow.steps) {
    const work = step.kind === "each" || step.kind === "fold" ? step.work : step;
    const name = work.kind === "agent" ? work.agent.name : undefined;
    if (!name) continue;
    const agent = stands[name] ?? name;
    if (known.has(agent)) continue;
    const place = `${step.at.file}:${step.at.line}:${step.at.column}`;
    throw new AppError("not_found", `agent "${agent}" does not exist`, {
      why: `step ${step.id} (${place}) wants it; there are: ${[...known].toSorted().join(", ")}`,
      fix: [`--agent ${name}=<one of them>`, "tutti agents"],
    });
  }
}

const Id = z.strictObject({ id: z.string() });

export const stopRun = command({
  name: "run.stop",
  help: "Stop a run: nothing new starts, what runs is ended.",
  input: Id,
  output: Run,
  access: "person",
  mcp: { tool: "stop_run", group: "runs" },
  async decide({ id }, { read }) {
    const row = await getRun(read, id);
    if (row.finished_at !== null || row.cancel_requested !== 0) return { plan: null, result: toRun(row) };
    return { plan: planStopRun(row, "person"), result: toRun(row) };
  },
});

/** Marks the run and its tasks; the project's orchestrator ends them. */
export function planStopRun(row: RunRow, why: "person" | "time limit"): Plan {
  return {
    statements: [
      statement(sql`
        update runs set cancel_requested = ${why === "person" ? 1 : 2}, revision = revision + 1
         where id = ${row.id} and revision = ${row.revision} and finished_at is null`),
      statement(
        sql`update tasks set cancel_requested = 1, cancel_at = tutti_now(), ready = 0
             where run = ${row.id} and state not in ('done', 'failed', 'cancelled') and cancel_requested <> 1`,
        "any",
      ),
      statement(sql`update approvals set state = 'expired' where run = ${row.id} and kind = 'ask' and state = 'open'`, "any"),
    ],
    events: [{ stream: row.project, type: "run.stop-requested", run: row.id, data: { why } }],
  };
}

export const retryRun = command({
  name: "run.retry",
  help: "Go on with a failed or stopped run from the steps that were not done.",
  input: Id,
  output: Run,
  access: "person",
  mcp: { tool: "retry_run", group: "runs" },
  async decide({ id }, { read, db, now }) {
    const row = await getRun(read, id);
    if (row.state !== "failed" && row.state !== "cancelled") {
      throw conflict(`run ${id} is ${row.state}`, "only a failed or stopped run can be retried", [`tutti show ${id}`]);
    }
    const again = (await listTopSteps(read, id)).filter(
      (step) => step.state !== "done" && !(step.state === "skipped" && step.reason === "condition"),
    );
    const ids = again.map((step) => step.id);
    // A group that failed starts anew as a whole; its finished items keep their tasks and commits in the log.
    const reset: Plan = {
      statements: [
        statement(sql`delete from steps where run = ${id} and parent in (${list(ids)})`, "any"),
        statement(
          sql`update steps set state = 'queued', reason = 'needs', message = null, verified = null, task = null, approval = null, output = null,
                     wanted = null, created = null, done = null, failed = null, cancelled = null, items = null, finished_at = null
               where run = ${id} and id in (${list(ids)})`,
          ids.length,
        ),
        statement(sql`
          update runs set state = 'running', reason = null, message = null, cancel_requested = 0, finished_at = null, revision = revision + 1,
                 deadline = ${deadlineOf(graphOf(row), now)}
           where id = ${id} and revision = ${row.revision}`),
      ],
      events: [{ stream: row.project, type: "run.retried", run: id, data: { steps: ids.slice(0, 50) } }],
    };
    const renewed: RunRow = { ...row, revision: row.revision + 1, cancel_requested: 0, finished_at: null };
    const moves = await planProgress(db, renewed, now, new Set(ids));
    return { plan: mergePlans(reset, moves), result: { ...toRun(row), state: "running" as const, reason: null, finishedAt: null } };
  },
});

/** `done,failed`, or several of them. */
const RunStates = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().flatMap((text) => text.split(",")))
  .pipe(z.array(Run.shape.state));

export const listRunsQuery = query({
  name: "run.list",
  help: "Runs of flows, the newest first.",
  path: "/runs",
  input: Page.extend({ project: z.string().optional(), state: RunStates.optional() }),
  output: listOf(RunCard),
  access: "person",
  mcp: { tool: "list_runs", group: "runs" },
  async run({ project, state, cursor, limit }, { read }) {
    const { items, next } = page(await listRuns(read, { project, states: state, cursor, limit: limit + 1 }), limit, createdCursor);
    return { items: await toRunCards(read, items), next };
  },
});

export const getRunQuery = query({
  name: "run.get",
  help: "One run with its graph.",
  path: "/runs/:id",
  input: Id,
  output: RunCard.extend({ graph: z.unknown() }),
  access: "person",
  mcp: { tool: "get_run", group: "runs" },
  async run({ id }, { read }) {
    const row = await getRun(read, id);
    const [card] = await toRunCards(read, [row]);
    if (!card) throw notFound("run", id, ["tutti ls runs"]);
    return { ...card, graph: graphOf(row) };
  },
});

export const listStepsQuery = query({
  name: "run.steps",
  help: "The steps of a run in the order of its flow, each group followed by its items; or only one group's items, or no items.",
  path: "/runs/:id/steps",
  input: Page.extend({
    id: z.string(),
    group: z.string().optional().describe("only the items of this group"),
    items: z.boolean().default(true).describe("false: without the items of groups"),
  }),
  output: listOf(StepCard),
  access: "person",
  mcp: { tool: "list_steps", group: "runs" },
  async run({ id, group, items: withItems, cursor, limit }, { read, now }) {
    await getRun(read, id);
    const among = group ?? (withItems ? undefined : null);
    const { items, next } = page(await listSteps(read, id, { group: among, cursor, limit: limit + 1 }), limit, stepCursor);
    return { items: await toStepCards(read, id, items, now), next };
  },
});

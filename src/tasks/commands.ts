import { z } from "zod";
import { sql, statement, type Plan, type Reader } from "../db/plan.ts";
import { conflict, invalidInput, notFound } from "../errors.ts";
import { ensureCommit } from "../sessions/bring-commit.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { planAgain } from "./again.ts";
import { Board, readBoard } from "./board.ts";
import { Limit } from "./lane.ts";
import { RetryPolicy } from "./retry.ts";
import { addDependent, cursorOf, findTask, getTask, getTaskDetails, insertTask, listTasks, toTask, type TaskRow } from "./store.ts";
import { Check, isTerminal, State, Task, TaskView, titleOf, type TaskSpec } from "./task.ts";
import { viewTask } from "./view.ts";

const Id = z.object({ id: z.string() });

export const createTask = command({
  name: "task.create",
  isFrequent: true,
  help: "Queue a prompt for an agent; the result is a branch in the person's repository.",
  input: z.strictObject({
    project: z.string(),
    prompt: z.string().min(1).max(1_000_000).describe("what to do"),
    agent: z.string().optional().describe("the agent's name; without it the one that fits best"),
    role: z.string().optional().describe("only an agent with this role"),
    skills: z.array(z.string()).max(20).optional().describe("only an agent with all of these"),
    needs: z.array(z.string()).max(100).default([]).describe("tasks that must be done before"),
    priority: z.int().min(-100).max(100).default(0).describe("higher goes first"),
    minutes: z.number().positive().max(10_080).optional().describe("wall time for one attempt"),
    notBefore: z.int().min(0).optional().describe("it does not start before this time, ms since 1970"),
    delay: z.number().min(0).max(31_536_000).optional().describe("it does not start before so many seconds are over"),
    deadline: z.int().min(0).optional().describe("it fails when it is not over by this time, ms since 1970"),
    concurrency: z.array(Limit).max(5).default([]).describe("limits that it shares with other tasks of the project"),
    retry: RetryPolicy.optional().describe("how often it is tried, and how long it waits in between"),
    check: Check.optional().describe("what must pass before it counts as done"),
    output: z.record(z.string(), z.unknown()).optional().describe("JSON Schema that the answer must fit"),
    includeDirty: z.boolean().default(false).describe("start from the uncommitted work too"),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
      .default({})
      .describe("environment variables"),
  }),
  output: Task,
  access: "person",
  mcp: { tool: "create_task", group: "tasks" },
  async decide(input, { read, db, now }) {
    await mustExist(read, "project", input.project);
    if (input.agent) await mustExist(read, "agent", input.agent);
    const { agent: name, role, skills, prompt, minutes, check, output, includeDirty, env, retry } = input;
    const { project, priority, concurrency: limits, deadline = null } = input;
    const readyAt = Math.max(now, input.notBefore ?? 0, now + (input.delay ?? 0) * 1000);
    if (deadline !== null && deadline <= readyAt)
      throw invalidInput("the deadline is over before the task may start", `it may start at ${readyAt}, its deadline is ${deadline}`, [
        "give a later deadline",
      ]);
    const needs = [...new Set(input.needs)];
    const open = await openNeeds(read, needs, project);
    const spec: TaskSpec = {
      kind: "agent",
      prompt,
      agent: { name, role, skills },
      minutes,
      check,
      output,
      includeDirty,
      env,
      retry,
      base: null,
    };
    const id = `T-${await db.nextNumber("task")}`;
    const needsLeft = open.length;
    const plan = insertTask({ id, project, spec, priority, run: null, step: null, needs, needsLeft, limits, readyAt, deadline, now });
    if (needsLeft > 0) plan.statements.unshift(addDependent(...open.map((need) => ({ need }))));
    return { plan, result: newTask(id, project, spec, { priority, needs, needsLeft, readyAt, deadline, now }) };
  },
});

function newTask(
  id: string,
  project: string,
  spec: TaskSpec,
  more: { priority: number; needs: string[]; needsLeft: number; readyAt: number; deadline: number | null; now: number },
): Task {
  return {
    id,
    project,
    kind: spec.kind,
    title: spec.kind === "agent" ? titleOf(spec.prompt) : id,
    state: "queued",
    reason: more.needsLeft > 0 ? "needs" : more.readyAt > more.now ? "delayed" : "new",
    message: null,
    verified: null,
    attempt: 0,
    priority: more.priority,
    run: null,
    step: null,
    agent: null,
    session: null,
    needs: more.needs,
    readyAt: more.readyAt,
    deadline: more.deadline,
    createdAt: more.now,
    updatedAt: more.now,
    finishedAt: null,
  };
}

/** Projects that were seen: they are never removed. By their store, as a process may have several. */
const seen = new WeakMap<Reader, Set<string>>();

/** Throws AppError not_found with the names that there are. */
async function mustExist(read: Reader, what: "project" | "agent", name: string): Promise<void> {
  const projects = seen.get(read) ?? new Set<string>();
  seen.set(read, projects);
  if (what === "project" && projects.has(name)) return;
  const found = what === "project" ? sql`select 1 from projects where id = ${name}` : sql`select 1 from agents where name = ${name}`;
  if (await read.one(found)) {
    if (what === "project") projects.add(name);
    return;
  }
  const rows =
    what === "project"
      ? await read.all<{ name: string }>(sql`select id as name from projects order by id limit 100`)
      : await read.all<{ name: string }>(sql`select name from agents order by name limit 100`);
  const known = rows.map((row) => row.name).join(", ");
  throw notFound(what, name, [known ? `use one of: ${known}` : what === "project" ? "tutti projects add <folder>" : "tutti agents"]);
}

/**
 * Those of the needs that are not done yet. A task cannot need itself or something later: it does not exist yet when its needs
 * are named, so no cycle can be made.
 */
async function openNeeds(read: Reader, needs: string[], project: string): Promise<string[]> {
  const open: string[] = [];
  for (const id of needs) {
    const need = await getTask(read, id);
    if (need.project !== project) throw invalidInput(`task ${id} belongs to another project`, `it is in ${need.project}`);
    if (need.state === "failed" || need.state === "cancelled") {
      throw conflict(`task ${id} can never be done: it is ${need.state}`, undefined, [`tutti retry ${id}`]);
    }
    if (need.state === "done") continue;
    // A run makes new tasks when it is retried, so that this one might never be done.
    if (need.run)
      throw conflict(`task ${id} belongs to run ${need.run}, which is not over`, "a step's task cannot be waited for", [
        `tutti show ${need.run}`,
      ]);
    open.push(id);
  }
  return open;
}

export const mergeTask = command({
  name: "task.merge",
  help: "Merge a finished task's change into a branch of the person's repository.",
  input: z.strictObject({
    id: z.string(),
    into: z.string().optional().describe("the branch; without it the project's base branch"),
    check: z.string().optional().describe("a command that must pass on the merged tree"),
  }),
  output: Task,
  access: "person",
  cli: { verb: "merge", args: ["id"], custom: true },
  mcp: { tool: "merge_task", group: "tasks" },
  async decide({ id, into, check }, { read, db, now }) {
    const details = await getTaskDetails(read, id);
    const commit = details.result?.commit;
    if (details.state !== "done")
      throw conflict(`task ${id} is ${details.state}; only a finished one can be merged`, undefined, [`tutti show ${id}`]);
    if (!commit) throw conflict(`task ${id} changed nothing`, "there is no commit to merge", [`tutti show ${id}`]);
    const source = { step: `task/${id}`, title: details.title, commit, agent: details.agent ?? "tutti" };
    const spec: TaskSpec = {
      kind: "merge",
      sources: [source],
      into: into ?? null,
      env: {},
      base: null,
      ...(check ? { check: { run: check, retry: 0 } } : {}),
    };
    const task = `T-${await db.nextNumber("task")}`;
    const plan = insertTask({
      id: task,
      project: details.project,
      spec,
      title: `merge ${id}`,
      run: null,
      step: null,
      needs: [],
      needsLeft: 0,
      now,
    });
    // Whoever merges it has dealt with it: from here the merge is what succeeds or fails.
    plan.statements.push(
      statement(sql`
        update tasks set cleared_at = case when updated_at > ${now} then updated_at else ${now} end
         where id = ${id} and state = 'done' and attempt = ${details.attempt}`),
    );
    return {
      plan,
      result: {
        ...newTask(task, details.project, spec, { priority: 0, needs: [], needsLeft: 0, readyAt: now, deadline: null, now }),
        title: `merge ${id}`,
      },
    };
  },
});

/** `done,failed`, or several of them. */
const TaskStates = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().flatMap((text) => text.split(",")))
  .pipe(z.array(State));

export const listTasksQuery = query({
  name: "task.list",
  help: "Tasks, the newest first.",
  path: "/tasks",
  input: Page.extend({
    project: z.string().optional(),
    run: z.string().optional(),
    agent: z.string().optional(),
    state: TaskStates.optional().describe("one or several, with commas"),
    q: z.string().min(1).max(200).optional().describe("what the title contains"),
  }),
  output: listOf(Task),
  access: "person",
  mcp: { tool: "list_tasks", group: "tasks" },
  async run({ project, run, agent, state, q, cursor, limit }, { read }) {
    const rows = await listTasks(read, { project, run, agent, states: state, text: q, cursor, limit: limit + 1 });
    const { items, next } = page(rows, limit, cursorOf);
    return { items: items.map(toTask), next };
  },
});

export const taskBoard = query({
  name: "task.board",
  help: "Tasks in columns by state: each with its exact count and its first cards.",
  path: "/board",
  input: z.strictObject({
    project: z.string().optional(),
    limitPerColumn: z.coerce.number().int().min(1).max(200).default(50).describe("how many cards of each column"),
  }),
  output: Board,
  access: "person",
  mcp: { tool: "get_board", group: "fleet" },
  run: ({ project, limitPerColumn }, { read }) => readBoard(read, { project: project ?? null, limit: limitPerColumn }),
});

export const getTaskQuery = query({
  name: "task.get",
  help: "One task with its prompt, attempts and result.",
  path: "/tasks/:id",
  input: Id,
  output: TaskView,
  // Also null for a task that does not exist: an agent cannot find out which ones do.
  access: { session: async ({ id }, { read }) => (await findTask(read, id))?.session ?? null },
  mcp: { tool: "get_task", group: "tasks" },
  run: ({ id }, { read, artifacts }) => viewTask(read, artifacts, id),
});

export const taskDiff = query({
  name: "task.diff",
  help: "What a task changed, as a unified diff.",
  path: "/tasks/:id/diff",
  input: Id,
  output: z.object({ diff: z.string(), files: z.array(z.string()), base: z.string().nullable(), commit: z.string().nullable() }),
  // Also null for a task that does not exist: an agent cannot find out which ones do.
  access: { session: async ({ id }, { read }) => (await findTask(read, id))?.session ?? null },
  mcp: { tool: "task_diff", group: "tasks" },
  async run({ id }, { db, read, artifacts, workspaces }) {
    const row = await getTask(read, id);
    const { result } = await getTaskDetails(read, id);
    const session = await read.one<{ base: string | null; commit_id: string | null }>(
      sql`select base, commit_id from sessions where id = ${row.session}`,
    );
    const base = result?.base ?? session?.base ?? null;
    const commit = result?.commit ?? session?.commit_id ?? null;
    const project = await read.one<{ id: string; source: string; base_branch: string }>(
      sql`select id, source, base_branch from projects where id = ${row.project}`,
    );
    if (!base || !commit || !project) return { diff: "", files: result?.files ?? [], base, commit };
    const repository = { project: project.id, source: project.source, baseBranch: project.base_branch };
    // Another server's home may have made them.
    if (db.kind === "postgres") for (const made of [commit, base]) await ensureCommit({ read, artifacts, workspaces }, repository, made);
    const diff = await workspaces.diff({ repository, from: base, to: commit, maxBytes: 2_000_000 });
    return { diff, files: result?.files ?? [], base, commit };
  },
});

export const stopTask = command({
  name: "task.stop",
  help: "Stop a task: a queued one at once, a running one as soon as its processes are ended.",
  input: z.strictObject({ id: z.string() }),
  output: Task,
  access: "person",
  mcp: { tool: "stop_task", group: "tasks" },
  async decide({ id }, { read }) {
    const row = await getTask(read, id);
    if (isTerminal(row.state) || row.cancel_requested === 1) return { plan: null, result: toTask(row) };
    return { plan: planStop(row), result: toTask(row) };
  },
});

const planStop = (row: TaskRow): Plan => ({
  statements: [
    statement(sql`
      update tasks set cancel_requested = 1, cancel_at = tutti_now(), ready = 0
       where id = ${row.id} and state not in ('done', 'failed', 'cancelled') and cancel_requested <> 1`),
  ],
  events: [{ stream: row.project, type: "task.stop-requested", task: row.id, run: row.run, session: row.session, data: {} }],
});

export const stopAll = command({
  name: "task.stop-all",
  help: "Stop every task and run that has not ended.",
  input: z.strictObject({ project: z.string().optional() }),
  output: z.object({ tasks: z.int(), runs: z.int() }),
  access: "person",
  mcp: { tool: "stop_all_work", group: "admin" },
  async decide({ project }, { read }) {
    const inProject = project ? sql`and project = ${project}` : sql``;
    const tasks = await read.all<{ id: string; project: string }>(
      sql`select id, project from tasks where state not in ('done', 'failed', 'cancelled') ${inProject}`,
    );
    const runs = await read.all<{ id: string; project: string }>(sql`select id, project from runs where finished_at is null ${inProject}`);
    const projects = [...new Set([...tasks, ...runs].map((row) => row.project))];
    const plan: Plan = {
      statements: [
        statement(
          sql`update tasks set cancel_requested = 1, cancel_at = tutti_now(), ready = 0
               where state not in ('done', 'failed', 'cancelled') and cancel_requested <> 1 ${inProject}`,
          "any",
        ),
        statement(sql`update runs set cancel_requested = 1, revision = revision + 1 where finished_at is null ${inProject}`, "any"),
      ],
      events: projects.map((stream) => ({ stream, type: "run.stop-requested", data: { all: true } })),
    };
    return { plan: projects.length > 0 ? plan : null, result: { tasks: tasks.length, runs: runs.length } };
  },
});

export const retryTask = command({
  name: "task.retry",
  help: "Give a failed or stopped task another attempt, in its session.",
  input: z.strictObject({ id: z.string() }),
  output: Task,
  access: "person",
  mcp: { tool: "retry_task", group: "tasks" },
  async decide({ id }, { read, now }) {
    const row = await getTask(read, id);
    if (row.run) throw conflict(`task ${id} belongs to run ${row.run}`, "its run must go on with it", [`tutti retry ${row.run}`]);
    if (row.state !== "failed" && row.state !== "cancelled") {
      throw conflict(`task ${id} is ${row.state}`, "only a failed or stopped task can be retried", [`tutti show ${id}`]);
    }
    // What it needs may have ended since: it would wait for ever for what is done already.
    const open = await openNeeds(read, JSON.parse(row.needs) as string[], row.project);
    const plan = planAgain(row, { followUp: null, needsLeft: open.length, now });
    if (open.length > 0) plan.statements.unshift(addDependent(...open.map((need) => ({ need }))));
    return { plan, result: queuedAgain(row) };
  },
});

export const replyToTask = command({
  name: "task.reply",
  help: "Say something to a task's agent, in the same session and clone.",
  input: z.strictObject({ id: z.string(), text: z.string().min(1).max(1_000_000).describe("what to say") }),
  output: Task,
  access: "person",
  mcp: { tool: "reply_to_task", group: "tasks" },
  async decide({ id, text }, { read, now }) {
    const row = await getTask(read, id);
    if (row.run) throw conflict(`task ${id} belongs to run ${row.run}`, "a step's task cannot be prolonged", [`tutti show ${row.run}`]);
    if (row.kind !== "agent" || !row.session) throw conflict(`task ${id} has no conversation yet`, undefined, [`tutti show ${id}`]);
    if (!isTerminal(row.state)) throw conflict(`task ${id} is ${row.state}`, "the agent is in the middle of a turn", [`tutti stop ${id}`]);
    return { plan: planAgain(row, { followUp: text, needsLeft: 0, now }), result: queuedAgain(row) };
  },
});

const queuedAgain = (row: TaskRow): Task => ({ ...toTask(row), state: "queued", reason: "retry", finishedAt: null });

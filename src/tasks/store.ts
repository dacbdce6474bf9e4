import { defineRows, fence, list, onlyPostgres, sql, type Plan, type Reader, type Sql, type Statement } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import { laneOf, laneText, limitsText, type Limit } from "./lane.ts";
import { titleOf, type Reason, type State, type Task, type TaskDetails, type TaskResult, type TaskSpec } from "./task.ts";

/** A row of `tasks` with the small columns of `task_details`. */
export interface TaskRow {
  id: string;
  project: string;
  kind: Task["kind"];
  state: State;
  reason: Reason | null;
  priority: number;
  attempt: number;
  needs_left: number;
  ready_at: number;
  run: string | null;
  step: string | null;
  agent: string | null;
  session: string | null;
  runner: string | null;
  runner_epoch: number | null;
  seq: number;
  lane: string;
  limits: string | null;
  deadline: number | null;
  /** 0 no, 1 by a person, 2 its deadline is over. */
  cancel_requested: number;
  cancel_at: number | null;
  crashes: number;
  failures: number;
  /** How many tasks were made to wait for it. */
  dependents: number;
  created_at: number;
  updated_at: number;
  title: string;
  message: string | null;
  verified: number | null;
  needs: string;
  finished_at: number | null;
  /** 1 when its agent failed lately, so that its circuit breaker has a row. */
  troubled: number | null;
}

/** The columns of a TaskRow, from `tasks t join task_details d`. */
export const taskColumns = sql`t.id, t.project, t.kind, t.state, t.reason, t.priority, t.attempt, t.needs_left, t.ready_at, t.run, t.step, t.agent,
  t.session, t.runner, t.runner_epoch, t.seq, t.lane, t.limits, t.deadline, t.cancel_requested, t.cancel_at, t.crashes, t.failures, t.dependents,
  t.created_at, t.updated_at, d.title, d.message, d.verified, d.needs, d.finished_at,
  (select 1 from breakers b where b.subject = 'agent:' || t.agent) as troubled`;

export function toTask(row: TaskRow): Task {
  return {
    id: row.id,
    project: row.project,
    kind: row.kind,
    title: row.title,
    state: row.state,
    reason: row.reason,
    message: row.message,
    verified: row.verified === null ? null : row.verified === 1,
    attempt: row.attempt,
    priority: row.priority,
    run: row.run,
    step: row.step,
    agent: row.agent,
    session: row.session,
    needs: JSON.parse(row.needs) as string[],
    readyAt: row.ready_at,
    deadline: row.deadline,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  };
}

export const findTask = (read: Reader, id: string): Promise<TaskRow | null> =>
  read.one<TaskRow>(sql`select ${taskColumns} from tasks t join task_details d on d.task = t.id where t.id = ${id}`);

/** Throws AppError not_found. */
export async function getTask(read: Reader, id: string): Promise<TaskRow> {
  const row = await findTask(read, id);
  if (!row) throw notFound("task", id, ["tutti ls"]);
  return row;
}

export async function getTaskSpec(
  read: Reader,
  id: string,
): Promise<{ spec: TaskSpec; followUp: string | null; result: TaskResult | null }> {
  const row = await read.one<{ spec: string; follow_up: string | null; result: string | null }>(
    sql`select spec, follow_up, result from task_details where task = ${id}`,
  );
  if (!row) throw notFound("task", id);
  return {
    spec: JSON.parse(row.spec) as TaskSpec,
    followUp: row.follow_up,
    result: row.result === null ? null : (JSON.parse(row.result) as TaskResult),
  };
}

interface AttemptRow {
  attempt: number;
  state: State;
  reason: Reason | null;
  message: string | null;
  agent: string | null;
  session: string | null;
  started_at: number;
  finished_at: number | null;
  why: string | null;
}

/** A task's attempts, the oldest first, and why each agent was chosen. */
export async function listAttempts(read: Reader, id: string): Promise<(TaskDetails["attempts"][number] & { why: string | null })[]> {
  const rows = await read.all<AttemptRow>(sql`
    select attempt, state, reason, message, agent, session, started_at, finished_at, why from attempts where task = ${id} order by attempt`);
  return rows.map(({ started_at: startedAt, finished_at: finishedAt, ...attempt }) => ({ ...attempt, startedAt, finishedAt }));
}

/** Everything about one task. Throws AppError not_found. */
export async function getTaskDetails(read: Reader, id: string): Promise<TaskDetails> {
  const row = await getTask(read, id);
  const { spec, result } = await getTaskSpec(read, id);
  const attempts = await listAttempts(read, id);
  return {
    ...toTask(row),
    spec,
    why: attempts.at(-1)?.why ?? null,
    result,
    attempts: attempts.map(({ why: _, ...attempt }) => attempt),
  };
}

/** Newest first; the cursor is the last one's place in the order of creation. */
export function listTasks(
  read: Reader,
  filter: { project?: string; run?: string; agent?: string; states?: State[]; text?: string; cursor?: string; limit: number },
): Promise<TaskRow[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.project) conditions.push(sql`t.project = ${filter.project}`);
  if (filter.run) conditions.push(sql`t.run = ${filter.run}`);
  if (filter.agent) conditions.push(sql`t.agent = ${filter.agent}`);
  if (filter.states) conditions.push(sql`t.state in (${list(filter.states)})`);
  if (filter.text) conditions.push(sql`lower(d.title) like ${`%${filter.text.toLowerCase().replaceAll(/[\\%_]/g, "\\$&")}%`} escape '\\'`);
  if (filter.cursor) {
    conditions.push(sql`t.seq < ${Number(filter.cursor) || 0}`);
  }
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`);
  return read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id where ${where}
     order by t.seq desc limit ${filter.limit}`);
}

export const cursorOf = (row: { seq: number }): string => String(row.seq);

export interface NewTaskRow {
  /** T-<number>. */
  id: string;
  project: string;
  spec: TaskSpec;
  title?: string;
  priority?: number;
  run: string | null;
  step: string | null;
  needs: string[];
  /** How many of `needs` are not done yet. */
  needsLeft: number;
  limits?: readonly Limit[];
  /** Not before; left out: now. */
  readyAt?: number;
  deadline?: number | null;
  now: number;
}

const insertTasks = defineRows(
  "insert task",
  {
    id: "text",
    project: "text",
    kind: "text",
    reason: "text",
    priority: "bigint",
    needs_left: "bigint",
    ready: "bigint",
    ready_at: "bigint",
    seq: "bigint",
    lane: "text",
    limits: "text",
    deadline: "bigint",
    run: "text",
    step: "text",
    now: "bigint",
  },
  (v) => sql`
    insert into tasks (id, project, kind, state, reason, priority, attempt, needs_left, ready, ready_at, seq, lane, limits, deadline, run, step,
                       created_at, updated_at)
    select ${v.id}, ${v.project}, ${v.kind}, 'queued', ${v.reason}, ${v.priority}, 0, ${v.needs_left}, ${v.ready}, ${v.ready_at}, ${v.seq}, ${v.lane},
           ${v.limits}, ${v.deadline}, ${v.run}, ${v.step}, ${v.now}, ${v.now} ${v.from}`,
);

const insertDetails = defineRows(
  "insert task details",
  { task: "text", title: "text", spec: "text", needs: "text" },
  (v) => sql`insert into task_details (task, title, spec, needs) select ${v.task}, ${v.title}, ${v.spec}, ${v.needs} ${v.from}`,
);

const insertNeeds = defineRows(
  "insert need",
  { task: "text", need: "text" },
  (v) => sql`insert into task_needs (task, need) select ${v.task}, ${v.need} ${v.from}`,
);

/** Puts a task into the queue, with its event. */
export function insertTask(task: NewTaskRow): Plan {
  const title = task.title ?? titleOfSpec(task.spec);
  const { id, project, spec, run, step, now, limits = [], readyAt = now, deadline = null } = task;
  const isDue = readyAt <= now;
  const reason: Reason = task.needsLeft > 0 ? "needs" : isDue ? "new" : "delayed";
  const row = {
    id,
    project,
    kind: spec.kind,
    reason,
    priority: task.priority ?? 0,
    needs_left: task.needsLeft,
    ready: Number(task.needsLeft === 0 && isDue),
    ready_at: readyAt,
    seq: Number(id.slice(2)),
    lane: laneText(laneOf(spec, limits)),
    limits: limitsText(limits),
    deadline,
    run,
    step,
    now,
  };
  return {
    statements: [
      insertTasks(row),
      insertDetails({ task: id, title, spec: JSON.stringify(spec), needs: JSON.stringify(task.needs) }),
      ...(task.needs.length === 0 ? [] : [insertNeeds(...task.needs.map((need) => ({ task: id, need })))]),
    ],
    events: [{ stream: project, type: "task.created", task: id, run, data: { title, kind: spec.kind, step } }],
  };
}

export function titleOfSpec(spec: TaskSpec): string {
  if (spec.kind === "agent") return titleOf(spec.prompt);
  if (spec.kind === "run") return titleOf(typeof spec.run === "string" ? spec.run : spec.run.join(" "));
  return `merge ${spec.sources.map((source) => source.step).join(", ")}`;
}

/** What every write of a running attempt carries: when it no longer holds, the attempt is somebody else's or over. */
export interface AttemptFence {
  task: string;
  attempt: number;
  runner: string;
  runnerEpoch: number;
}

/**
 * The runner's lease must be valid on the database's clock. A select with a lock, because a subquery does not fence under
 * READ COMMITTED on PostgreSQL; SQLite's single writer needs no lock.
 */
export const runnerLeaseFence = ({ runner, runnerEpoch }: { runner: string; runnerEpoch: number }): Statement =>
  fence(
    sql`select 1 from runners where id = ${runner} and epoch = ${runnerEpoch} and lease_until > tutti_now() ${onlyPostgres("for share")}`,
  );

export const holdsRunnerLease = async (read: Reader, { runner, runnerEpoch }: { runner: string; runnerEpoch: number }): Promise<boolean> =>
  (await read.one(sql`select 1 from runners where id = ${runner} and epoch = ${runnerEpoch} and lease_until > tutti_now()`)) !== null;

export const attemptFence = (fence: AttemptFence): Sql =>
  sql`id = ${fence.task} and attempt = ${fence.attempt} and runner = ${fence.runner} and runner_epoch = ${fence.runnerEpoch}
      and state in ('starting', 'running', 'needs you')`;

/**
 * Makes a task wait for these, which must not be over. The row of each is written, so that its end, which expects the number of
 * dependents that it has read, cannot overlook the new one.
 */
export const addDependent = defineRows(
  "add dependent",
  { need: "text" },
  (v) => sql`update tasks set dependents = dependents + 1 ${v.from} where id = ${v.need} and state not in ('done', 'failed', 'cancelled')`,
);

/** Tasks that wait for this one, with how many needs they still have. */
export const listDependents = (read: Reader, need: string): Promise<{ id: string; needs_left: number; state: State; project: string }[]> =>
  read.all(sql`select t.id, t.needs_left, t.state, t.project from task_needs n join tasks t on t.id = n.task where n.need = ${need}`);

import { list, onlyPostgres, sql, statement, type Plan, type Reader, type Sql, type Statement } from "../db/plan.ts";
import { notFound } from "../errors.ts";
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
  created_at: number;
  updated_at: number;
  title: string;
  message: string | null;
  verified: number | null;
  needs: string;
  crashes: number;
  cancel_requested: number;
  finished_at: number | null;
}

/** The columns of a TaskRow, from `tasks t join task_details d`. */
export const taskColumns = sql`t.id, t.project, t.kind, t.state, t.reason, t.priority, t.attempt, t.needs_left, t.ready_at, t.run, t.step, t.agent,
  t.session, t.runner, t.runner_epoch, t.created_at, t.updated_at, d.title, d.message, d.verified, d.needs, d.crashes, d.cancel_requested,
  d.finished_at`;

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
): Promise<{ spec: TaskSpec; followUp: string | null; why: string | null; result: TaskResult | null }> {
  const row = await read.one<{ spec: string; follow_up: string | null; why: string | null; result: string | null }>(
    sql`select spec, follow_up, why, result from task_details where task = ${id}`,
  );
  if (!row) throw notFound("task", id);
  return {
    spec: JSON.parse(row.spec) as TaskSpec,
    followUp: row.follow_up,
    why: row.why,
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
}

/** Everything about one task. Throws AppError not_found. */
export async function getTaskDetails(read: Reader, id: string): Promise<TaskDetails> {
  const row = await getTask(read, id);
  const { spec, why, result } = await getTaskSpec(read, id);
  const attempts = await read.all<AttemptRow>(sql`
    select attempt, state, reason, message, agent, session, started_at, finished_at from attempts where task = ${id} order by attempt`);
  return {
    ...toTask(row),
    spec,
    why,
    result,
    attempts: attempts.map(({ started_at: startedAt, finished_at: finishedAt, ...attempt }) => ({ ...attempt, startedAt, finishedAt })),
  };
}

/** Newest first; `before` is the creation order's cursor `createdAt.id`. */
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
    const [createdAt, id] = splitCursor(filter.cursor);
    conditions.push(sql`(t.created_at < ${createdAt} or (t.created_at = ${createdAt} and t.id < ${id}))`);
  }
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`);
  return read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id where ${where}
     order by t.created_at desc, t.id desc limit ${filter.limit}`);
}

export const cursorOf = (row: { created_at: number; id: string }): string => `${row.created_at}.${row.id}`;

export function splitCursor(cursor: string): [number, string] {
  const dot = cursor.indexOf(".");
  return [Number(cursor.slice(0, dot)) || 0, cursor.slice(dot + 1)];
}

export interface NewTaskRow {
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
  now: number;
}

/** Puts a task into the queue, with its event. */
export function insertTask(task: NewTaskRow): Plan {
  const title = task.title ?? titleOfSpec(task.spec);
  const reason: Reason = task.needsLeft > 0 ? "needs" : "new";
  return {
    statements: [
      statement(sql`
        insert into tasks (id, project, kind, state, reason, priority, attempt, needs_left, ready_at, run, step, created_at, updated_at)
        values (${task.id}, ${task.project}, ${task.spec.kind}, 'queued', ${reason}, ${task.priority ?? 0}, 0, ${task.needsLeft}, ${task.now},
                ${task.run}, ${task.step}, ${task.now}, ${task.now})`),
      statement(sql`
        insert into task_details (task, title, spec, needs)
        values (${task.id}, ${title}, ${JSON.stringify(task.spec)}, ${JSON.stringify(task.needs)})`),
      ...task.needs.map((need) => statement(sql`insert into task_needs (task, need) values (${task.id}, ${need})`)),
    ],
    events: [
      {
        stream: task.project,
        type: "task.created",
        task: task.id,
        run: task.run,
        data: { title, kind: task.spec.kind, step: task.step },
      },
    ],
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
export const runnerLeaseFence = (fence: { runner: string; runnerEpoch: number }, lock: Sql): Statement =>
  statement(sql`select 1 from runners where id = ${fence.runner} and epoch = ${fence.runnerEpoch} and lease_until > tutti_now() ${lock}`);

export const holdsRunnerLease = async (read: Reader, fence: { runner: string; runnerEpoch: number }): Promise<boolean> =>
  (await read.one(runnerLeaseFence(fence, sql``).sql)) !== null;

export const attemptFence = (fence: AttemptFence): Sql =>
  sql`id = ${fence.task} and attempt = ${fence.attempt} and runner = ${fence.runner} and runner_epoch = ${fence.runnerEpoch}
      and state in ('starting', 'running', 'needs you')`;

/** Tasks that wait for these tasks, with how many needs they still have. */
/**
 * No task has come to wait for this one since its dependents were listed (`ending` left out). It stands behind the write of the
 * task itself, which whoever makes a dependent locks with `needFence`: so one of the two sees the other.
 */
export const dependentsFence = (need: string, ending: string[], count: number): Statement =>
  statement(
    sql`select 1 from task_needs n join tasks t on t.id = n.task where n.need = ${need} and t.state = 'queued' and t.id not in (${list(ending)})`,
    count,
  );

/** The task is not over. Locked on PostgreSQL until the plan that counts on it is committed. */
export const needFence = (need: string): Statement =>
  statement(sql`select 1 from tasks where id = ${need} and state not in ('done', 'failed', 'cancelled') ${onlyPostgres("for share")}`);

export const listDependents = (read: Reader, need: string): Promise<{ id: string; needs_left: number; state: State; project: string }[]> =>
  read.all(sql`select t.id, t.needs_left, t.state, t.project from task_needs n join tasks t on t.id = n.task where n.need = ${need}`);

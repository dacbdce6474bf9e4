import { list, sql, type Reader, type Sql } from "../db/plan.ts";
import { isTerminal, type Reason, type State } from "../tasks/task.ts";
import { toUsage, usageSums, type UsageRow, type UsageSum } from "../tasks/usage.ts";
import type { Running } from "./hot.ts";

interface CountRow {
  project: string;
  agent: string | null;
  state: State;
  count: number;
}

/** Tasks by project, agent and state: all that is not over, and what ended since `since`. */
export const countWork = (read: Reader, since: number): Promise<CountRow[]> =>
  read.all<CountRow>(sql`
    select project, agent, state, count(*) as count from tasks
     where state in ('queued', 'starting', 'running', 'needs you', 'paused') group by project, agent, state
    union all
    select project, agent, state, count(*) as count from tasks
     where state in ('done', 'failed', 'cancelled') and updated_at >= ${since} group by project, agent, state`);

/** What turns that ended since `since` have used. */
export async function usageSince(read: Reader, since: number): Promise<(UsageSum & { project: string; agent: string })[]> {
  const rows = await read.all<UsageRow & { project: string; agent: string }>(sql`
    select s.project, s.agent, ${usageSums} from turns u join sessions s on s.id = u.session
     where u.finished_at >= ${since} group by s.project, s.agent`);
  return rows.map((row) => ({ project: row.project, agent: row.agent, ...toUsage(row) }));
}

/** Since when the oldest question is open, by project. */
export const oldestQuestions = (read: Reader): Promise<{ project: string; at: number }[]> =>
  read.all(sql`
    select w.project, min(w.at) as at
      from (select project, created_at as at from approvals where state = 'open'
             union all
            select project, updated_at as at from tasks where state in ('starting', 'running', 'needs you') and state = 'needs you') as w
     group by w.project`);

export const listProjectNames = (read: Reader): Promise<{ id: string; name: string }[]> =>
  read.all(sql`select id, name from projects order by id limit 500`);

interface RunningRow {
  task: string;
  session: string | null;
  agent: string | null;
  project: string;
  title: string;
  started_at: number;
}

// The states are named word for word as in the partial index over held tasks, or it would not be used.
const running = sql`t.state in ('starting', 'running', 'needs you') and t.state = 'running' and t.kind = 'agent'`;

/** Agents' work that runs: what began first, and what used most since `since`. `activeAt` is still to be found out. */
export async function listRunning(read: Reader, since: number): Promise<Omit<Running, "activeAt">[]> {
  const columns = sql`t.id as task, t.session, t.agent, t.project, d.title, a.started_at`;
  const from = sql`tasks t join task_details d on d.task = t.id join attempts a on a.task = t.id and a.attempt = t.attempt`;
  const [oldest, used] = await Promise.all([
    // The ids first: the wide table is only looked into for what is taken.
    read.all<RunningRow>(sql`
      select ${columns} from ${from}
       where t.id in (select t.id from tasks t join attempts a on a.task = t.id and a.attempt = t.attempt
                       where ${running} order by a.started_at, t.id limit 200)`),
    read.all<UsageRow & { task: string }>(sql`
      select t.id as task, ${usageSums} from tasks t join turns u on u.session = t.session
       where ${running} and u.finished_at >= ${since} group by t.id order by tokens desc limit 20`),
  ]);
  const missing = used.map(({ task }) => task).filter((task) => !oldest.some((row) => row.task === task));
  const others =
    missing.length === 0 ? [] : await read.all<RunningRow>(sql`select ${columns} from ${from} where t.id in (${list(missing)})`);
  const tokens = new Map(used.map((row) => [row.task, toUsage(row).tokens]));
  return [...oldest, ...others].map(({ started_at: startedAt, ...row }) => ({ ...row, startedAt, tokens: tokens.get(row.task) ?? 0 }));
}

export interface WorkRow {
  id: string;
  session: string | null;
  title: string;
  agent: string | null;
  backend: "acp" | "command" | "model" | null;
  settings: string | null;
  project: string;
  project_name: string | null;
  state: State;
  reason: Reason | null;
  message: string | null;
  question: string | null;
  updated_at: number;
  started_at: number | null;
  demo: number | null;
  run: string | null;
  step: string | null;
}

export interface WorkFilter {
  state: State;
  project?: string;
  agent?: string;
  /** Not before this time. */
  since: number | null;
  /** What changed last comes first; false: what waits longest. */
  newestFirst: boolean;
  after: { at: number; id: string } | null;
  limit: number;
}

const live = sql`t.state in ('queued', 'starting', 'running', 'needs you', 'paused')`;

/** Work in one state. The narrow rows are chosen first, and only those are looked up in the wide tables. */
export function listWork(read: Reader, filter: WorkFilter): Promise<WorkRow[]> {
  const { state, project, agent, since, newestFirst, after, limit } = filter;
  const order = newestFirst ? sql`order by t.updated_at desc, t.id desc` : sql`order by t.updated_at, t.id`;
  // The condition of the index that has the state, word for word.
  const among = isTerminal(state) ? sql`t.state in ('done', 'failed', 'cancelled')` : live;
  const conditions: Sql = sql`${among} and t.state = ${state}
    ${project === undefined ? sql`` : sql`and t.project = ${project}`} ${agent === undefined ? sql`` : sql`and t.agent = ${agent}`}
    ${since === null ? sql`` : sql`and t.updated_at >= ${since}`} ${after === null ? sql`` : behind(after, newestFirst)}`;
  return read.all<WorkRow>(sql`
    select t.id, t.session, d.title, t.agent, g.backend, g.settings, t.project, p.name as project_name, t.state, t.reason, d.message,
           t.updated_at, t.run, t.step, s.demo,
           (select a.started_at from attempts a where a.task = t.id and a.attempt = t.attempt) as started_at,
           case when t.state = 'needs you'
                then (select q.question from approvals q where q.state = 'open' and q.task = t.id order by q.created_at, q.id limit 1) end as question
      from tasks t join task_details d on d.task = t.id left join sessions s on s.id = t.session left join agents g on g.name = t.agent
           left join projects p on p.id = t.project
     where t.id in (select t.id from tasks t where ${conditions} ${order} limit ${limit}) ${order}`);
}

const behind = ({ at, id }: { at: number; id: string }, newestFirst: boolean): Sql =>
  newestFirst
    ? sql`and (t.updated_at < ${at} or (t.updated_at = ${at} and t.id < ${id}))`
    : sql`and (t.updated_at > ${at} or (t.updated_at = ${at} and t.id > ${id}))`;

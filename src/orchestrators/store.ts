import { onlyPostgres, sql, statement, type Plan, type Reader, type Statement } from "../db/plan.ts";
import { taskColumns, type TaskRow } from "../tasks/store.ts";

export interface Lease {
  project: string;
  epoch: number;
}

/** How long an orchestrator's lease holds without renewal, by the database's clock. */
export const orchestratorLeaseMs = 15_000;

/** Projects with something to do: a task that is ready, something to stop, or a run whose time is over. */
export const listActiveProjects = async (read: Reader): Promise<string[]> => {
  const rows = await read.all<{ project: string }>(sql`
    select distinct project from tasks where state = 'queued' and needs_left = 0 and ready_at <= tutti_now()
    union select distinct project from tasks where state = 'paused' and reason = 'quota' and ready_at <= tutti_now()
    union select distinct t.project from task_details d join tasks t on t.id = d.task where d.cancel_requested = 1 and d.finished_at is null
    union select distinct project from runs where finished_at is null and (cancel_requested <> 0 or deadline < tutti_now())
    union select distinct project from approvals where state = 'open' and expires_at < tutti_now()`);
  return rows.map((row) => row.project);
};

/** Takes the project when nobody holds it, its lease is over, or this server held it before (in another life). */
export const takeLease = (project: string, holder: string): Plan => ({
  statements: [
    statement(sql`insert into orchestrators (project) values (${project}) on conflict (project) do nothing`, "any"),
    statement(sql`
      update orchestrators set holder = ${holder}, epoch = epoch + 1, lease_until = tutti_now() + ${orchestratorLeaseMs}, last_poll = tutti_now()
       where project = ${project} and (holder is null or holder = ${holder} or lease_until < tutti_now())`),
  ],
  events: [{ stream: project, type: "orchestrator.started", data: { holder } }],
});

export const renewLease = (lease: Lease): Plan => ({
  statements: [
    statement(sql`
      update orchestrators set lease_until = tutti_now() + ${orchestratorLeaseMs}, last_poll = tutti_now()
       where project = ${lease.project} and epoch = ${lease.epoch}`),
  ],
  events: [],
});

export const findLease = (read: Reader, project: string): Promise<{ holder: string | null; epoch: number; lease_until: number } | null> =>
  read.one(sql`select holder, epoch, lease_until from orchestrators where project = ${project}`);

/**
 * The first statement of every plan of an orchestrator. Locked on PostgreSQL: a takeover updates this row and so waits until the
 * plan is committed or gone (a subquery on the epoch does not fence: measured). SQLite has one writer.
 */
export const orchestratorFence = (lease: Lease): Statement =>
  statement(sql`
    select 1 from orchestrators where project = ${lease.project} and epoch = ${lease.epoch} and lease_until > tutti_now() ${onlyPostgres("for share")}`);

/** Tasks that may start now, in their order. */
export const listReady = (read: Reader, project: string, limit: number): Promise<TaskRow[]> =>
  read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id
     where t.project = ${project} and t.needs_left = 0 and t.ready_at <= tutti_now() and d.cancel_requested = 0
       and (t.state = 'queued' or (t.state = 'paused' and t.reason = 'quota'))
     order by t.priority desc, t.ready_at, t.created_at limit ${limit}`);

export const listToStop = (read: Reader, project: string): Promise<TaskRow[]> =>
  read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id
     where t.project = ${project} and d.cancel_requested = 1 and d.finished_at is null limit 500`);

export const listRunsToStop = (read: Reader, project: string): Promise<{ id: string; late: number }[]> =>
  read.all(sql`
    select id, case when cancel_requested = 0 then 1 else 0 end as late from runs
     where project = ${project} and finished_at is null and (cancel_requested <> 0 or deadline < tutti_now()) limit 100`);

/** Sessions in use by agent, over all projects. */
export const countActive = async (read: Reader): Promise<Map<string, number>> => {
  const rows = await read.all<{ agent: string; active: number }>(sql`
    select agent, count(*) as active from tasks where state in ('starting', 'running', 'needs you') and agent is not null group by agent`);
  return new Map(rows.map((row) => [row.agent, Number(row.active)]));
};

export const countProjectActive = async (read: Reader, project: string): Promise<number> => {
  const row = await read.one<{ active: number }>(
    sql`select count(*) as active from tasks where project = ${project} and state in ('starting', 'running', 'needs you')`,
  );
  return Number(row?.active ?? 0);
};

export interface ProjectRow {
  id: string;
  source: string;
  base_branch: string;
  settings: string;
}

export const findProject = (read: Reader, id: string): Promise<ProjectRow | null> =>
  read.one<ProjectRow>(sql`select id, source, base_branch, settings from projects where id = ${id}`);

/** Attempts whose runner has no valid lease any more, or holds another epoch than they were given out under. */
export const listLost = (read: Reader): Promise<TaskRow[]> =>
  read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id join runners r on r.id = t.runner
     where t.state in ('starting', 'running', 'needs you') and (r.epoch <> t.runner_epoch or r.lease_until < tutti_now()) limit 200`);

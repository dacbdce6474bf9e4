import { fence, list, onlyPostgres, sql, statement, type Plan, type Reader, type Statement } from "../db/plan.ts";
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
    with recursive waiting (project) as (
      select (select min(project) from tasks where ready = 1)
      union all
      select (select min(t.project) from tasks t where t.ready = 1 and t.project > waiting.project) from waiting where waiting.project is not null)
    select project from waiting where project is not null
    union select distinct project from tasks where cancel_requested <> 0 and state in ('queued', 'starting', 'running', 'needs you', 'paused')
    union select distinct project from runs where finished_at is null and (cancel_requested <> 0 or deadline < tutti_now())
    union select distinct project from approvals where state = 'open' and expires_at < tutti_now()`);
  return rows.map((row) => row.project);
};

/** Projects whose lease another server holds now. */
export const listHeldElsewhere = async (read: Reader, holder: string): Promise<Set<string>> => {
  const rows = await read.all<{ project: string }>(
    sql`select project from orchestrators where holder <> ${holder} and lease_until >= tutti_now()`,
  );
  return new Set(rows.map((row) => row.project));
};

/**
 * Tasks whose time has come are ready: those that were delayed, wait for their next try or for their provider's limit. Any server does
 * this; a row that another one was faster with no longer matches.
 */
export const readyDue = (): Plan => ({
  statements: [
    statement(
      sql`update tasks set ready = 1, state = 'queued', reason = case when reason = 'delayed' then 'new' else reason end
           where ready = 0 and needs_left = 0 and cancel_requested = 0 and state in ('queued', 'paused')
             and (state = 'queued' or reason = 'quota') and ready_at <= tutti_now()`,
      "any",
    ),
  ],
  events: [],
});

/** When the next task is due, ms from now by the database's clock; null: none waits for a time. */
export async function nextDue(read: Reader): Promise<number | null> {
  const row = await read.one<{ wait: number | null }>(sql`
    select min(ready_at) - tutti_now() as wait from tasks
     where ready = 0 and needs_left = 0 and cancel_requested = 0 and state in ('queued', 'paused')`);
  return row?.wait ?? null;
}

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

/** Ends leases of this server at once, those that are still its own. */
export const giveBack = (leases: readonly Lease[]): Plan => ({
  statements: leases.map(({ project, epoch }) =>
    statement(sql`update orchestrators set lease_until = 0 where project = ${project} and epoch = ${epoch}`, "any"),
  ),
  events: [],
});

export const findLease = (read: Reader, project: string): Promise<{ holder: string | null; epoch: number; lease_until: number } | null> =>
  read.one(sql`select holder, epoch, lease_until from orchestrators where project = ${project}`);

/**
 * The first statement of every plan of an orchestrator. Locked on PostgreSQL: a takeover updates this row and so waits until the
 * plan is committed or gone (a subquery on the epoch does not fence: measured). SQLite has one writer.
 */
export const orchestratorFence = (lease: Lease): Statement =>
  fence(sql`
    select 1 from orchestrators where project = ${lease.project} and epoch = ${lease.epoch} and lease_until > tutti_now() ${onlyPostgres("for share")}`);

/** The lanes of a project in which tasks are ready: found by leaping through the index from one to the next, however long they are. */
export const listLanes = async (read: Reader, project: string, limit: number): Promise<string[]> => {
  const rows = await read.all<{ lane: string }>(sql`
    with recursive lanes (lane) as (
      select (select min(lane) from tasks where project = ${project} and ready = 1)
      union all
      select (select min(t.lane) from tasks t where t.project = ${project} and t.ready = 1 and t.lane > lanes.lane) from lanes
       where lanes.lane is not null)
    select lane from lanes where lane is not null limit ${limit}`);
  return rows.map((row) => row.lane);
};

/** A task that is ready, with all that its start needs. */
export interface ReadyTask extends TaskRow {
  spec: string;
  follow_up: string | null;
}

/** The first tasks of a lane that may start now, in their order. */
export const listReady = (read: Reader, project: string, lane: string, limit: number): Promise<ReadyTask[]> =>
  read.all<ReadyTask>(sql`
    select ${taskColumns}, d.spec, d.follow_up from tasks t join task_details d on d.task = t.id
     where t.project = ${project} and t.lane = ${lane} and t.ready = 1
     order by t.priority desc, t.seq limit ${limit}`);

/**
 * Tasks of a project that somebody wants to end and no runner has. The states are named twice: the partial index over stops is found by
 * its own condition, word for word.
 */
export const listToStop = async (read: Reader, project: string): Promise<string[]> => {
  const rows = await read.all<{ id: string }>(sql`
    select id from tasks
     where project = ${project} and cancel_requested <> 0 and state in ('queued', 'starting', 'running', 'needs you', 'paused')
       and state in ('queued', 'paused') limit 500`);
  return rows.map(({ id }) => id);
};

/** Attempts that this life of a runner has in hand and somebody wants to end. */
export const listStopsOf = (read: Reader, runner: string, epoch: number): Promise<{ id: string; attempt: number }[]> =>
  read.all(sql`
    select id, attempt from tasks
     where cancel_requested <> 0 and state in ('queued', 'starting', 'running', 'needs you', 'paused')
       and runner = ${runner} and runner_epoch = ${epoch} and state in ('starting', 'running', 'needs you')`);

/** Attempts that were told to end so long ago (ms) that their runner will not say it any more. */
export const listOverdueStops = (read: Reader, graceMs: number): Promise<TaskRow[]> =>
  read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id
     where t.cancel_requested <> 0 and t.state in ('queued', 'starting', 'running', 'needs you', 'paused')
       and t.state in ('starting', 'running', 'needs you') and t.cancel_at < tutti_now() - ${graceMs} limit 200`);

/** Tasks that are not over though their deadline is. */
export const listLate = (read: Reader): Promise<{ id: string; project: string; run: string | null; session: string | null }[]> =>
  read.all(sql`
    select id, project, run, session from tasks
     where deadline is not null and state in ('queued', 'starting', 'running', 'needs you', 'paused') and deadline < tutti_now()
       and cancel_requested = 0 limit 200`);

export const listRunsToStop = (read: Reader, project: string): Promise<{ id: string; late: number }[]> =>
  read.all(sql`
    select id, case when cancel_requested = 0 then 1 else 0 end as late from runs
     where project = ${project} and finished_at is null and (cancel_requested <> 0 or deadline < tutti_now()) limit 100`);

interface Count {
  of: string | null;
  count: number;
}

const counted = (rows: Count[]): Map<string, number> =>
  new Map(rows.flatMap(({ of, count }) => (of === null ? [] : [[of, Number(count)]])));

/** Sessions that these agents have now, over all projects; out of one index, and as few rows as there are names. */
export const countByAgent = async (read: Reader, names: readonly string[]): Promise<Map<string, number>> =>
  counted(
    await read.all<Count>(sql`
      select agent as of, count(*) as count from tasks
       where state in ('starting', 'running', 'needs you') and agent in (${list(names)}) group by agent`),
  );

/** Attempts that each runner has now. */
export const countByRunner = async (read: Reader): Promise<Map<string, number>> =>
  counted(
    await read.all<Count>(sql`
      select runner as of, count(*) as count from tasks where state in ('starting', 'running', 'needs you') group by runner`),
  );

/** A project's attempts now, by the limits that they share. */
export const countInProject = (read: Reader, project: string): Promise<{ limits: string | null; count: number }[]> =>
  read.all(sql`
    select limits, count(*) as count from tasks
     where state in ('starting', 'running', 'needs you') and project = ${project} group by limits`);

/** A machine that takes work. */
export interface RunnerView {
  id: string;
  epoch: number;
  capacity: number | null;
}

export const listRunners = (read: Reader): Promise<RunnerView[]> =>
  read.all<RunnerView>(sql`select id, epoch, capacity from runners where lease_until > tutti_now() and draining = 0 order by id`);

/** Runners that went away so short ago (ms) that what they had in hand waits for them. */
export const listAway = async (read: Reader, forMs: number): Promise<Set<string>> => {
  const rows = await read.all<{ id: string }>(
    sql`select id from runners where lease_until <= tutti_now() and lease_until > 0 and lease_until > tutti_now() - ${forMs}`,
  );
  return new Set(rows.map((row) => row.id));
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

import { z } from "zod";
import { list, sql, type Reader } from "../db/plan.ts";
import { noUsage, usageOfRuns, usageOfTasks } from "../tasks/usage.ts";
import { Reason } from "../tasks/task.ts";
import { Run, Step, StepState } from "./flow.ts";
import { toRun, toStep, type RunRow, type StepRow } from "./store.ts";

/** What a list of runs and a run's page show beside the rows themselves, read in one go for a whole page. */

const FirstFailure = z.object({ step: z.string(), reason: Reason.nullable(), message: z.string().nullable(), task: z.string().nullable() });
export type FirstFailure = z.infer<typeof FirstFailure>;

export const RunCard = Run.extend({
  projectName: z.string(),
  counts: z
    .record(StepState, z.int())
    .describe(
      "of its work, in units: the items of a group count each, also those that are not made yet (queued); the group itself does not",
    ),
  firstFailure: FirstFailure.nullable().describe("the step that went wrong first"),
  tokens: z.number(),
  costUsd: z.number().nullable(),
  openApprovals: z.int().describe("how many questions of it are open"),
});

export const StepCard = Step.extend({
  parent: z.string().nullable().describe("the group that it is an item of"),
  queuedAt: z.number().nullable().describe("since when it could run: its needs were done"),
  startedAt: z.number().nullable().describe("when its first attempt began, or its question was put"),
  waitedForPersonMs: z.number().describe("how long it stood still for a person, ms"),
  agent: z.string().nullable(),
  session: z.string().nullable(),
  tokens: z.number(),
  costUsd: z.number().nullable(),
  items: z.record(StepState, z.int()).nullable().describe("for a group: its items by state; those that are not made yet are queued"),
});
type StepCard = z.infer<typeof StepCard>;

const noCounts = (): Record<StepState, number> => ({
  queued: 0,
  starting: 0,
  running: 0,
  "needs you": 0,
  paused: 0,
  done: 0,
  failed: 0,
  cancelled: 0,
  skipped: 0,
});

/** The first step of each run that failed, with why; a group only when none of its items did. */
export async function firstFailures(read: Reader, runs: readonly string[]): Promise<Map<string, FirstFailure>> {
  const rows = await read.all<FirstFailure & { run: string }>(sql`
    select f.run, f.id as step, f.reason, f.message, f.task
      from (select s.run, s.id, s.reason, s.message, s.task,
                   row_number() over (partition by s.run order by s.finished_at, case when s.wanted is null then 0 else 1 end, s.position, s.id) as place
              from steps s where s.run in (${list(runs)}) and s.state = 'failed') as f
     where f.place = 1`);
  return new Map(rows.map(({ run, ...failure }) => [run, failure]));
}

/** The work of each run by state, in units. */
async function unitsOf(read: Reader, runs: readonly string[]): Promise<Map<string, Record<StepState, number>>> {
  const rows = await read.all<{ run: string; state: StepState; count: number | string }>(sql`
    select run, state, count(*) as count from steps where run in (${list(runs)}) and wanted is null group by run, state
    union all
    select run, 'queued' as state, sum(wanted - created) as count from steps
     where run in (${list(runs)}) and wanted is not null and finished_at is null group by run`);
  const units = new Map<string, Record<StepState, number>>();
  for (const { run, state, count } of rows) {
    const counts = units.get(run) ?? noCounts();
    counts[state] += Number(count);
    units.set(run, counts);
  }
  return units;
}

export async function toRunCards(read: Reader, rows: readonly RunRow[]): Promise<z.infer<typeof RunCard>[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const [names, units, failures, usage, questions] = await Promise.all([
    read.all<{ id: string; name: string }>(
      sql`select id, name from projects where id in (${list([...new Set(rows.map((row) => row.project))])})`,
    ),
    unitsOf(read, ids),
    firstFailures(read, ids),
    usageOfRuns(read, ids),
    read.all<{ run: string; count: number | string }>(
      sql`select run, count(*) as count from approvals where state = 'open' and run in (${list(ids)}) group by run`,
    ),
  ]);
  const nameOf = new Map(names.map(({ id, name }) => [id, name]));
  const open = new Map(questions.map(({ run, count }) => [run, Number(count)]));
  return rows.map((row) => ({
    ...toRun(row),
    projectName: nameOf.get(row.project) ?? row.project,
    counts: units.get(row.id) ?? noCounts(),
    firstFailure: failures.get(row.id) ?? null,
    ...(usage.get(row.id) ?? noUsage),
    openApprovals: open.get(row.id) ?? 0,
  }));
}

interface TaskTimes {
  id: string;
  created_at: number;
  started_at: number | null;
  agent: string | null;
  session: string | null;
}

interface Question {
  id: string;
  task: string | null;
  step: string | null;
  state: string;
  created_at: number;
  answered_at: number | null;
}

interface GroupTimes {
  parent: string;
  state: StepState;
  count: number | string;
  first_made: number;
  first_started: number | null;
}

/** Steps with when they waited, ran and stood still, in a few reads for all of them. */
export async function toStepCards(read: Reader, run: string, rows: readonly StepRow[], now: number): Promise<StepCard[]> {
  if (rows.length === 0) return [];
  const tasks = rows.flatMap(({ task }) => task ?? []);
  const groups = rows.flatMap(({ id, wanted }) => (wanted === null ? [] : id));
  const [times, usage, questions, items] = await Promise.all([
    read.all<TaskTimes>(sql`
      select t.id, t.created_at, t.agent, t.session, (select min(a.started_at) from attempts a where a.task = t.id) as started_at
        from tasks t where t.id in (${list(tasks)})`),
    usageOfTasks(read, tasks),
    read.all<Question>(sql`select id, task, step, state, created_at, answered_at from approvals where run = ${run}`),
    groups.length === 0
      ? []
      : read.all<GroupTimes>(sql`
          select s.parent, s.state, count(*) as count, min(s.created_at) as first_made,
                 min((select min(a.started_at) from attempts a where a.task = s.task)) as first_started
            from steps s where s.run = ${run} and s.parent in (${list(groups)}) group by s.parent, s.state`),
  ]);
  const byTask = new Map(times.map((time) => [time.id, time]));
  const usageOfGroups = groups.length === 0 ? new Map<string, typeof noUsage>() : await usageByGroup(read, run, groups);
  return rows.map((row) => {
    const { wanted, created, finished_at: finishedAt } = row;
    const time = row.task === null ? undefined : byTask.get(row.task);
    const asked = questions.filter(
      ({ task, step, id }) => (row.task === null ? id === row.approval : task === row.task) || (task === null && step === row.id),
    );
    const own = items.filter(({ parent }) => parent === row.id);
    const question = asked.find(({ id }) => id === row.approval);
    const counts = wanted === null ? null : noCounts();
    for (const { state, count } of own) if (counts) counts[state] += Number(count);
    if (counts && finishedAt === null) counts.queued += Math.max(0, (wanted ?? 0) - (created ?? 0));
    return {
      ...toStep(row),
      parent: row.parent,
      queuedAt: time?.created_at ?? question?.created_at ?? smallest(own.map(({ first_made: at }) => at)),
      startedAt: time?.started_at ?? question?.created_at ?? smallest(own.map(({ first_started: at }) => at)),
      waitedForPersonMs: unionMs(asked.map((each) => [each.created_at, endOf(each, finishedAt, now)])),
      agent: time?.agent ?? null,
      session: time?.session ?? null,
      ...((wanted === null ? usage.get(row.task ?? "") : usageOfGroups.get(row.id)) ?? noUsage),
      items: counts,
    };
  });
}

async function usageByGroup(read: Reader, run: string, groups: readonly string[]): Promise<Map<string, typeof noUsage>> {
  const rows = await read.all<{ parent: string; task: string }>(
    sql`select parent, task from steps where run = ${run} and parent in (${list(groups)}) and task is not null`,
  );
  const sums = new Map<string, typeof noUsage>();
  for (let start = 0; start < rows.length; start += 1_000) {
    const part = rows.slice(start, start + 1_000);
    const usage = await usageOfTasks(
      read,
      part.map(({ task }) => task),
    );
    for (const { parent, task } of part) {
      const [all, one] = [sums.get(parent) ?? noUsage, usage.get(task) ?? noUsage];
      const costUsd = one.costUsd === null ? all.costUsd : (all.costUsd ?? 0) + one.costUsd;
      sums.set(parent, { tokens: all.tokens + one.tokens, costUsd });
    }
  }
  return sums;
}

const smallest = (times: (number | null)[]): number | null => {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
};

/** A question that ended without an answer held its step until that was over. */
const endOf = ({ state, created_at: from, answered_at: answered }: Question, finishedAt: number | null, now: number): number =>
  answered ?? (state === "open" ? now : (finishedAt ?? from));

/** How much time is covered by at least one of the ranges: two questions at once hold a step up once. Pure; ms. */
export function unionMs(ranges: [from: number, to: number][]): number {
  let covered = 0;
  let reached = -Infinity;
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    covered += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  return covered;
}

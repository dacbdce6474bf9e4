import { list, sql, type Reader, type Sql } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import { splitCursor } from "../cursor.ts";
import type { Reason, State, TaskResult } from "../tasks/task.ts";
import type { Change, StepResult } from "./advance.ts";
import type { Flow, Run, Step, StepState } from "./flow.ts";

export interface RunRow {
  id: string;
  project: string;
  flow: string;
  state: State;
  reason: Reason | null;
  message: string | null;
  graph: string;
  inputs: string;
  agents: string;
  base: string | null;
  revision: number;
  cancel_requested: number;
  deadline: number | null;
  created_at: number;
  updated_at: number;
  finished_at: number | null;
}

export interface StepRow {
  run: string;
  id: string;
  parent: string | null;
  position: number;
  kind: Step["kind"];
  state: StepState;
  reason: Reason | null;
  message: string | null;
  verified: number | null;
  task: string | null;
  approval: string | null;
  output: string | null;
  wanted: number | null;
  created: number | null;
  done: number | null;
  failed: number | null;
  cancelled: number | null;
  created_at: number;
  finished_at: number | null;
}

const runColumns = sql`id, project, flow, state, reason, message, graph, inputs, agents, base, revision, cancel_requested, deadline,
  created_at, updated_at, finished_at`;
const stepColumns = sql`run, id, parent, position, kind, state, reason, message, verified, task, approval, output, wanted, created, done,
  failed, cancelled, created_at, finished_at`;

export const toRun = (row: RunRow): Run => ({
  id: row.id,
  project: row.project,
  flow: row.flow,
  state: row.state,
  reason: row.reason,
  message: row.message,
  inputs: JSON.parse(row.inputs) as Record<string, unknown>,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  finishedAt: row.finished_at,
});

export const toStep = (row: StepRow): Step => ({
  run: row.run,
  id: row.id,
  kind: row.kind,
  state: row.state,
  reason: row.reason,
  message: row.message,
  verified: row.verified === null ? null : row.verified === 1,
  task: row.task,
  approval: row.approval,
  group: row.wanted === null ? null : { wanted: row.wanted, done: row.done ?? 0, failed: row.failed ?? 0, cancelled: row.cancelled ?? 0 },
  createdAt: row.created_at,
  finishedAt: row.finished_at,
});

/** Throws AppError not_found. */
export async function getRun(read: Reader, id: string): Promise<RunRow> {
  const row = await read.one<RunRow>(sql`select ${runColumns} from runs where id = ${id}`);
  if (!row) throw notFound("run", id, ["tutti ls runs"]);
  return row;
}

export function listRuns(read: Reader, filter: { project?: string; states?: State[]; cursor?: string; limit: number }): Promise<RunRow[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.project) conditions.push(sql`project = ${filter.project}`);
  if (filter.states) conditions.push(sql`state in (${list(filter.states)})`);
  if (filter.cursor) {
    const [createdAt, id] = splitCursor(filter.cursor);
    conditions.push(sql`(created_at < ${createdAt} or (created_at = ${createdAt} and id < ${id}))`);
  }
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`);
  return read.all<RunRow>(sql`select ${runColumns} from runs where ${where} order by created_at desc, id desc limit ${filter.limit}`);
}

export const listTopSteps = (read: Reader, run: string): Promise<StepRow[]> =>
  read.all<StepRow>(sql`select ${stepColumns} from steps where run = ${run} and parent is null order by position`);

/**
 * Every step in the order of the flow, a group's items behind it; or only the items of `group`, or (`group` null) only the steps that
 * are no items. `after` is the last id of the page before.
 */
export async function listSteps(
  read: Reader,
  run: string,
  options: { group?: string | null; cursor?: string; limit: number },
): Promise<StepRow[]> {
  const { group } = options;
  const among = group === undefined ? sql`` : group === null ? sql`and s.parent is null` : sql`and s.parent = ${group}`;
  const [position, item] = splitCursor(options.cursor ?? "-1.-2");
  const itemPosition = Number(item);
  return await read.all<StepRow>(sql`
    select ${prefixed}, coalesce(p.position, s.position) as top, case when s.parent is null then -1 else s.position end as item
      from steps s left join steps p on p.run = s.run and p.id = s.parent
     where s.run = ${run} ${among}
       and (coalesce(p.position, s.position) > ${position}
            or (coalesce(p.position, s.position) = ${position} and case when s.parent is null then -1 else s.position end > ${itemPosition}))
     order by top, item limit ${options.limit}`);
}

const prefixed = sql`s.run, s.id, s.parent, s.position, s.kind, s.state, s.reason, s.message, s.verified, s.task, s.approval, s.output,
  s.wanted, s.created, s.done, s.failed, s.cancelled, s.created_at, s.finished_at`;

export const stepCursor = (row: StepRow & { top?: number; item?: number }): string => `${row.top ?? 0}.${row.item ?? 0}`;

export const findStep = (read: Reader, run: string, id: string): Promise<StepRow | null> =>
  read.one<StepRow>(sql`select ${stepColumns} from steps where run = ${run} and id = ${id}`);

export async function getGroupItems(read: Reader, run: string, id: string): Promise<unknown[]> {
  const row = await read.one<{ items: string | null }>(sql`select items from steps where run = ${run} and id = ${id}`);
  return JSON.parse(row?.items ?? "[]") as unknown[];
}

interface ResultRow {
  id: string;
  parent: string | null;
  position: number;
  state: StepState;
  answer: string | null;
  title: string | null;
  agent: string | null;
  result: string | null;
}

const resultsOf = (read: Reader, run: string, condition: Sql): Promise<ResultRow[]> =>
  read.all<ResultRow>(sql`
    select s.id, s.parent, s.position, s.state, s.output as answer, d.title, t.agent, d.result
      from steps s left join tasks t on t.id = s.task left join task_details d on d.task = s.task
     where s.run = ${run} and ${condition} order by s.position`);

const parsed = (text: string | null): TaskResult | null => (text === null ? null : (JSON.parse(text) as TaskResult));

/** What expressions see of these steps; a group gives the outputs of its done items, in order. */
export async function loadResults(read: Reader, run: string, ids: Iterable<string>): Promise<Record<string, StepResult>> {
  const wanted = [...ids];
  const rows = await resultsOf(read, run, sql`(s.id in (${list(wanted)}) or s.parent in (${list(wanted)}))`);
  const results: Record<string, StepResult> = {};
  for (const id of wanted) {
    const own = rows.find((row) => row.id === id && row.parent === null);
    const items = rows.filter((row) => row.parent === id && row.state === "done").map((row) => parsed(row.result));
    const result = parsed(own?.result ?? null);
    results[id] = {
      output: result?.output ?? null,
      outputs: items.map((item) => item?.output ?? null),
      answer: own?.answer ?? null,
      files: result?.files ?? items.flatMap((item) => item?.files ?? []),
      commit: result?.commit ?? result?.base ?? null,
    };
  }
  return results;
}

/** The commits that a step made, or the items of a group in their order; a step without changes gives none. */
export async function loadChanges(read: Reader, run: string, id: string): Promise<Change[]> {
  const rows = await resultsOf(read, run, sql`(s.id = ${id} or s.parent = ${id}) and s.state = 'done'`);
  return rows.flatMap((row) => {
    const commit = parsed(row.result)?.commit;
    return commit ? [{ step: row.id, title: row.title ?? row.id, commit, agent: row.agent ?? "tutti" }] : [];
  });
}

const mostGraphs = 500;
const graphs = new Map<string, { text: string; flow: Flow }>();

/** A run's graph never changes, and is asked for at each of its steps: the newest are kept as they were read. Not to be changed. */
export function graphOf(row: RunRow): Flow {
  const known = graphs.get(row.id);
  if (known?.text === row.graph) return known.flow;
  const flow = JSON.parse(row.graph) as Flow;
  if (graphs.size >= mostGraphs) graphs.delete(graphs.keys().next().value ?? "");
  graphs.set(row.id, { text: row.graph, flow });
  return flow;
}

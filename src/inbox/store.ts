import { createHash } from "node:crypto";
import type { Approval } from "../approvals/approval.ts";
import { canonical } from "../canonical.ts";
import { list, onlyPostgres, sql, statement, type Reader, type Sql, type Statement } from "../db/plan.ts";
import type { Reason } from "../tasks/task.ts";
import type { Mark, Marked } from "./inbox.ts";

/** Only the open questions are read whole: there are at most as many as there is work in hand, however long the history is. */
export interface OpenApproval {
  id: string;
  project: string;
  kind: Approval["kind"];
  agent: string | null;
  hash: string;
  created_at: number;
}

export const listOpenApprovals = (read: Reader, project: string | null): Promise<OpenApproval[]> =>
  read.all<OpenApproval>(sql`
    select id, project, kind, agent, hash, created_at from approvals
     where state = 'open' ${project === null ? sql`` : sql`and project = ${project}`} order by created_at, id`);

/** What is asked, less the request's own number: equal for equal requests. Kept by the hash of the whole, of which it is a function. */
const signatures = new Map<string, string>();
const mostSignatures = 20_000;

/** The signatures of permission requests by their hash. */
export async function signaturesOf(read: Reader, approvals: OpenApproval[]): Promise<Map<string, string>> {
  const unknown = approvals.filter(({ hash }) => !signatures.has(hash)).map(({ id }) => id);
  if (signatures.size + unknown.length > mostSignatures) signatures.clear();
  for (let start = 0; start < unknown.length; start += 200) {
    const rows = await read.all<{ hash: string; action: string }>(
      sql`select hash, action from approvals where id in (${list(unknown.slice(start, start + 200))})`,
    );
    for (const { hash, action } of rows) {
      const { permission: _number, ...asked } = JSON.parse(action) as Record<string, unknown>;
      signatures.set(hash, createHash("sha256").update(canonical(asked)).digest("hex"));
    }
  }
  // Cleared in between by another request: then its own hash, which folds with nothing.
  return new Map(approvals.map(({ hash }) => [hash, signatures.get(hash) ?? hash]));
}

/** Work that waits: since when, and for what. */
export interface StuckTask {
  id: string;
  project: string;
  reason: Reason | null;
  since: number;
}

/**
 * Work that waits for a person without a question that could be answered. One statement: between two, a question is answered. The
 * state is named twice: the partial index over held tasks is found by its own condition, word for word.
 */
export const listStuck = (read: Reader, project: string | null): Promise<StuckTask[]> =>
  read.all<StuckTask>(sql`
    select t.id, t.project, t.reason, t.updated_at as since from tasks t
     where t.state in ('starting', 'running', 'needs you') and t.state = 'needs you' ${project === null ? sql`` : sql`and t.project = ${project}`}
       and not exists (select 1 from approvals a where a.task = t.id and a.state = 'open')
     order by t.updated_at, t.id`);

/** Tasks that wait for an agent that is signed out, one row for each project: the oldest, and how many there are. */
export const listSignedOut = (read: Reader, project: string | null): Promise<(StuckTask & { newest: number; waiting: number })[]> =>
  read.all(sql`
    select w.id, w.project, 'signed out' as reason, w.since, w.newest, w.waiting
      from (select t.id, t.project, t.created_at as since, max(t.created_at) over (partition by t.project) as newest,
                   count(*) over (partition by t.project) as waiting,
                   row_number() over (partition by t.project order by t.created_at, t.id) as place
              from tasks t
             where t.state = 'queued' and t.reason = 'signed out' ${project === null ? sql`` : sql`and t.project = ${project}`}) as w
     where w.place = 1`);

export const listSignedOutAgents = (read: Reader): Promise<{ name: string; detection: string }[]> =>
  read.all(sql`select name, detection from agents where reason = 'signed out' order by name limit 20`);

/** A task or run that can be in the inbox, and since when. */
export interface Waiting {
  id: string;
  kind: "task" | "run";
  since: number;
}

interface Range {
  project: string | null;
  /** Marks that hide at this time are heeded; null: also what is done or snoozed. */
  now: number | null;
  /** Only this task or run. */
  id?: string;
}

const among = (table: Sql, { project, id }: Range): Sql => sql`
  ${project === null ? sql`` : sql`and ${table}.project = ${project}`} ${id === undefined ? sql`` : sql`and ${table}.id = ${id}`}`;

// `isOpen` for rows that are not worth loading. Of a task "done" stands in its own row, so that an index can leave it out.
const openTask = ({ now }: Range): Sql =>
  now === null
    ? sql``
    : sql`and (t.cleared_at is null or t.cleared_at < t.updated_at)
          and not exists (select 1 from inbox_marks m where m.item = t.id and ${isSnoozed(sql`t`, now)})`;

const isSnoozed = (table: Sql, now: number): Sql => sql`m.mark = 'snoozed' and m.marked_at >= ${table}.updated_at and m.until_at > ${now}`;

const openRun = ({ now }: Range): Sql =>
  now === null
    ? sql``
    : sql`and not exists (select 1 from inbox_marks m where m.item = r.id
                           and ((m.mark = 'done' and m.marked_at >= r.updated_at) or (${isSnoozed(sql`r`, now)})))`;

/**
 * Changes that wait for a person: an agent's own on its branch, which nobody has merged or put away; merges that were asked for and
 * stopped; and merges whose result lies on a branch because the person's own files or the remote were in the way.
 */
const reviews = (range: Range): Sql => sql`
  select t.id, t.project, 'task' as kind, t.updated_at as since from tasks t
   where t.state = 'done' and t.kind = 'agent' and t.run is null ${openTask(range)} ${among(sql`t`, range)}
     and exists (select 1 from sessions s where s.id = t.session and s.commit_id is not null)
  union all
  select t.id, t.project, 'task' as kind, t.updated_at as since from tasks t
   where t.state = 'cancelled' and t.kind = 'merge' and t.run is null ${openTask(range)} ${among(sql`t`, range)}
  union all
  select t.id, t.project, 'task' as kind, t.updated_at as since from task_details d join tasks t on t.id = d.task
   where d.result like '%; finish with: %' and d.result${onlyPostgres("::json")} ->> 'note' like '%; finish with: %'
     and t.state = 'done' and t.kind = 'merge' ${openTask(range)} ${among(sql`t`, range)}`;

const failures = (range: Range): Sql => sql`
  select t.id, t.project, 'task' as kind, t.updated_at as since from tasks t
   where t.state = 'failed' and t.run is null ${openTask(range)} ${among(sql`t`, range)}
  union all
  select r.id, r.project, 'run' as kind, r.updated_at as since from runs r
   where r.state = 'failed' ${openRun(range)} ${among(sql`r`, range)}`;

const sources = { review: reviews, failed: failures };

export async function countWaiting(read: Reader, group: keyof typeof sources, range: Range): Promise<number> {
  const row = await read.one<{ count: number }>(sql`select count(*) as count from (${sources[group](range)}) as w`);
  return Number(row?.count ?? 0);
}

/** The newest first, behind the place `before`. */
export function listWaiting(
  read: Reader,
  group: keyof typeof sources,
  options: Range & { before: { at: number; id: string } | null; limit: number },
): Promise<Waiting[]> {
  const { before, limit } = options;
  const behind = before === null ? sql`` : sql`where (w.since < ${before.at} or (w.since = ${before.at} and w.id < ${before.id}))`;
  return read.all<Waiting>(sql`
    select w.id, w.kind, w.since from (${sources[group](options)}) as w ${behind} order by w.since desc, w.id desc limit ${limit}`);
}

/** The task or run of this id, when it waits for a review or has failed; also when it was marked. */
export const findWaiting = (read: Reader, id: string): Promise<(Waiting & { project: string }) | null> => {
  const range = { project: null, now: null, id };
  return read.one(sql`select w.id, w.kind, w.since, w.project from (${reviews(range)} union all ${failures(range)}) as w`);
};

interface MarkRow {
  item: string;
  mark: Mark;
  until_at: number | null;
  marked_at: number;
}

/** The marks of these items, by item. */
export async function listMarks(read: Reader, items: string[]): Promise<Map<string, Marked>> {
  const marks = new Map<string, Marked>();
  for (let start = 0; start < items.length; start += 500) {
    const rows = await read.all<MarkRow>(
      sql`select item, mark, until_at, marked_at from inbox_marks where item in (${list(items.slice(start, start + 500))})`,
    );
    for (const row of rows) marks.set(row.item, { mark: row.mark, until: row.until_at, at: row.marked_at });
  }
  return marks;
}

/** Writes a mark, and into a task's own row whether it is done with. */
export const setMark = (item: string, { mark, until, at }: Marked, by: string): Statement[] => [
  statement(sql`
    insert into inbox_marks (item, mark, until_at, marked_by, marked_at) values (${item}, ${mark}, ${until}, ${by}, ${at})
    on conflict (item) do update set mark = excluded.mark, until_at = excluded.until_at, marked_by = excluded.marked_by,
      marked_at = excluded.marked_at`),
  statement(sql`update tasks set cleared_at = ${mark === "done" ? at : null} where id = ${item}`, "any"),
];

export interface ItemTask {
  id: string;
  project: string;
  kind: string;
  state: string;
  reason: Reason | null;
  run: string | null;
  step: string | null;
  agent: string | null;
  session: string | null;
  title: string;
  message: string | null;
  verified: number | null;
  branch: string | null;
  note: string | null;
}

export const listItemTasks = (read: Reader, ids: string[]): Promise<ItemTask[]> =>
  read.all<ItemTask>(sql`
    select t.id, t.project, t.kind, t.state, t.reason, t.run, t.step, t.agent, t.session, d.title, d.message, d.verified,
           d.result${onlyPostgres("::json")} ->> 'branch' as branch, d.result${onlyPostgres("::json")} ->> 'note' as note
      from tasks t join task_details d on d.task = t.id where t.id in (${list(ids)})`);

export interface ItemRun {
  id: string;
  project: string;
  flow: string;
  reason: Reason | null;
  message: string | null;
}

export const listItemRuns = (read: Reader, ids: string[]): Promise<ItemRun[]> =>
  read.all<ItemRun>(sql`select id, project, flow, reason, message from runs where id in (${list(ids)})`);

export async function projectNames(read: Reader, ids: string[]): Promise<Map<string, string>> {
  const rows = await read.all<{ id: string; name: string }>(sql`select id, name from projects where id in (${list([...new Set(ids)])})`);
  return new Map(rows.map(({ id, name }) => [id, name]));
}

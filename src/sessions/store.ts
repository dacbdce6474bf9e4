import { join, sql, type Reader, type Sql } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import type { Repository } from "../workspaces/workspace.ts";
import type { Session, Turn } from "./session.ts";

interface SessionRow {
  id: string;
  project: string;
  task: string;
  agent: string;
  state: Session["state"];
  reason: Session["reason"];
  vendor_session: string | null;
  branch: string;
  base: string | null;
  commit_id: string | null;
  not_included: string;
  demo: number;
  created_at: number;
  updated_at: number;
}

const columns = sql`id, project, task, agent, state, reason, vendor_session, branch, base, commit_id, not_included, demo, created_at, updated_at`;

const toSession = (row: SessionRow): Session => ({
  id: row.id,
  project: row.project,
  task: row.task,
  agent: row.agent,
  state: row.state,
  reason: row.reason,
  vendorSession: row.vendor_session,
  branch: row.branch,
  base: row.base,
  commit: row.commit_id,
  notIncluded: JSON.parse(row.not_included) as string[],
  demo: row.demo === 1,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** Throws AppError not_found. */
export async function getSession(read: Reader, id: string): Promise<Session> {
  const row = await read.one<SessionRow>(sql`select ${columns} from sessions where id = ${id}`);
  if (!row) throw notFound("session", id, ["tutti ls sessions"]);
  return toSession(row);
}

/** Newest first, behind the position `before`. */
export async function listSessions(
  read: Reader,
  filter: { task?: string; project?: string; before: { at: number; id: string } | null; limit: number },
): Promise<Session[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.task !== undefined) conditions.push(sql`task = ${filter.task}`);
  if (filter.project !== undefined) conditions.push(sql`project = ${filter.project}`);
  if (filter.before) {
    const { at, id } = filter.before;
    conditions.push(sql`(created_at < ${at} or (created_at = ${at} and id < ${id}))`);
  }
  const rows = await read.all<SessionRow>(sql`
    select ${columns} from sessions where ${join(conditions, " and ")} order by created_at desc, id desc limit ${filter.limit}`);
  return rows.map(toSession);
}

/** The repository that a session works on, for git. Throws AppError not_found. */
export async function getRepository(read: Reader, project: string): Promise<Repository> {
  const row = await read.one<{ id: string; source: string; base_branch: string }>(
    sql`select id, source, base_branch from projects where id = ${project}`,
  );
  if (!row) throw notFound("project", project, ["tutti projects"]);
  return { project: row.id, source: row.source, baseBranch: row.base_branch };
}

interface TurnRow {
  session: string;
  turn: number;
  attempt: number;
  state: Turn["state"];
  prompt: string;
  outcome: string | null;
  usage_json: string | null;
  commit_id: string | null;
  started_at: number;
  finished_at: number | null;
}

/** In their order, behind the turn `after`. */
export async function listTurns(read: Reader, session: string, { after, limit }: { after: number; limit: number }): Promise<Turn[]> {
  const rows = await read.all<TurnRow>(sql`
    select session, turn, attempt, state, prompt, outcome, usage_json, commit_id, started_at, finished_at from turns
     where session = ${session} and turn > ${after} order by turn limit ${limit}`);
  return rows.map((row) => ({
    session: row.session,
    turn: row.turn,
    attempt: row.attempt,
    state: row.state,
    prompt: row.prompt,
    outcome: row.outcome === null ? null : (JSON.parse(row.outcome) as Turn["outcome"]),
    usage: row.usage_json === null ? null : (JSON.parse(row.usage_json) as Turn["usage"]),
    commit: row.commit_id,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }));
}

/** The turns from `from` on that have a transcript, each with the artifact that it was sealed into, if it was. */
export function listTranscripts(read: Reader, session: string, from: number): Promise<{ turn: number; artifact: string | null }[]> {
  return read.all<{ turn: number; artifact: string | null }>(sql`
    select turn, max(transcript) as artifact
      from (select turn, transcript from turns where session = ${session} and turn >= ${from}
             union all
            select turn, null as transcript from transcript_segments where session = ${session} and turn >= ${from}) as known
     group by turn order by turn`);
}

/** A turn's segments behind the part `after`, in order. */
export function listSegments(read: Reader, session: string, turn: number, after: number): Promise<{ part: number; data: string }[]> {
  return read.all<{ part: number; data: string }>(sql`
    select part, data from transcript_segments where session = ${session} and turn = ${turn} and part > ${after} order by part`);
}

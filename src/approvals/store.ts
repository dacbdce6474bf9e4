import { list, sql, type Reader, type Sql } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import { splitCursor } from "../cursor.ts";
import type { Approval } from "./approval.ts";

export interface ApprovalRow {
  id: string;
  project: string;
  kind: Approval["kind"];
  state: Approval["state"];
  task: string | null;
  run: string | null;
  step: string | null;
  session: string | null;
  agent: string | null;
  question: string;
  action: string;
  hash: string;
  options: string;
  answer: string | null;
  comment_text: string | null;
  answered_by: string | null;
  created_at: number;
  expires_at: number | null;
  answered_at: number | null;
}

const columns = sql`id, project, kind, state, task, run, step, session, agent, question, action, hash, options, answer, comment_text,
  answered_by, created_at, expires_at, answered_at`;

export const toApproval = (row: ApprovalRow): Approval => ({
  id: row.id,
  project: row.project,
  kind: row.kind,
  state: row.state,
  task: row.task,
  run: row.run,
  step: row.step,
  session: row.session,
  agent: row.agent,
  question: row.question,
  action: JSON.parse(row.action) as unknown,
  hash: row.hash,
  options: JSON.parse(row.options) as string[],
  answer: row.answer,
  comment: row.comment_text,
  answeredBy: row.answered_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  answeredAt: row.answered_at,
});

/** Throws AppError not_found. */
export async function getApproval(read: Reader, id: string): Promise<ApprovalRow> {
  const row = await read.one<ApprovalRow>(sql`select ${columns} from approvals where id = ${id}`);
  if (!row) throw notFound("approval", id, ["tutti ls approvals"]);
  return row;
}

/** The oldest first: what waits longest is answered first. */
export function listApprovals(
  read: Reader,
  filter: { state?: Approval["state"]; project?: string; run?: string; cursor?: string; limit: number },
): Promise<ApprovalRow[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.state) conditions.push(sql`state = ${filter.state}`);
  if (filter.project) conditions.push(sql`project = ${filter.project}`);
  if (filter.run) conditions.push(sql`run = ${filter.run}`);
  if (filter.cursor) {
    const [createdAt, id] = splitCursor(filter.cursor);
    conditions.push(sql`(created_at > ${createdAt} or (created_at = ${createdAt} and id > ${id}))`);
  }
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`);
  return read.all<ApprovalRow>(sql`select ${columns} from approvals where ${where} order by created_at, id limit ${filter.limit}`);
}

export const listApprovalsOf = (read: Reader, ids: string[]): Promise<ApprovalRow[]> =>
  read.all<ApprovalRow>(sql`select ${columns} from approvals where id in (${list(ids)})`);

export const listExpired = (read: Reader): Promise<ApprovalRow[]> =>
  read.all<ApprovalRow>(
    sql`select ${columns} from approvals where state = 'open' and expires_at < tutti_now() order by expires_at limit 50`,
  );

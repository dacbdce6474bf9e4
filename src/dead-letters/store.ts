import { sql, type Reader, type Sql } from "../db/plan.ts";
import { findTask, listAttempts, taskColumns, type TaskRow } from "../tasks/store.ts";
import type { DeadLetter, Filter } from "./dead-letter.ts";

/** Failed, of no run, and not dealt with: the words of the index over them. */
const dead = (filter: Filter): Sql => {
  const { project, reason, agent } = filter;
  return sql`t.state = 'failed' and t.run is null and (t.cleared_at is null or t.cleared_at < t.updated_at)
    ${project === undefined ? sql`` : sql`and t.project = ${project}`} ${reason === undefined ? sql`` : sql`and t.reason = ${reason}`}
    ${agent === undefined ? sql`` : sql`and t.agent = ${agent}`}`;
};

export const listDead = (read: Reader, filter: Filter, before: number | null, limit: number): Promise<TaskRow[]> =>
  read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id
     where ${dead(filter)} ${before === null ? sql`` : sql`and t.seq < ${before}`} order by t.seq desc limit ${limit}`);

export async function toDeadLetter(read: Reader, row: TaskRow): Promise<DeadLetter> {
  const { id: task, project, title, agent, reason, message, failures, crashes } = row;
  const attempts = (await listAttempts(read, task)).map(({ why: _, ...attempt }) => attempt);
  return { task, project, title, agent, reason, message, failures, crashes, failedAt: row.finished_at ?? row.updated_at, attempts };
}

/** Those of the tasks that are dead letters; others are left alone, so that a replay can be asked for twice. */
export async function deadAmong(read: Reader, ids: readonly string[]): Promise<TaskRow[]> {
  const rows = await Promise.all([...new Set(ids)].map((id) => findTask(read, id)));
  return rows.filter((row) => row !== null).filter((row) => row.state === "failed" && row.run === null);
}

import { permissionChoice } from "../approvals/answer.ts";
import { sql, type Reader } from "../db/plan.ts";
import type { Connection } from "../runners/connections.ts";
import type { FromRunner } from "../runners/message.ts";

type Permission = Extract<FromRunner, { kind: "permission" }>;

interface AnsweredRow {
  approval: string;
  task: string;
  attempt: number;
  state: string;
  answer: string | null;
  action: string;
}

/** The approvals whose answers each connection was told. */
const toldTo = new WeakMap<Connection, Set<string>>();

/**
 * Tells a connected runner what people answered to the questions of its attempts, as far as it was not told on this connection. Made
 * from rows, so an answer finds its way whoever restarted in between, and whichever server it was given to.
 */
export async function deliverAnswers(read: Reader, connection: Connection): Promise<void> {
  const told = toldTo.get(connection) ?? new Set<string>();
  toldTo.set(connection, told);
  const rows = await answered(read, connection);
  for (const approval of told) if (!rows.some((row) => row.approval === approval)) told.delete(approval);
  for (const row of rows) {
    if (told.has(row.approval)) continue;
    told.add(row.approval);
    const asked = JSON.parse(row.action) as Pick<Permission, "permission" | "options">;
    const option = permissionChoice(asked.options, row.state === "answered" ? row.answer : null);
    connection.send({ kind: "answer", task: row.task, attempt: Number(row.attempt), permission: asked.permission, option });
  }
}

const answered = (read: Reader, { runner, epoch }: Connection): Promise<AnsweredRow[]> =>
  read.all<AnsweredRow>(sql`
    select a.id as approval, t.id as task, t.attempt, a.state, a.answer, a.action
      from tasks t join approvals a on a.task = t.id and a.attempt = t.attempt
     where t.runner = ${runner} and t.runner_epoch = ${epoch} and t.state in ('starting', 'running', 'needs you')
       and a.kind = 'permission' and a.state <> 'open'`);

import { defineRows, sql, type Db, type Reader } from "../db/plan.ts";
import type { FromRunner } from "../runners/message.ts";
import { receive, type ReceiveOptions } from "./receive.ts";

/** The answer stands already: an earlier telling of the same message was taken. */
class ToldBefore extends Error {}

/**
 * Takes what a runner tells exactly once, however often it is told: each message of an attempt has a number, the newest that was
 * taken stands in the attempt's row, and is moved in the transaction of what the message writes. A message that was taken before
 * is accepted again without writing anything. The numbers of an attempt come in their order, because its runner waits for each answer.
 */
export async function receiveOnce(options: ReceiveOptions, message: FromRunner): Promise<boolean> {
  const { number, task, attempt, runner, runnerEpoch } = message;
  if (number === undefined || message.kind === "delta") return await receive(options, message);
  const { db } = options;
  const once: Db = {
    ...db,
    async commit(plan) {
      const statements = [...plan.statements, noteTold({ task, attempt, runner, epoch: runnerEpoch, number })];
      const committed = await db.commit({ statements, events: plan.events });
      if (committed.kind === "conflict" && (await isTold(db.read, message, number))) throw new ToldBefore();
      return committed;
    },
  };
  try {
    return (await receive({ ...options, db: once }, message)) || (await isTold(db.read, message, number));
  } catch (error) {
    if (error instanceof ToldBefore) return true;
    throw error;
  }
}

const noteTold = defineRows(
  "note what was told",
  { task: "text", attempt: "bigint", runner: "text", epoch: "bigint", number: "bigint" },
  (v) => sql`
    update attempts set told = ${v.number} ${v.from}
     where attempts.task = ${v.task} and attempts.attempt = ${v.attempt} and attempts.runner = ${v.runner}
       and attempts.runner_epoch = ${v.epoch} and attempts.told < ${v.number}`,
);

const isTold = async (read: Reader, { task, attempt, runner, runnerEpoch }: FromRunner, number: number): Promise<boolean> =>
  (await read.one(sql`
    select 1 from attempts
     where task = ${task} and attempt = ${attempt} and runner = ${runner} and runner_epoch = ${runnerEpoch} and told >= ${number}`)) !==
  null;

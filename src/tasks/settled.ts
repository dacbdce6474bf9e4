import { revokeTokensOfSession } from "../access/store.ts";
import { emptyPlan, mergePlans, onlyPostgres, sql, statement, type Plan, type Reader } from "../db/plan.ts";
import { settle, type AttemptEnd, type Settlement } from "./settle.ts";
import { attemptFence, dependentsFence, findTask, listDependents, runnerLeaseFence, type AttemptFence, type TaskRow } from "./store.ts";
import { isTerminal } from "./task.ts";

const countFailures = async (read: Reader, task: string): Promise<number> => {
  const row = await read.one<{ failures: number }>(
    sql`select count(*) as failures from attempts where task = ${task} and state = 'failed' and reason <> 'interrupted'`,
  );
  return Number(row?.failures ?? 0);
};

/**
 * The plan that ends an attempt: task, attempt, session, its open permission questions, and the tasks that waited for it.
 * `fence` null: the task has no running attempt (a queued task is stopped, or fails because a need failed).
 * `leaseHeld` false is for attempts whose runner is gone: then its lease is not asked for.
 */
export async function planSettlement(
  read: Reader,
  row: TaskRow,
  end: AttemptEnd,
  options: { fence: AttemptFence | null; leaseHeld: boolean; now: number },
  ending: Set<string> = new Set(),
): Promise<{ plan: Plan; settlement: Settlement }> {
  const { fence, now } = options;
  ending.add(row.id);
  const failures = end.kind === "failed" && end.retryable ? await countFailures(read, row.id) : 0;
  const settlement = settle(end, { failures, crashes: row.crashes, cancelRequested: row.cancel_requested === 1 }, now);
  const plan = emptyPlan();
  if (fence && options.leaseHeld) plan.statements.push(runnerLeaseFence(fence, sql`${onlyPostgres("for share")}`));
  plan.statements.push(writeTask(row, settlement, fence, now), writeDetails(row, settlement, now));
  if (fence) plan.statements.push(...endAttempt(row, settlement, fence, now));
  const over = isTerminal(settlement.task.state);
  plan.events.push({
    stream: row.project,
    type: over ? "task.settled" : "task.requeued",
    task: row.id,
    run: row.run,
    session: row.session,
    data: {
      state: settlement.task.state,
      reason: settlement.task.reason,
      attempt: row.attempt,
      step: row.step,
      verified: settlement.verified,
      title: row.title,
      message: settlement.task.message?.slice(0, 500) ?? null,
    },
  });
  const dependents = over && !row.run ? await planDependents(read, row, settlement.task.state === "done", now, ending) : emptyPlan();
  return { plan: mergePlans(plan, dependents), settlement };
}

function writeTask(row: TaskRow, { task, readyAt }: Settlement, fence: AttemptFence | null, now: number) {
  const holds = fence ? attemptFence(fence) : sql`id = ${row.id} and attempt = ${row.attempt} and state = ${row.state}`;
  return statement(sql`
    update tasks set state = ${task.state}, reason = ${task.reason}, ready_at = ${readyAt}, runner = null, runner_epoch = null, updated_at = ${now}
     where ${holds}`);
}

function writeDetails(row: TaskRow, settlement: Settlement, now: number) {
  const verified = settlement.verified === null ? null : Number(settlement.verified);
  const result = settlement.result === null ? null : JSON.stringify(settlement.result);
  const finishedAt = isTerminal(settlement.task.state) ? now : null;
  return statement(sql`
    update task_details set message = ${settlement.task.message}, verified = ${verified}, result = coalesce(${result}, result),
           crashes = crashes + ${settlement.crashes}, finished_at = ${finishedAt}
     where task = ${row.id}`);
}

function endAttempt(row: TaskRow, { attempt, task }: Settlement, fence: AttemptFence, now: number) {
  const sessionState = isTerminal(task.state) ? task : { state: "paused", reason: task.reason };
  return [
    statement(sql`
      update attempts set state = ${attempt.state}, reason = ${attempt.reason}, message = ${attempt.message}, finished_at = ${now}
       where task = ${row.id} and attempt = ${fence.attempt} and finished_at is null`),
    statement(
      sql`update sessions set state = ${sessionState.state}, reason = ${sessionState.reason}, updated_at = ${now} where id = ${row.session}`,
      "any",
    ),
    statement(
      sql`update turns set state = ${attempt.state === "done" ? "done" : "failed"}, finished_at = ${now}
           where session = ${row.session} and finished_at is null`,
      "any",
    ),
    statement(
      sql`update approvals set state = 'expired', answered_at = ${now} where task = ${row.id} and kind = 'permission' and state = 'open'`,
      "any",
    ),
    ...(row.session === null ? [] : [revokeTokensOfSession(row.session, now)]),
  ];
}

/**
 * A need that is done makes its dependents one need shorter; one that is not fails them, and theirs. `ending` are the tasks that
 * this plan ends: a task that is reached by two ways is ended once.
 */
async function planDependents(read: Reader, row: TaskRow, done: boolean, now: number, ending: Set<string>): Promise<Plan> {
  const plan = emptyPlan();
  const waiting = (await listDependents(read, row.id)).filter(({ id, state }) => state === "queued" && !ending.has(id));
  plan.statements.push(dependentsFence(row.id, [...ending], waiting.length));
  for (const dependent of waiting) {
    if (ending.has(dependent.id)) continue;
    if (done) {
      const reason = dependent.needs_left === 1 ? "new" : "needs";
      plan.statements.push(
        statement(sql`
          update tasks set needs_left = needs_left - 1, reason = ${reason}, ready_at = ${now}, updated_at = ${now}
           where id = ${dependent.id} and state = 'queued' and needs_left = ${dependent.needs_left}`),
      );
      continue;
    }
    const ended = await findTask(read, dependent.id);
    if (!ended) continue;
    const end: AttemptEnd = {
      kind: "failed",
      reason: "need failed",
      message: `${row.id} was not done`,
      retryable: false,
      commit: null,
      base: null,
      files: [],
    };
    const cascade = await planSettlement(read, ended, end, { fence: null, leaseHeld: false, now }, ending);
    plan.statements.push(...cascade.plan.statements);
    plan.events.push(...cascade.plan.events);
  }
  return plan;
}

import { agentSubject, endOfAttempt } from "../breakers/breaker.ts";
import { planBreaker } from "../breakers/count.ts";
import { findBreaker } from "../breakers/store.ts";
import { defineRows, emptyPlan, sql, statement, type Plan, type Reader } from "../db/plan.ts";
import { laneOf, laneText, readLimits } from "./lane.ts";
import { settle, type AttemptEnd, type Settlement } from "./settle.ts";
import { findTask, getTaskSpec, listDependents, runnerLeaseFence, type AttemptFence, type TaskRow } from "./store.ts";
import { isTerminal } from "./task.ts";

export interface EndOptions {
  /** null: the task has no running attempt (a queued task is stopped, or fails because a need failed). */
  fence: AttemptFence | null;
  /** false for attempts whose runner is gone: then its lease is not asked for. */
  leaseHeld: boolean;
  now: number;
}

/** The plan that ends an attempt: task, attempt, session, its open permission questions, and the tasks that waited for it. */
export async function planSettlement(
  read: Reader,
  row: TaskRow,
  end: AttemptEnd,
  options: EndOptions,
  ending: Set<string> = new Set(),
): Promise<{ plan: Plan; settlement: Settlement }> {
  const { fence, now } = options;
  ending.add(row.id);
  // Only a failure asks how often it may be tried: everything else spares itself the reading.
  const retry = end.kind === "failed" && end.retryable ? (await getTaskSpec(read, row.id)).spec.retry : undefined;
  const { id, failures, crashes, cancel_requested: cancelRequested } = row;
  const settlement = settle(end, { id, failures, crashes, cancelRequested, retry }, now);
  const over = isTerminal(settlement.task.state);
  const plan = emptyPlan();
  if (fence && options.leaseHeld) plan.statements.push(runnerLeaseFence(fence));
  plan.statements.push(
    fence ? settleAttempt(row, settlement, fence, now) : settleQueued(row, settlement, now),
    endDetails(row, settlement, now),
  );
  if (fence) plan.statements.push(...endAttempt(row, settlement, fence, now));
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
  const parts = [
    over && row.dependents > 0 ? await planDependents(read, row, settlement.task.state === "done", now, ending) : null,
    fence && row.agent !== null ? await planAgentBreaker(read, row, end, now) : null,
  ];
  for (const part of parts) {
    plan.statements.push(...(part?.statements ?? []));
    plan.events.push(...(part?.events ?? []));
  }
  return { plan, settlement };
}

const settled = {
  state: "text",
  reason: "text",
  ready: "bigint",
  ready_at: "bigint",
  lane: "text",
  cleared: "bigint",
  now: "bigint",
} as const;
const counted = { crashes: "bigint", failures: "bigint", dependents: "bigint", cancel_requested: "bigint" } as const;

const settleAttempts = defineRows(
  "settle attempt's task",
  { ...settled, ...counted, id: "text", attempt: "bigint", runner: "text", runner_epoch: "bigint" },
  (v) => sql`
    update tasks set state = ${v.state}, reason = ${v.reason}, ready = ${v.ready}, ready_at = ${v.ready_at}, lane = ${v.lane}, runner = null,
           runner_epoch = null, crashes = ${v.crashes}, failures = ${v.failures}, updated_at = ${v.now},
           cleared_at = case when ${v.cleared} = 1 then ${v.now} else tasks.cleared_at end ${v.from}
     where tasks.id = ${v.id} and tasks.attempt = ${v.attempt} and tasks.runner = ${v.runner} and tasks.runner_epoch = ${v.runner_epoch}
       and tasks.state in ('starting', 'running', 'needs you') and tasks.dependents = ${v.dependents}
       and tasks.cancel_requested = ${v.cancel_requested}`,
);

const settleTasks = defineRows(
  "settle waiting task",
  { ...settled, ...counted, id: "text", attempt: "bigint", before: "text" },
  (v) => sql`
    update tasks set state = ${v.state}, reason = ${v.reason}, ready = ${v.ready}, ready_at = ${v.ready_at}, lane = ${v.lane}, runner = null,
           runner_epoch = null, crashes = ${v.crashes}, failures = ${v.failures}, updated_at = ${v.now},
           cleared_at = case when ${v.cleared} = 1 then ${v.now} else tasks.cleared_at end ${v.from}
     where tasks.id = ${v.id} and tasks.attempt = ${v.attempt} and tasks.state = ${v.before} and tasks.dependents = ${v.dependents}
       and tasks.cancel_requested = ${v.cancel_requested}`,
);

function settledRow(row: TaskRow, settlement: Settlement, now: number) {
  const { task, readyAt } = settlement;
  // A session goes on with the agent that it began with, so what waits again waits for that one.
  const begun = row.kind === "agent" && row.session !== null && row.agent !== null && task.state === "queued";
  return {
    state: task.state,
    reason: task.reason,
    ready: Number(task.state === "queued" && readyAt <= now),
    ready_at: readyAt,
    lane: begun ? laneText(laneOf({ kind: "agent", agent: { name: row.agent ?? "" } }, readLimits(row.limits))) : row.lane,
    // What is done and changed nothing is nothing that a person would look at: it is no part of the inbox's index.
    cleared: Number(task.state === "done" && settlement.result?.commit === null),
    now,
    crashes: row.crashes + settlement.crashes,
    failures: row.failures + settlement.failures,
    dependents: row.dependents,
    cancel_requested: row.cancel_requested,
    id: row.id,
    attempt: row.attempt,
  };
}

const settleAttempt = (row: TaskRow, settlement: Settlement, fence: AttemptFence, now: number) =>
  settleAttempts({ ...settledRow(row, settlement, now), attempt: fence.attempt, runner: fence.runner, runner_epoch: fence.runnerEpoch });

const settleQueued = (row: TaskRow, settlement: Settlement, now: number) =>
  settleTasks({ ...settledRow(row, settlement, now), before: row.state });

const settleDetails = defineRows(
  "settle task details",
  { task: "text", message: "text", verified: "bigint", result: "text", finished_at: "bigint" },
  (v) => sql`
    update task_details set message = ${v.message}, verified = ${v.verified}, result = coalesce(${v.result}, task_details.result),
           finished_at = ${v.finished_at} ${v.from}
     where task_details.task = ${v.task}`,
);

const endDetails = (row: TaskRow, { task, verified, result }: Settlement, now: number) =>
  settleDetails({
    task: row.id,
    message: task.message,
    verified: verified === null ? null : Number(verified),
    result: result === null ? null : JSON.stringify(result),
    finished_at: isTerminal(task.state) ? now : null,
  });

const settleAttemptRows = defineRows(
  "settle attempt",
  { task: "text", attempt: "bigint", state: "text", reason: "text", message: "text", now: "bigint" },
  (v) => sql`
    update attempts set state = ${v.state}, reason = ${v.reason}, message = ${v.message}, finished_at = ${v.now} ${v.from}
     where attempts.task = ${v.task} and attempts.attempt = ${v.attempt} and attempts.finished_at is null`,
);

const settleSessions = defineRows(
  "settle session",
  { id: "text", state: "text", reason: "text", now: "bigint" },
  (v) => sql`update sessions set state = ${v.state}, reason = ${v.reason}, updated_at = ${v.now} ${v.from} where sessions.id = ${v.id}`,
);

/** An agent's token needs no end of its own: it is good as long as its attempt runs. */
function endAttempt(row: TaskRow, { attempt, task }: Settlement, fence: AttemptFence, now: number) {
  const session = isTerminal(task.state) ? task : { state: "paused", reason: task.reason };
  const rows = [
    settleAttemptRows({
      task: row.id,
      attempt: fence.attempt,
      state: attempt.state,
      reason: attempt.reason,
      message: attempt.message,
      now,
    }),
    ...(row.session === null ? [] : [settleSessions({ id: row.session, state: session.state, reason: session.reason, now })]),
  ];
  // An attempt whose clone was never ready has had no turn and asked nothing.
  if (row.state === "starting") return rows;
  return [
    ...rows,
    statement(
      sql`update turns set state = ${attempt.state === "done" ? "done" : "failed"}, finished_at = ${now}
           where session = ${row.session} and finished_at is null`,
      "any",
    ),
    statement(
      sql`update approvals set state = 'expired', answered_at = ${now} where task = ${row.id} and kind = 'permission' and state = 'open'`,
      "any",
    ),
  ];
}

/** An agent that keeps failing rests for a while. */
async function planAgentBreaker(read: Reader, row: TaskRow, end: AttemptEnd, now: number): Promise<Plan> {
  const subject = agentSubject(row.agent ?? "");
  const ended = endOfAttempt(end.kind === "failed" ? end : { kind: end.kind });
  if (ended !== "failed" && row.troubled === null) return emptyPlan();
  const reason = end.kind === "failed" ? `${end.reason}: ${end.message}` : "";
  return planBreaker(await findBreaker(read, subject), { subject, ended, attempt: `${row.id}/${row.attempt}`, reason, now });
}

const needDone = defineRows(
  "need done",
  { id: "text", before: "bigint", reason: "text", ready: "bigint", now: "bigint" },
  (v) => sql`
    update tasks set needs_left = tasks.needs_left - 1, reason = ${v.reason}, updated_at = ${v.now},
           ready = case when ${v.ready} = 1 and tasks.ready_at <= ${v.now} and tasks.cancel_requested = 0 then 1 else 0 end ${v.from}
     where tasks.id = ${v.id} and tasks.state = 'queued' and tasks.needs_left = ${v.before}`,
);

/**
 * A need that is done makes its dependents one need shorter; one that is not fails them, and theirs. `ending` are the tasks that
 * this plan ends: a task that is reached by two ways is ended once.
 */
async function planDependents(read: Reader, row: TaskRow, done: boolean, now: number, ending: Set<string>): Promise<Plan> {
  const plan = emptyPlan();
  const waiting = (await listDependents(read, row.id)).filter(({ id, state }) => state === "queued" && !ending.has(id));
  for (const dependent of waiting) {
    if (ending.has(dependent.id)) continue;
    if (done) {
      const isLast = dependent.needs_left === 1;
      plan.statements.push(
        needDone({ id: dependent.id, before: dependent.needs_left, reason: isLast ? "new" : "needs", ready: Number(isLast), now }),
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

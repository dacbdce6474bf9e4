import { planAnswered } from "../approvals/commands.ts";
import { getApproval, listExpired, type ApprovalRow } from "../approvals/store.ts";
import { mergePlans, sql, statement, type Db } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import { planStopRun } from "../flows/commands.ts";
import { planAnswer, planProgress, planTaskEnd } from "../flows/progress.ts";
import { getRun, graphOf } from "../flows/store.ts";
import type { AttemptEnd } from "../tasks/settle.ts";
import { findTask, type TaskRow } from "../tasks/store.ts";
import { isTerminal } from "../tasks/task.ts";
import { listLate, listLost, listOverdueStops, listRunsToStop, listToStop, nextDue, readyDue } from "./store.ts";

/** What an orchestrator does beside giving work out, each as one look at the store. No timers here: whoever calls says when. */
export interface LookOptions {
  db: Db;
  now(): number;
}

/** A runner ends an attempt's processes within this time after it was told; then it is over whatever the runner says. */
export const stopGraceMs = 15_000;

/** Makes ready what waited for a time that has come. Answers when the next one is due, ms from now; null: none waits for a time. */
export async function makeReady({ db }: LookOptions): Promise<number | null> {
  const wait = await nextDue(db.read);
  if (wait === null || wait > 0) return wait;
  await db.commit(readyDue());
  return await nextDue(db.read);
}

/** Ends what of a project must end and no runner has (those are told: deliver.ts), and moves runs that must stop. */
export async function stopWhatMustStop(options: LookOptions, project: string): Promise<void> {
  const { db, now } = options;
  for (const id of await listToStop(db.read, project)) await endWaiting(options, id);
  for (const { id, late } of await listRunsToStop(db.read, project)) {
    await transact(db, async () => {
      const run = await getRun(db.read, id);
      if (run.finished_at !== null) return { plan: null, result: null };
      if (late === 1 && run.cancel_requested === 0) return { plan: planStopRun(run, "time limit"), result: null };
      const plan = await planProgress(db, run, now());
      return { plan: plan.statements.length > 0 ? plan : null, result: null };
    });
  }
}

/** Ends a task that no runner holds, if it is still so. */
async function endWaiting({ db, now }: LookOptions, id: string): Promise<void> {
  await transact(db, async () => {
    const row = await findTask(db.read, id);
    if (!row || (row.state !== "queued" && row.state !== "paused") || row.cancel_requested === 0) return { plan: null, result: null };
    return { plan: await planTaskEnd(db, row, { kind: "cancelled" }, { fence: null, leaseHeld: false, now: now() }), result: null };
  });
}

/** Attempts whose runner is gone go back to the queue, after `sweep` has ended the last of their processes on this machine. */
export async function endLost(
  options: LookOptions & { ownRunner: string | null; sweep(sessions: string[]): Promise<void> },
): Promise<void> {
  const lost = await listLost(options.db.read);
  const here = lost.flatMap((task) => (task.runner === options.ownRunner && task.session ? [task.session] : []));
  if (here.length > 0) await options.sweep(here);
  for (const task of lost) await endAttempt(options, task, { kind: "lost" });
}

/** A stop that was asked for is over in its time, whatever the agent and its runner do. */
export async function endOverdue(options: LookOptions): Promise<void> {
  for (const task of await listOverdueStops(options.db.read, stopGraceMs)) await endAttempt(options, task, { kind: "cancelled" });
}

/** Ends an attempt without its runner, if it is still the same one. */
async function endAttempt({ db, now }: LookOptions, before: TaskRow, end: AttemptEnd): Promise<void> {
  await transact(db, async () => {
    const row = await findTask(db.read, before.id);
    if (!row || !isSameAttempt(row, before)) return { plan: null, result: null };
    const fence = { task: row.id, attempt: row.attempt, runner: row.runner ?? "", runnerEpoch: row.runner_epoch ?? 0 };
    return { plan: await planTaskEnd(db, row, end, { fence, leaseHeld: false, now: now() }), result: null };
  });
}

const isSameAttempt = (row: TaskRow, before: TaskRow): boolean =>
  row.attempt === before.attempt && row.runner_epoch === before.runner_epoch && !isTerminal(row.state) && row.runner !== null;

/** What is not over by its deadline is stopped, for that reason. */
export async function stopLate({ db }: LookOptions): Promise<void> {
  for (const { id, project, run, session } of await listLate(db.read)) {
    await db.commit({
      statements: [
        statement(sql`
          update tasks set cancel_requested = 2, cancel_at = tutti_now(), ready = 0
           where id = ${id} and cancel_requested = 0 and deadline < tutti_now() and state in ('queued', 'starting', 'running', 'needs you', 'paused')`),
      ],
      events: [{ stream: project, type: "task.stop-requested", task: id, run, session, data: { why: "deadline" } }],
    });
  }
}

/** Questions that nobody answered in their time get the answer that their flow says. */
export async function endExpired({ db, now }: LookOptions): Promise<void> {
  for (const { id } of await listExpired(db.read)) {
    await transact(db, async () => {
      const approval = await getApproval(db.read, id);
      if (approval.state !== "open") return { plan: null, result: null };
      const answer = approval.kind === "ask" ? await defaultAnswer(db, approval) : null;
      const expired = planAnswered(approval, { state: "expired", answer, comment: null, by: null, now: now() });
      if (approval.kind !== "ask" || !approval.run || !approval.step || answer === null) return { plan: expired, result: null };
      const moved = await planAnswer(db, { run: approval.run, step: approval.step }, answer, now());
      return { plan: mergePlans(expired, moved), result: null };
    });
  }
}

/** What the flow says for nobody answering; otherwise the last option, which is no. */
async function defaultAnswer(db: Db, approval: ApprovalRow): Promise<string | null> {
  const run = await getRun(db.read, approval.run ?? "");
  const step = graphOf(run).steps.find(({ id }) => id === approval.step);
  const choices = JSON.parse(approval.options) as string[];
  return (step?.kind === "ask" ? step.default : null) ?? choices.at(-1) ?? null;
}

import type { Logger } from "pino";
import { permissionChoice } from "../approvals/answer.ts";
import { planAnswered } from "../approvals/commands.ts";
import { getApproval, listApprovalsOf, listExpired, type ApprovalRow } from "../approvals/store.ts";
import { mergePlans } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import type { Bus } from "../events/bus.ts";
import { planStopRun } from "../flows/commands.ts";
import { planAnswer, planProgress, planTaskEnd } from "../flows/progress.ts";
import { getRun, graphOf } from "../flows/store.ts";
import type { FromRunner } from "../runners/message.ts";
import { findTask, type TaskRow } from "../tasks/store.ts";
import { isTerminal } from "../tasks/task.ts";
import { assignReady, type AssignOptions } from "./assign.ts";
import { findLease, listActiveProjects, listLost, listRunsToStop, listToStop, renewLease, takeLease, type Lease } from "./store.ts";

/**
 * The orchestrators of this server: one for each project that has something to do and whose lease this server holds. They
 * wake on commits, and look for themselves every second, because a wake-up is only a hint.
 */
export interface OrchestratorOptions extends AssignOptions {
  bus: Bus;
  /** This home's own id: a server that comes back takes its projects up again at once. */
  holder: string;
  /** Ends what is left of these sessions on this machine. */
  sweep(sessions: string[]): Promise<void>;
  log: Logger;
}

export interface Orchestrators {
  /** Looks at everything once; for the start, and for tests. */
  tick(): Promise<void>;
  expectAnswer(approval: string, message: Extract<FromRunner, { kind: "permission" }>): void;
  /** Nothing is assigned any more when it resolves. */
  stop(): Promise<void>;
}

const pollMs = 1_000;
const renewAfterMs = 5_000;

export function startOrchestrators(options: OrchestratorOptions): Orchestrators {
  const { db, bus, log } = options;
  const leases = new Map<string, { lease: Lease; renewedAt: number }>();
  const answers = new Map<string, Extract<FromRunner, { kind: "permission" }>>();
  const dirty = new Set<string>();
  let stopping = false;
  let working: Promise<void> = Promise.resolve();
  let scheduled = false;

  const offWake = bus.onWake(({ streams }) => {
    streams.forEach((stream) => dirty.add(stream));
    schedule();
  });
  const timer = setInterval(() => void tick(), pollMs);

  /** One look at a time; wake-ups that come meanwhile lead to one more. */
  function schedule(): void {
    if (scheduled || stopping) return;
    scheduled = true;
    working = working.then(look).catch((error: unknown) => log.error({ err: error }, "an orchestrator stumbled; it looks again"));
  }

  async function look(): Promise<void> {
    scheduled = false;
    const projects = [...dirty].filter((stream) => stream !== "instance");
    dirty.clear();
    await deliverAnswers();
    for (const project of projects) {
      if (stopping) return;
      await conduct(project);
    }
  }

  async function tick(): Promise<void> {
    try {
      for (const project of await listActiveProjects(db.read)) dirty.add(project);
      await endLost();
      await endExpired();
    } catch (error) {
      log.error({ err: error }, "the store could not be looked at");
    }
    schedule();
    await working;
  }

  async function conduct(project: string): Promise<void> {
    const lease = await holdLease(project);
    if (!lease) return;
    await stopWhatMustStop(project);
    await assignReady(options, lease);
  }

  async function holdLease(project: string): Promise<Lease | null> {
    const held = leases.get(project);
    if (held && performance.now() - held.renewedAt < renewAfterMs) return held.lease;
    const asked = performance.now();
    if (held) {
      const renewed = await db.commit(renewLease(held.lease));
      if (renewed.kind === "committed") {
        held.renewedAt = asked;
        return held.lease;
      }
      leases.delete(project);
    }
    const taken = await db.commit(takeLease(project, options.holder));
    if (taken.kind === "conflict") return null;
    const row = await findLease(db.read, project);
    if (row?.holder !== options.holder) return null;
    const lease = { project, epoch: row.epoch };
    leases.set(project, { lease, renewedAt: asked });
    return lease;
  }

  async function stopWhatMustStop(project: string): Promise<void> {
    for (const task of await listToStop(db.read, project)) {
      if (task.state === "queued" || task.state === "paused") await settleHere(task.id, { kind: "cancelled" });
      else if (task.runner === options.runner.id) options.send({ kind: "cancel", task: task.id, attempt: task.attempt });
    }
    for (const { id, late } of await listRunsToStop(db.read, project)) {
      await transact(db, async () => {
        const run = await getRun(db.read, id);
        if (run.finished_at !== null) return { plan: null, result: null };
        if (late === 1 && run.cancel_requested === 0) return { plan: planStopRun(run, "time limit"), result: null };
        const plan = await planProgress(db, run, options.now());
        return { plan: plan.statements.length > 0 ? plan : null, result: null };
      });
    }
  }

  /** Ends a task that no runner holds, if it is still so. */
  async function settleHere(id: string, end: { kind: "cancelled" }): Promise<void> {
    await transact(db, async () => {
      const row = await findTask(db.read, id);
      if (!row || (row.state !== "queued" && row.state !== "paused") || row.cancel_requested !== 1) return { plan: null, result: null };
      return { plan: await planTaskEnd(db, row, end, { fence: null, leaseHeld: false, now: options.now() }), result: null };
    });
  }

  /** Attempts whose runner is gone go back to the queue, after the last of their processes here has ended. */
  async function endLost(): Promise<void> {
    const lost = await listLost(db.read);
    const here = lost.flatMap((task) => (task.runner === options.runner.id && task.session ? [task.session] : []));
    if (here.length > 0) await options.sweep(here);
    for (const { id } of lost) {
      await transact(db, async () => {
        const row = await findTask(db.read, id);
        const before = lost.find((task) => task.id === id);
        if (!row || !before || !isSameAttempt(row, before)) return { plan: null, result: null };
        const fence = { task: id, attempt: row.attempt, runner: row.runner ?? "", runnerEpoch: row.runner_epoch ?? 0 };
        return { plan: await planTaskEnd(db, row, { kind: "lost" }, { fence, leaseHeld: false, now: options.now() }), result: null };
      });
    }
  }

  const isSameAttempt = (row: TaskRow, before: TaskRow): boolean =>
    row.attempt === before.attempt && row.runner_epoch === before.runner_epoch && !isTerminal(row.state) && row.runner !== null;

  async function endExpired(): Promise<void> {
    for (const { id } of await listExpired(db.read)) {
      await transact(db, async () => {
        const approval = await getApproval(db.read, id);
        if (approval.state !== "open") return { plan: null, result: null };
        const answer = approval.kind === "ask" ? await defaultAnswer(approval) : null;
        const expired = planAnswered(approval, { state: "expired", answer, comment: null, by: null, now: options.now() });
        if (approval.kind !== "ask" || !approval.run || !approval.step || answer === null) return { plan: expired, result: null };
        const moved = await planAnswer(db, { run: approval.run, step: approval.step }, answer, options.now());
        return { plan: mergePlans(expired, moved), result: null };
      });
    }
  }

  /** What the flow says for nobody answering; otherwise the last option, which is no. */
  async function defaultAnswer(approval: ApprovalRow): Promise<string | null> {
    const run = await getRun(db.read, approval.run ?? "");
    const step = graphOf(run).steps.find(({ id }) => id === approval.step);
    const choices = JSON.parse(approval.options) as string[];
    return (step?.kind === "ask" ? step.default : null) ?? choices.at(-1) ?? null;
  }

  async function deliverAnswers(): Promise<void> {
    if (answers.size === 0) return;
    for (const approval of await listApprovalsOf(db.read, [...answers.keys()])) {
      const asked = answers.get(approval.id);
      if (!asked || approval.state === "open") continue;
      answers.delete(approval.id);
      const option = permissionChoice(asked.options, approval.state === "answered" ? approval.answer : null);
      options.send({ kind: "answer", task: asked.task, attempt: asked.attempt, permission: asked.permission, option });
    }
  }

  return {
    tick,
    expectAnswer: (approval, message) => void answers.set(approval, message),
    async stop() {
      if (stopping) return await working;
      stopping = true;
      clearInterval(timer);
      offWake();
      await working;
    },
  };
}

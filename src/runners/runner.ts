import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import { AppError, toAppError } from "../errors.ts";
import type { RunnerLease } from "./lease.ts";
import type { LocalLink } from "./link.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "./message.ts";
import { failed, type Attempt, type RunnerTools } from "./attempt.ts";
import { runAgent } from "./run-agent.ts";
import { runCommand } from "./run-command.ts";
import { runMerge } from "./run-merge.ts";
import { AttemptStop, stopCauseOf, type StopCause } from "./stop.ts";

const reportAgainMs = 1_000;

/**
 * Owns the sessions on one machine. It is spoken to in messages only and reads nothing from the store; it ends every attempt
 * by itself when its lease is gone.
 */
export interface Runner {
  /** How many attempts run now. */
  active(): number;
  /** Interrupts what runs (it goes on in the same sessions later) and resolves when nothing is left. Harmless twice. */
  stop(): Promise<void>;
}

export function startRunner(options: { link: LocalLink["runner"]; lease: RunnerLease; tools: RunnerTools; log: Logger }): Runner {
  const { link, lease, tools, log } = options;
  const running = new Map<string, { controller: AbortController; done: Promise<void>; answer: AnswerBox }>();
  let stopping = false;

  const keyOf = (message: { task: string; attempt: number }): string => `${message.task}#${message.attempt}`;

  link.receive((message) => {
    switch (message.kind) {
      case "assign":
        if (!stopping && !lease.lost.aborted) begin(message);
        return;
      case "answer":
        running.get(keyOf(message))?.answer.give(message.permission, message.option);
        return;
      case "cancel":
        end(keyOf(message), "cancelled");
        return;
    }
  });
  lease.lost.addEventListener("abort", () => endAll("over"));

  function end(key: string, why: StopCause): void {
    running.get(key)?.controller.abort(new AttemptStop(why));
  }
  function endAll(why: StopCause): void {
    for (const key of running.keys()) end(key, why);
  }

  function begin(assignment: Assignment): void {
    const key = keyOf(assignment);
    if (running.has(key)) return;
    const controller = new AbortController();
    const answer = new AnswerBox();
    const done = runAttempt({ assignment, link, lease, tools, controller, answer })
      .catch((error: unknown) => log.error({ err: error, task: assignment.task }, "an attempt could not be reported"))
      .finally(() => running.delete(key));
    running.set(key, { controller, done, answer });
  }

  return {
    active: () => running.size,
    async stop() {
      stopping = true;
      endAll("interrupted");
      await Promise.all([...running.values()].map((attempt) => attempt.done));
    },
  };
}

/** Answers that come before the agent's connection is open wait here. */
class AnswerBox {
  #handler: ((permission: string, option: string | null) => void) | null = null;
  #early: [string, string | null][] = [];

  give(permission: string, option: string | null): void {
    if (this.#handler) this.#handler(permission, option);
    else this.#early.push([permission, option]);
  }

  listen(handler: (permission: string, option: string | null) => void): void {
    this.#handler = handler;
    for (const [permission, option] of this.#early.splice(0)) handler(permission, option);
  }
}

interface RunOptions {
  assignment: Assignment;
  link: LocalLink["runner"];
  lease: RunnerLease;
  tools: RunnerTools;
  controller: AbortController;
  answer: AnswerBox;
}

/** Runs one attempt and reports how it ended. Says nothing when the attempt is no longer ours. */
async function runAttempt(options: RunOptions): Promise<void> {
  const { assignment, link, lease, tools, controller, answer } = options;
  const { task, attempt: number, session, spec, project } = assignment;
  const fence = { runner: lease.runner, runnerEpoch: lease.epoch, task, attempt: number, session };
  const attempt: Attempt = {
    assignment,
    tools,
    repository: { project: project.id, source: project.source, baseBranch: project.baseBranch },
    signal: controller.signal,
    async tell(kind, fields) {
      const taken = lease.lost.aborted ? false : await link.tell({ kind, ...fence, ...fields } as unknown as FromRunner);
      if (taken) return;
      const over = new AttemptStop("over");
      controller.abort(over);
      throw over;
    },
    hint(delta) {
      link.tell({ kind: "delta", ...fence, ...delta }).catch(() => undefined); // Live text is never waited for.
    },
    onAnswer: (handler) => answer.listen(handler),
  };
  const timer = spec.minutes === undefined ? null : setTimeout(() => controller.abort(new AttemptStop("time")), spec.minutes * 60_000);
  const outcome = await outcomeOf(attempt);
  if (timer) clearTimeout(timer);
  await tools.processes.sweep([session]);
  if (outcome) await report(link, lease, { kind: "outcome", ...fence, outcome });
}

/** What an agent did must not get lost because the store is away or its disk is full: told again until the lease is over. */
async function report(link: LocalLink["runner"], lease: RunnerLease, message: FromRunner): Promise<void> {
  while (!lease.lost.aborted) {
    try {
      await link.tell(message);
      return;
    } catch (error) {
      if (!toAppError(error).retryable) throw error;
      await wait(reportAgainMs);
    }
  }
}

/** null: the attempt is not ours any more. */
async function outcomeOf(attempt: Attempt): Promise<AttemptOutcome | null> {
  const { assignment, signal } = attempt;
  const { spec } = assignment;
  try {
    const outcome = await runKind(attempt, spec);
    return stopped(attempt, stopCauseOf(signal), outcome);
  } catch (error) {
    if (error instanceof AttemptStop && error.stop === "over") return null;
    const cause = stopCauseOf(signal);
    if (cause) return stopped(attempt, cause, { kind: "cancelled" });
    return failed("error", describe(error), undefined, toAppError(error).retryable);
  }
}

/** An attempt that was ended from outside ended for that reason, whatever the agent made of it; one that was done in time is done. */
function stopped({ assignment }: Attempt, cause: StopCause | null, outcome: AttemptOutcome): AttemptOutcome | null {
  if (cause === null || outcome.kind === "done") return outcome;
  switch (cause) {
    case "over":
      return null;
    case "cancelled":
      return { kind: "cancelled" };
    case "interrupted":
      return { kind: "interrupted" };
    case "time":
      return failed("time limit", `it took longer than its ${assignment.spec.minutes} minutes`);
  }
}

async function runKind(attempt: Attempt, spec: Assignment["spec"]): Promise<AttemptOutcome> {
  switch (spec.kind) {
    case "agent":
      return await runAgent(attempt, spec);
    case "run":
      return await runCommand(attempt, spec);
    case "merge":
      return await runMerge(attempt, spec);
  }
}

function describe(error: unknown): string {
  if (error instanceof AppError) return [error.message, error.why].filter(Boolean).join(": ");
  return error instanceof Error ? error.message : String(error);
}

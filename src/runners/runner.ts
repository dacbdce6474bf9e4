import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import { AppError, toAppError } from "../errors.ts";
import type { RunnerLease } from "./lease.ts";
import type { RunnerEnd } from "./link.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "./message.ts";
import { failed, type Attempt, type RunnerTools } from "./attempt.ts";
import { runAgent } from "./run-agent.ts";
import { runCommand } from "./run-command.ts";
import { runMerge } from "./run-merge.ts";
import { AttemptStop, stopCauseOf, type StopCause } from "./stop.ts";

const reportAgainMs = 1_000;
/** Attempts that ended here lately: a server that has not heard of it yet may give one out once more. */
const mostEnded = 10_000;

/**
 * Owns the sessions on one machine. It is spoken to in messages only and reads nothing from the store; it ends every attempt
 * by itself when its lease is gone.
 */
export interface Runner {
  /** How many attempts run now. */
  active(): number;
  /** Takes nothing new, and resolves when what runs has ended, or when the signal aborts: then it is still to be stopped. */
  drain(signal: AbortSignal): Promise<void>;
  /** Interrupts what runs (it goes on in the same sessions later) and resolves when nothing is left. Harmless twice. */
  stop(): Promise<void>;
}

export function startRunner(options: { link: RunnerEnd; lease: RunnerLease; tools: RunnerTools; log: Logger }): Runner {
  const { link, lease, tools, log } = options;
  const running = new Map<string, { controller: AbortController; done: Promise<void>; answer: AnswerBox }>();
  const ended = new Set<string>();
  let stopping = false;

  const keyOf = (message: { task: string; attempt: number }): string => `${message.task}#${message.attempt}`;

  link.receive((message) => {
    switch (message.kind) {
      case "assign":
        if (stopping) handBack(message);
        else if (lease.holds()) begin(message);
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
    if (running.has(key) || ended.has(key)) return;
    const controller = new AbortController();
    const answer = new AnswerBox();
    const done = runAttempt({ assignment, link, lease, tools, controller, answer })
      .catch((error: unknown) => log.error({ err: error, task: assignment.task }, "an attempt could not be reported"))
      .finally(() => {
        running.delete(key);
        note(key);
      });
    running.set(key, { controller, done, answer });
  }

  function note(key: string): void {
    ended.add(key);
    const [oldest] = ended.size > mostEnded ? ended : [];
    if (oldest !== undefined) ended.delete(oldest);
  }

  /** It came when nothing is begun any more: somebody else shall have it. */
  function handBack(assignment: Assignment): void {
    const key = keyOf(assignment);
    if (running.has(key) || ended.has(key)) return;
    note(key);
    const outcome = { kind: "outcome" as const, ...fenceOf(lease, assignment), number: 1, outcome: { kind: "interrupted" as const } };
    report(link, lease, outcome).catch((error: unknown) =>
      log.error({ err: error, task: assignment.task }, "an attempt was not handed back"),
    );
  }

  const allDone = (): Promise<unknown> => Promise.all([...running.values()].map((attempt) => attempt.done));

  return {
    active: () => running.size,
    async drain(signal) {
      stopping = true;
      if (signal.aborted) return;
      await Promise.race([allDone(), once(signal, "abort")]);
    },
    async stop() {
      stopping = true;
      endAll("interrupted");
      await allDone();
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
  link: RunnerEnd;
  lease: RunnerLease;
  tools: RunnerTools;
  controller: AbortController;
  answer: AnswerBox;
}

/** Runs one attempt and reports how it ended. Says nothing when the attempt is no longer ours. */
async function runAttempt(options: RunOptions): Promise<void> {
  const { assignment, link, lease, tools, controller, answer } = options;
  const { session, spec, project } = assignment;
  const fence = fenceOf(lease, assignment);
  let told = 0;
  const attempt: Attempt = {
    assignment,
    tools: whileHeld(tools, lease),
    repository: { project: project.id, source: project.source, baseBranch: project.baseBranch },
    signal: controller.signal,
    async tell(kind, fields) {
      const number = (told += 1);
      const message = { kind, ...fence, number, ...fields } as unknown as FromRunner;
      if (await tellWhileHeld(link, lease, message, controller.signal)) return;
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
  if (outcome) await report(link, lease, { kind: "outcome", ...fence, number: told + 1, outcome });
}

const fenceOf = (lease: RunnerLease, { task, attempt, session }: Assignment) => ({
  runner: lease.runner,
  runnerEpoch: lease.epoch,
  task,
  attempt,
  session,
});

/**
 * The same tools, but nothing is begun with them once the lease may be somebody else's: a runner that was stopped and continued
 * must not write, merge or push what another one does by now. What is under way when the lease ends is ended by the attempt's signal.
 */
function whileHeld(tools: RunnerTools, lease: RunnerLease): RunnerTools {
  const guard = <Tool extends object>(tool: Tool): Tool =>
    new Proxy(tool, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...given: unknown[]): unknown => {
          if (!lease.holds()) throw new AttemptStop("over");
          return Reflect.apply(value, target, given);
        };
      },
    });
  return { ...tools, workspaces: guard(tools.workspaces), processes: guard(tools.processes) };
}

/** A store that is away for a moment is no failure of the agent: told again, under the same number, as long as the lease holds. */
async function tellWhileHeld(link: RunnerEnd, lease: RunnerLease, message: FromRunner, signal: AbortSignal): Promise<boolean> {
  while (lease.holds()) {
    try {
      return await link.tell(message);
    } catch (error) {
      if (!toAppError(error).retryable || signal.aborted) throw error;
      await wait(reportAgainMs);
    }
  }
  return false;
}

/** What an agent did must not get lost because the store is away or its disk is full: told again until the lease is over. */
async function report(link: RunnerEnd, lease: RunnerLease, message: FromRunner): Promise<void> {
  while (lease.holds()) {
    try {
      await link.tell(message);
      return;
    } catch (error) {
      if (toAppError(error).retryable) await wait(reportAgainMs);
      else if (message.kind === "outcome" && !isLastWord(message.outcome)) message = { ...message, outcome: lastWord(error) };
      else throw error;
    }
  }
}

const unstorable = "how it ended could not be stored";

/** An outcome that the server cannot write must not leave the attempt running for ever. */
const lastWord = (error: unknown): AttemptOutcome => failed("error", `${unstorable}: ${describe(error)}`);
const isLastWord = (outcome: AttemptOutcome): boolean => outcome.kind === "failed" && outcome.message.startsWith(unstorable);

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

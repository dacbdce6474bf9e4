import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import { toAppError } from "../../errors.ts";
import type { RunnerLease } from "../lease.ts";
import { openMachine, type MachineOptions } from "../open.ts";
import { startRunner } from "../runner.ts";
import { remoteArtifacts } from "./artifacts.ts";
import { takeRemoteLease } from "./lease.ts";
import { openLine, type Line } from "./line.ts";
import { openRemoteLink } from "./link.ts";

/**
 * A runner as a process of its own: it owns the sessions of one home, so that a server's restart stops none of them. It lives life
 * after life: each takes the lease with a new epoch, and ends with everything that runs in it when the lease is lost.
 */
export interface RunnerProcess {
  /** Resolves when it has ended: drained, or with an error that asking again does not mend (a token that is not good). */
  ended: Promise<void>;
  /** Takes nothing new, gives what runs time to end, then interrupts it. Called again, it interrupts at once. */
  drain(): void;
}

export interface RunnerProcessOptions extends MachineOptions {
  /** The servers' addresses, the preferred one first; asked each time that one is needed. */
  urls(): Promise<readonly string[]>;
  token: string;
  capacity: number | null;
  /** How long its lease holds without renewal, ms; it lives through an outage of all servers of three fifths of that. */
  leaseMs: number;
  /** How long what runs may take to end when the runner drains. */
  graceMs: number;
  log: Logger;
  /** Called at the beginning of each life. */
  onLife?(lease: Pick<RunnerLease, "runner" | "epoch">): void;
}

/** How soon a server that did not answer is asked again. */
const againMs = { first: 50, most: 1_000 };

export async function startRunnerProcess(options: RunnerProcessOptions): Promise<RunnerProcess> {
  const machine = await openMachine(options);
  const line = openLine(options);
  const tools = machine.tools(remoteArtifacts(line));
  const draining = new AbortController();
  const hurry = new AbortController();

  /** One life, from the lease to its end. Answers whether there is to be another. */
  async function live(): Promise<boolean> {
    const { capacity, leaseMs } = options;
    const lease = await takeLease({ line, home: options.instance, capacity, leaseMs, signal: draining.signal, log: options.log });
    if (!lease) return false;
    options.onLife?.(lease);
    const link = openRemoteLink({ line, lease, log: options.log });
    const runner = startRunner({ link, lease, tools, log: options.log });
    try {
      await aborted(AbortSignal.any([draining.signal, lease.lost]));
      if (!lease.lost.aborted) await drain(lease, runner);
      await runner.stop();
      await lease.stop();
      return !draining.signal.aborted;
    } finally {
      link.close();
      // Before another life begins nothing of this one may be left, whatever became of its attempts.
      await machine.processes.sweep("all");
    }
  }

  async function drain(lease: RunnerLease, runner: ReturnType<typeof startRunner>): Promise<void> {
    await lease.drain().catch(() => undefined); // No server is there to give it anything either.
    await runner.drain(AbortSignal.any([hurry.signal, lease.lost, AbortSignal.timeout(options.graceMs)]));
  }

  async function run(): Promise<void> {
    try {
      while (await live());
    } finally {
      await machine.processes.close();
      line.close();
    }
  }

  return {
    ended: run(),
    drain() {
      if (draining.signal.aborted) hurry.abort();
      draining.abort();
    },
  };
}

const aborted = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, "abort");
};

interface Taking {
  line: Line;
  home: string;
  capacity: number | null;
  leaseMs: number;
  signal: AbortSignal;
  log: Logger;
}

/** Asks until a server gives the lease. null: the signal aborted first. Throws the AppError that asking again does not mend. */
async function takeLease({ signal, log, ...options }: Taking): Promise<RunnerLease | null> {
  let pauseMs = againMs.first;
  while (!signal.aborted) {
    try {
      return await takeRemoteLease(options);
    } catch (error) {
      const known = toAppError(error);
      if (!known.retryable && known.code !== "already_running") throw error;
      log.info({ code: known.code, why: known.why }, known.message);
    }
    await wait(pauseMs, undefined, { signal }).catch(() => undefined); // It is to stop: seen by the loop.
    pauseMs = Math.min(pauseMs * 2, againMs.most);
  }
  return null;
}

import { randomUUID } from "node:crypto";
import { AppError } from "../../errors.ts";
import { keepLease, type RunnerLease } from "../lease.ts";
import { LeaseAnswer, type LeaseRequest } from "./protocol.ts";
import type { Line } from "./line.ts";

/** A sixth of the lease, less than a third of the deadline: a server that does not answer leaves time to ask another one. */
const askMsOf = (leaseMs: number): number => Math.floor(leaseMs / 6);

export interface RemoteLeaseOptions {
  line: Line;
  /** The data folder's own id. */
  home: string;
  capacity: number | null;
  leaseMs: number;
}

/**
 * Takes the runner's lease, with a new epoch, through a server; keeps it through whichever server answers. Throws AppError:
 * unreachable when none does, unauthenticated for a token that is not good, already_running while another home has the lease.
 */
export async function takeRemoteLease({ line, home, capacity, leaseMs }: RemoteLeaseOptions): Promise<RunnerLease> {
  const life = randomUUID();
  const timeoutMs = askMsOf(leaseMs);
  const askedAt = performance.now();
  const { runner, epoch, deadlineMs } = await ask(line, { kind: "take", life, home, capacity, leaseMs }, timeoutMs);
  return keepLease({
    runner,
    epoch,
    askedAt,
    deadlineMs,
    renew: async (draining) => (await ask(line, { kind: "renew", epoch, draining, leaseMs }, timeoutMs)).kept,
    async giveBack() {
      await ask(line, { kind: "give back", epoch }, timeoutMs).catch((error: unknown) => {
        // Nobody is there to take it: it lapses by itself.
        if (!(error instanceof AppError)) throw error;
      });
    },
  });
}

const ask = async (line: Line, request: LeaseRequest, timeoutMs: number): Promise<LeaseAnswer> =>
  LeaseAnswer.parse(await line.ask("/runner/lease", JSON.stringify(request), { timeoutMs }));

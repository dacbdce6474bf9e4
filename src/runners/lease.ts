import type { Db } from "../db/plan.ts";
import { giveBackRunnerLease, renewRunnerLease, runnerLeaseMs, takeRunnerLease } from "./store.ts";

export { runnerLeaseMs };
/**
 * Without a renewal for so long, by the monotonic clock, a runner stops its agents by itself: well before the lease is over, so that the
 * slowest of them has ended by then.
 */
export const deadlineOf = (leaseMs: number): number => Math.floor(leaseMs * 0.6);
export const renewDeadlineMs = deadlineOf(runnerLeaseMs);

export interface RunnerLease {
  readonly runner: string;
  readonly epoch: number;
  /** Aborts when the lease cannot be kept: everything that runs must end. */
  readonly lost: AbortSignal;
  /**
   * Asked right before each effect: false from the moment when the lease may be somebody else's. A process that was stopped and
   * continued runs other code before its timers; so `lost` alone would come too late.
   */
  holds(): boolean;
  /** Says that this runner takes nothing new, now and with each renewal. */
  drain(): Promise<void>;
  /** Gives the lease back, so that its attempts are known to be over at once. Harmless twice. */
  stop(): Promise<void>;
}

/** How a lease is kept: from the store, or by asking a server that has one. */
export interface LeaseKeeping {
  runner: string;
  epoch: number;
  /** When it was asked for (`performance.now()`): the lease is at least as long from then on. */
  askedAt: number;
  deadlineMs: number;
  /** false: it is over. Rejects when nobody could be asked; then the deadline decides. */
  renew(draining: boolean): Promise<boolean>;
  giveBack(): Promise<void>;
}

/**
 * Takes the lease of this machine's runner with a new epoch, which makes every attempt of its earlier life stale, and keeps it.
 * `runner` is the home's own id: whoever holds the home's lock is the only one that may take it.
 */
export async function keepRunnerLease(
  db: Db,
  runner: string,
  life: string,
  { home = null, capacity = null }: { home?: string | null; capacity?: number | null } = {},
): Promise<RunnerLease> {
  const askedAt = performance.now();
  const epoch = await takeRunnerLease(db, { runner, life, home, capacity });
  return keepLease({
    runner,
    epoch,
    askedAt,
    deadlineMs: renewDeadlineMs,
    renew: (draining) => renewRunnerLease(db, { runner, epoch }, { draining }),
    giveBack: () => giveBackRunnerLease(db, { runner, epoch }),
  });
}

/** Renews a lease that was taken, three times within its deadline, until it is lost or given back. */
export function keepLease({ runner, epoch, askedAt, deadlineMs, renew, giveBack }: LeaseKeeping): RunnerLease {
  const lost = new AbortController();
  let renewedAt = askedAt;
  let draining = false;
  let stopped = false;

  function holds(): boolean {
    if (performance.now() - renewedAt > deadlineMs) lost.abort(new Error("the runner's lease could not be renewed"));
    return !lost.signal.aborted && !stopped;
  }
  async function renewNow(): Promise<void> {
    const asked = performance.now();
    const kept = await renew(draining);
    if (kept) renewedAt = Math.max(renewedAt, asked);
    else if (!stopped) lost.abort(new Error("another life of this runner holds its lease, or it lapsed"));
  }
  const timer = setInterval(() => {
    if (!holds()) return;
    renewNow().catch(() => undefined); // Nobody could be asked: the deadline decides.
  }, deadlineMs / 3);
  timer.unref();

  return {
    runner,
    epoch,
    lost: lost.signal,
    holds,
    async drain() {
      draining = true;
      await renewNow();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      await giveBack();
    },
  };
}

import { AppError } from "../errors.ts";
import { sql, statement, type Db } from "../db/plan.ts";

export const runnerLeaseMs = 15_000;
const renewEveryMs = 3_000;
/** Without a renewal for so long, by the monotonic clock, the runner stops its agents by itself: well before the lease is over. */
const renewDeadlineMs = 9_000;

export interface RunnerLease {
  readonly runner: string;
  readonly epoch: number;
  /** Aborts when the lease cannot be kept: everything that runs must end. */
  readonly lost: AbortSignal;
  /** Gives the lease back, so that its attempts are known to be over at once. */
  stop(): Promise<void>;
}

/**
 * Takes the lease of this machine's runner with a new epoch, which makes every attempt of its earlier life stale, and keeps it.
 * `runner` is the home's own id: whoever holds the home's lock is the only one that may take it.
 */
export async function keepRunnerLease(db: Db, runner: string, holder: string): Promise<RunnerLease> {
  await db.commit({
    statements: [
      statement(sql`insert into runners (id) values (${runner}) on conflict (id) do nothing`, "any"),
      statement(sql`
        update runners set holder = ${holder}, epoch = epoch + 1, lease_until = tutti_now() + ${runnerLeaseMs}, started_at = tutti_now()
         where id = ${runner}`),
    ],
    events: [{ stream: "instance", type: "runner.started", data: { runner } }],
  });
  const row = await db.read.one<{ epoch: number }>(sql`select epoch from runners where id = ${runner} and holder = ${holder}`);
  if (!row) throw new AppError("already_running", "another server took this runner at the same moment", { fix: ["start it again"] });
  const { epoch } = row;
  const lost = new AbortController();
  let renewedAt = performance.now();
  let stopped = false;
  const timer = setInterval(() => {
    if (performance.now() - renewedAt > renewDeadlineMs) lost.abort(new Error("the runner's lease could not be renewed"));
    const asked = performance.now();
    renew().then(
      (kept) => {
        if (kept) renewedAt = asked;
        else if (!stopped) lost.abort(new Error("another server holds this runner's lease"));
      },
      () => undefined, // The store is out of reach: the deadline above decides.
    );
  }, renewEveryMs);
  timer.unref();
  async function renew(): Promise<boolean> {
    const committed = await db.commit({
      statements: [
        statement(sql`
          update runners set lease_until = tutti_now() + ${runnerLeaseMs} where id = ${runner} and epoch = ${epoch} and lease_until > tutti_now()`),
      ],
      events: [],
    });
    return committed.kind === "committed";
  }
  return {
    runner,
    epoch,
    lost: lost.signal,
    async stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      await db.commit({
        statements: [statement(sql`update runners set lease_until = 0 where id = ${runner} and epoch = ${epoch}`, "any")],
        events: [],
      });
    },
  };
}

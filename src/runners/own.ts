import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import type { RunnerLease } from "./lease.ts";
import type { Runner } from "./runner.ts";

const againMs = 1_000;

/** One life of a server's own runner: from taking its lease until that is over. */
export interface Life {
  lease: RunnerLease;
  runner: Runner;
  /** Nobody sends it anything any more. */
  leave(): void;
}

/**
 * Keeps a server's own runner alive: a lease that was lost (the server was paused, or the store away for too long) ends what ran under it,
 * and a new life begins with a new lease. `begin` takes it. Rejects when the first life cannot begin.
 */
export async function keepOwnRunner(begin: () => Promise<Life>, log: Logger): Promise<{ stop(): Promise<void> }> {
  let isStopping = false;
  let life = await begin();
  let changing: Promise<void> = Promise.resolve();
  watch();

  function watch(): void {
    life.lease.lost.addEventListener("abort", () => void (changing = beginAgain()), { once: true });
  }

  async function beginAgain(): Promise<void> {
    life.leave();
    await life.runner.stop();
    while (!isStopping) {
      try {
        life = await begin();
        watch();
        return;
      } catch (error) {
        log.error({ err: error }, "the runner could not take a new lease; it tries again");
        await wait(againMs);
      }
    }
  }

  return {
    async stop() {
      isStopping = true;
      await changing;
      life.leave();
      await life.runner.stop();
      await life.lease.stop();
    },
  };
}

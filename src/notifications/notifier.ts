import type { Bus } from "../events/bus.ts";
import { listHeads } from "../events/store.ts";
import { deliverNext, type DeliverOptions } from "./deliver.ts";
import { makeFollower } from "./follow.ts";
import { sweepSecrets } from "./secrets.ts";
import { forgetDeliveries, isAnyEnabled, listDueChannels, listKeyNames } from "./store.ts";

/**
 * Tells channels what happens: follows the events (woken by the bus, with a look every second as the floor) and empties the outbox,
 * one delivery after another for each channel and all channels side by side, so that a receiver that is slow or down holds up
 * nobody else.
 */
export interface NotifierOptions extends DeliverOptions {
  bus: Bus;
}

export interface Notifier {
  /** Looks at everything once, and ends when nothing is due any more; for tests. */
  tick(): Promise<void>;
  /** What is being sent is broken off and due again. Nothing is sent any more when it resolves. Harmless twice. */
  stop(): Promise<void>;
}

/** What sends one channel's deliveries, one after another. */
interface Lane {
  /** There may be something new: it looks once more before it ends. */
  again: boolean;
  work: Promise<void>;
}

const pollMs = 1_000;
const cleanEveryMs = 3_600_000;
const keepMs = 30 * 24 * 3_600_000;

export function startNotifier(options: NotifierOptions): Notifier {
  const { db, bus, home, log } = options;
  const follower = makeFollower(db);
  const stopped = new AbortController();
  const news = new Set<string>();
  /** By stream: its newest event when it was followed. */
  const followed = new Map<string, number>();
  const lanes = new Map<string, Lane>();
  let cleanedAt = -Infinity;
  let working: Promise<void> = Promise.resolve();
  let scheduled = false;

  const offWake = bus.onWake(({ streams }) => {
    streams.forEach((stream) => news.add(stream));
    void schedule();
  });
  const timer = setInterval(() => void tick(), pollMs);

  /** One look at a time; wake-ups that come meanwhile lead to one more. */
  function schedule(): Promise<void> {
    if (scheduled || stopped.signal.aborted) return working;
    scheduled = true;
    working = working
      .then(look)
      .catch((error: unknown) => log.error({ err: error }, "notifications stumbled; they go on at the next look"));
    return working;
  }

  async function look(): Promise<void> {
    scheduled = false;
    const streams = [...news];
    news.clear();
    if (!(await isAnyEnabled(db.read))) return;
    for (const stream of streams) await follow(stream);
    for (const { name } of await listDueChannels(db.read)) openLane(name);
  }

  async function follow(stream: string): Promise<void> {
    try {
      await follower.follow(stream, stopped.signal);
    } catch (error) {
      news.add(stream);
      throw error;
    }
  }

  function openLane(name: string): void {
    const open = lanes.get(name);
    if (open) open.again = true;
    if (open || stopped.signal.aborted) return;
    const lane: Lane = { again: true, work: Promise.resolve() };
    lanes.set(name, lane);
    lane.work = drain(name, lane).catch((error: unknown) =>
      log.error({ err: error, channel: name }, "a channel stumbled; it goes on at the next look"),
    );
  }

  async function drain(name: string, lane: Lane): Promise<void> {
    try {
      while (lane.again) {
        lane.again = false;
        while (!stopped.signal.aborted && (await deliverNext(options, name, stopped.signal)));
      }
    } finally {
      // In the same turn as the question above, so that nobody rings at a lane that does not look any more.
      lanes.delete(name);
    }
  }

  const lanesToEnd = async (): Promise<void> => void (await Promise.all([...lanes.values()].map(({ work }) => work)));

  /** Also what no wake-up told of. */
  async function tick(): Promise<void> {
    try {
      if (performance.now() - cleanedAt > cleanEveryMs) await clean();
      if (!(await isAnyEnabled(db.read))) return;
      for (const { id, seq } of await listHeads(db.read, null)) {
        if (followed.get(id) !== seq) news.add(id);
        followed.set(id, seq);
      }
    } catch (error) {
      log.error({ err: error }, "notifications cannot look at the store");
    }
    await schedule();
  }

  async function clean(): Promise<void> {
    cleanedAt = performance.now();
    await db.commit({ statements: [forgetDeliveries(keepMs)], events: [] });
    await sweepSecrets(home, await listKeyNames(db.read));
  }

  return {
    async tick() {
      await tick();
      await lanesToEnd();
    },
    async stop() {
      stopped.abort();
      clearInterval(timer);
      offWake();
      await working;
      await lanesToEnd();
    },
  };
}

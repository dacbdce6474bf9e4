import type { Logger } from "pino";
import type { Bus } from "../events/bus.ts";
import { assignReady, batchSize, type AssignOptions } from "./assign.ts";
import { deliverAttempts, deliverStops } from "./deliver.ts";
import { deliverAnswers } from "./remind.ts";
import { endExpired, endLost, endOverdue, makeReady, stopLate, stopWhatMustStop } from "./look.ts";
import { findLease, giveBack, listActiveProjects, listHeldElsewhere, renewLease, takeLease, type Lease } from "./store.ts";

/**
 * The orchestrators of this server: one for each project that has something to do and whose lease this server holds. They
 * wake on commits, and look for themselves every second, because a wake-up is only a hint. Each project is looked at by itself: one that
 * is slow holds up no other.
 */
export interface OrchestratorOptions extends AssignOptions {
  bus: Bus;
  /** This home's own id: a server that comes back takes its projects up again at once. */
  holder: string;
  /** The runner whose processes are on this machine; null: none of this server's. */
  ownRunner: string | null;
  /** Ends what is left of these sessions on this machine. */
  sweep(sessions: string[]): Promise<void>;
  log: Logger;
}

export interface Orchestrators {
  /** Looks at everything once; for the start, and for tests. */
  tick(): Promise<void>;
  /** Nothing is assigned any more when it resolves. Others may take the projects at once. */
  stop(): Promise<void>;
}

const pollMs = 1_000;
const renewAfterMs = 5_000;

/** Whether after it there may be something to start, to stop or to move in its project that there was not before. */
const freesWork = (type: string): boolean =>
  type === "task.created" ||
  type === "task.settled" ||
  type === "task.requeued" ||
  type === "project.updated" ||
  type.startsWith("run.") ||
  type.endsWith(".stop-requested") ||
  type.startsWith("approval.");

/** What a person did that a runner must hear of. */
const concernsRunners = (type: string): boolean =>
  type === "task.stop-requested" || type === "run.stop-requested" || type.startsWith("approval.");

interface Work {
  isDirty: boolean;
  done: Promise<void> | null;
}

export function startOrchestrators(options: OrchestratorOptions): Orchestrators {
  const { db, bus, log, connections } = options;
  const leases = new Map<string, { lease: Lease; renewedAt: number }>();
  const projects = new Map<string, Work>();
  /** Projects of which another server said that it has them, as of the last look. */
  let elsewhere = new Set<string>();
  let stopping = false;
  let ticking: Promise<void> | null = null;
  let delivering: Work = { isDirty: false, done: null };
  let dueTimer: NodeJS.Timeout | null = null;

  const offWake = bus.onWake(({ streams, events }) => {
    // Another server's commits come without their events. Of our own most change nothing for what waits.
    const news = events.length === 0 ? streams : new Set(events.flatMap(({ stream, type }) => (freesWork(type) ? [stream] : [])));
    for (const stream of news) if (stream !== "instance" && !elsewhere.has(stream)) wake(stream);
    // Our own assignments are told as they are made; another server's come without their events.
    if (events.length === 0 || events.some(({ type }) => concernsRunners(type))) delivering = again(delivering, deliverAll);
  });
  const offConnect = connections.onConnect(() => void (delivering = again(delivering, deliverAll)));
  const timer = setInterval(() => void tick(), pollMs);

  /** Runs it now, or once more when it is running. */
  function again(work: Work, run: () => Promise<void>): Work {
    work.isDirty = true;
    work.done ??= keepOn(work, run);
    return work;
  }

  async function keepOn(work: Work, run: () => Promise<void>): Promise<void> {
    try {
      while (work.isDirty && !stopping) {
        work.isDirty = false;
        await run();
      }
    } catch (error) {
      log.error({ err: error }, "an orchestrator stumbled; it looks again");
    } finally {
      work.done = null;
    }
  }

  function wake(project: string): void {
    if (stopping) return;
    const work = projects.get(project) ?? { isDirty: false, done: null };
    projects.set(
      project,
      again(work, () => conduct(project)),
    );
  }

  const atWork = (): Promise<unknown> => Promise.all([...projects.values(), delivering].flatMap(({ done }) => done ?? []));

  async function tick(): Promise<void> {
    ticking ??= lookAtAll().finally(() => (ticking = null));
    await ticking;
    await atWork();
  }

  async function lookAtAll(): Promise<void> {
    try {
      lookAgainIn(await makeReady(options));
      elsewhere = await listHeldElsewhere(db.read, options.holder);
      for (const project of await listActiveProjects(db.read)) if (!elsewhere.has(project)) wake(project);
      await stopLate(options);
      await endLost(options);
      await endOverdue(options);
      await endExpired(options);
      delivering = again(delivering, deliverAll);
    } catch (error) {
      log.error({ err: error }, "the store could not be looked at");
    }
  }

  /** The next look is when the next task is due, not only at the next tick. */
  function lookAgainIn(wait: number | null): void {
    if (wait === null || wait >= pollMs || dueTimer !== null || stopping) return;
    dueTimer = setTimeout(
      () => {
        dueTimer = null;
        void tick();
      },
      Math.max(0, wait) + 1,
    );
  }

  /** When it cannot be known what was written, what is written late must not count: the next look takes the lease anew, with another epoch. */
  async function conduct(project: string): Promise<void> {
    try {
      await conductOnce(project);
    } catch (error) {
      leases.delete(project);
      throw error;
    }
  }

  async function conductOnce(project: string): Promise<void> {
    const lease = await holdLease(project);
    if (!lease) return;
    await stopWhatMustStop(options, project);
    while (!stopping && (await assignReady(options, lease)) === batchSize);
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
    if (taken.kind === "conflict") {
      elsewhere.add(project);
      return null;
    }
    const row = await findLease(db.read, project);
    if (row?.holder !== options.holder) return null;
    const lease = { project, epoch: row.epoch };
    leases.set(project, { lease, renewedAt: asked });
    return lease;
  }

  /** Whatever the runners that listen here must know and were not told. */
  async function deliverAll(): Promise<void> {
    for (const connection of connections.all()) {
      await deliverAttempts(options, connection);
      await deliverAnswers(db.read, connection);
      await deliverStops(db, connection);
    }
  }

  /** So that others need not wait until they lapse. A store that is out of reach lets them lapse. */
  async function giveBackLeases(): Promise<void> {
    const held = [...leases.values()].map(({ lease }) => lease);
    leases.clear();
    if (held.length > 0) await db.commit(giveBack(held)).catch(() => undefined);
  }

  return {
    tick,
    async stop() {
      if (!stopping) {
        stopping = true;
        clearInterval(timer);
        if (dueTimer) clearTimeout(dueTimer);
        offWake();
        offConnect();
      }
      await ticking;
      await atWork();
      await giveBackLeases();
    },
  };
}

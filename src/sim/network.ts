import type { Committed, Db, Plan, Sql, StoredEvent } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import type { Living, Schedule } from "./schedule.ts";
import type { SimStore } from "./store.ts";
import type { Change } from "./tables.ts";

/** On whose behalf a plan is written: for those who check what was allowed. */
export interface Author {
  /** One life of a server. */
  server: string;
  /** The message that is being taken, if that is why. */
  message: { task: string; attempt: number; runner: string; runnerEpoch: number; kind: string } | null;
  /** Whoever asked for it has given up: it is not written any more. */
  isVoid?: () => boolean;
}

export interface Written {
  author: Author;
  plan: Plan;
  changes: readonly Change[];
  events: readonly StoredEvent[];
  /** The store's clock, ms. */
  now: number;
}

type Wake = Parameters<Parameters<Db["onCommit"]>[0]>[0];

/** A server as the store sees it. */
export interface Client extends Living {
  name: string;
  /** Reads that wait until it goes on. */
  held: (() => void)[];
  listeners: Set<(wake: Wake) => void>;
  /** How far its clock is from the store's, ms. */
  skewMs: number;
  /** Makes it stand still in the middle of what it does. */
  pause(ms: number): void;
  /** Plans that it waits for. */
  waiting: number;
}

export interface Network {
  /** The store as this server reaches it. */
  dbOf(client: Client, author: Author): Db;
  /** For the simulation itself: at once, and without faults. */
  write(plan: Plan, author?: Author): Committed;
  all(statement: Sql): Record<string, unknown>[];
  /** The store's clock, ms since 1970. */
  now(): number;
  /** Nobody reaches the store for so long. */
  takeAway(ms: number): void;
}

export interface NetworkOptions {
  store: SimStore;
  schedule: Schedule;
  random: Random;
  faults: Faults;
  clients(): readonly Client[];
  written(what: Written): void;
  /** Planted: `tutti_now()` is the server's clock. */
  usesServerClock: boolean;
  /** A plan may be written after its server has given up waiting for the answer, and any wake-up may be lost. */
  isHard: boolean;
}

/** The store's clock at the beginning of each run. */
export const startOfTime = 1_800_000_000_000;
/** A server waits so long for the store's answer. */
const timeoutMs = 5_000;

const never = new Promise<never>(() => {});
const unreachable = (): AppError => new AppError("unreachable", "the store did not answer");

export function makeNetwork(options: NetworkOptions): Network {
  const { store, schedule, random, faults } = options;
  let awayUntil = 0;
  const now = (): number => startOfTime + Math.floor(schedule.now());
  const isAway = (): boolean => schedule.now() < awayUntil;
  const nobody: Author = { server: "the simulation", message: null };

  function apply(plan: Plan, author: Author, at: number): Committed {
    const committed = store.commit(plan, at);
    if (committed.kind === "conflict") return committed;
    options.written({ author, plan, changes: committed.changes, events: committed.events, now: now() });
    return { kind: "committed", events: committed.events };
  }

  /** Other servers hear that something changed, if they do. */
  function hint(by: Client, plan: Plan): void {
    const streams = [...new Set(plan.events.map(({ stream }) => stream))];
    if (streams.length === 0) return;
    const mayBeLost = options.isHard || plan.events.every(({ type }) => !type.startsWith("approval."));
    for (const client of options.clients()) {
      if (client === by || !client.alive || client.listeners.size === 0) continue;
      if (mayBeLost && faults.happens("hint lost")) {
        faults.bit("hint lost");
        continue;
      }
      schedule.after(0.3 + random.next(), "hint", () => client.listeners.forEach((listener) => listener({ streams, events: [] })), client);
    }
  }

  function dbOf(client: Client, author: Author): Db {
    const clock = (): number => (options.usesServerClock ? now() + client.skewMs : now());

    function read<Result>(look: () => Result): Promise<Result> {
      if (!client.alive) return never;
      if (client.paused) return new Promise((resolve, reject) => client.held.push(() => void read(look).then(resolve, reject)));
      if (isAway()) {
        faults.bit("store away");
        return Promise.reject(unreachable());
      }
      // In some worlds each read is a round trip of its own, so that others write between two reads of one decision.
      if (faults.isArmed("read late")) {
        const isLate = faults.happens("read late");
        if (isLate) faults.bit("read late");
        return new Promise((resolve, reject) => {
          schedule.after(
            random.next() * (isLate ? 50 : 0.3),
            "read",
            () => {
              try {
                resolve(look());
              } catch (error) {
                reject(error instanceof Error ? error : new Error(String(error)));
              }
            },
            client,
          );
        });
      }
      return Promise.resolve(look());
    }

    function commit(plan: Plan): Promise<Committed> {
      if (!client.alive) return never;
      if (plan.statements.length + plan.events.length === 0) return Promise.resolve({ kind: "committed", events: [] });
      if (!client.paused && faults.happens("stalled commit")) {
        faults.bit("stalled commit");
        client.pause(random.next() * 25_000);
      }
      if (client.paused) return new Promise((resolve, reject) => client.held.push(() => void commit(plan).then(resolve, reject)));
      return new Promise((resolve, reject) => send(plan, resolve, reject));
    }

    function send(plan: Plan, resolve: (committed: Committed) => void, reject: (error: Error) => void): void {
      client.waiting += 1;
      let isOver = false;
      const over = (finish: () => void): void => {
        if (isOver) return;
        isOver = true;
        timeout?.cancel();
        client.waiting -= 1;
        finish();
      };
      const answer = (label: string, finish: () => void): void =>
        void schedule.after(0.1 + random.next() * 0.4, label, () => over(finish), client);
      const isLost = faults.happens("commit lost");
      const isLate = faults.happens("commit late");
      if (isLost) faults.bit("commit lost");
      if (isLate) faults.bit("commit late");
      // Most are answered long before: only what may take longer gets a timer.
      const timeout = isLost || isLate ? schedule.after(timeoutMs, "timeout", () => over(() => reject(unreachable())), client) : null;
      if (isLost) return;
      const arrive = (): void => {
        if (isAway() || author.isVoid?.()) {
          faults.bit("store away");
          return answer("refused", () => reject(unreachable()));
        }
        if (faults.happens("disk error")) {
          faults.bit("disk error");
          return answer("disk error", () => reject(new AppError("disk_full", "the store's disk is full")));
        }
        let committed: Committed;
        try {
          committed = apply(plan, author, clock());
        } catch (error) {
          return answer("error", () => reject(error instanceof Error ? error : new Error(String(error))));
        }
        if (committed.kind === "committed") hint(client, plan);
        if (faults.happens("answer lost")) {
          faults.bit("answer lost");
          return void schedule.after(timeoutMs, "timeout", () => over(() => reject(unreachable())), client);
        }
        answer("answer", () => {
          if (committed.kind === "committed" && committed.events.length > 0) {
            const { events } = committed;
            const wake = { streams: [...new Set(events.map(({ stream }) => stream))], events };
            for (const listener of client.listeners) listener(wake);
          }
          resolve(committed);
        });
      };
      // A commit that is under way reaches the store though its server died meanwhile.
      schedule.after(isLate ? random.next() * (options.isHard ? 8_000 : timeoutMs) : 0.1 + random.next() * 0.4, "commit", arrive);
    }

    return {
      kind: "postgres",
      read: {
        all: <Row>(statement: Sql) => read(() => store.all(statement, clock()) as Row[]),
        one: <Row>(statement: Sql) =>
          read(() => {
            const rows = store.all(statement, clock());
            if (rows.length > 1) throw new Error(`a query for one row returned ${rows.length}`);
            return (rows[0] ?? null) as Row | null;
          }),
      },
      commit,
      onCommit(listener) {
        client.listeners.add(listener);
        return () => void client.listeners.delete(listener);
      },
      nextNumber: (counter) => read(() => store.nextNumber(counter)),
      now: () => read(clock),
      close: async () => {},
    };
  }

  return {
    dbOf,
    write: (plan, author = nobody) => apply(plan, author, now()),
    all: (statement) => store.all(statement, now()),
    now,
    takeAway: (ms) => void (awayUntil = schedule.now() + ms),
  };
}

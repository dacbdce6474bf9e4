import { readFileSync } from "node:fs";

/**
 * A peer: another program that does some of what Tutti does. Each is one file in peers/, and is measured in a process of its own
 * (peers/child.ts) with its own server on the medium. It gets the settings that its authors recommend for speed.
 */
export interface Peer {
  name: string;
  /** What is installed for it, with exact versions. */
  packages: Readonly<Record<string, string>>;
  /** The servers that it is measured with, one after the other. */
  servers: readonly ServerChoice[];
  /** What of its own settings differs from its defaults, for the report. */
  settings: string;
  /** What a finished task or step has survived, for the report. */
  durability: string;
  rows: Partial<Record<PeerRow, (place: Place, work: Work) => Promise<Measured>>>;
}

export type PeerRow = "queue" | "runs" | "latency" | "memory";

export type ServerChoice =
  | { kind: "redis"; appendfsync: "always" | "everysec" }
  | { kind: "postgres" }
  | { kind: "restate" }
  /** It writes its own file. */
  | { kind: "none" };

/** Where a peer finds what it needs. */
export interface Place {
  /** Of its server; empty when it has none. */
  url: string;
  /** The process of a server that is its own; null where it is a database that serves others too. */
  serverPid: number | null;
  /** Empty, on the medium that is measured. */
  folder: string;
  /** One of its packages. */
  load<Module>(name: string): Promise<Module>;
}

export interface Work {
  /** Tasks of `queue`, runs of `runs`. */
  tasks: number;
  /** Creations under way at once, each waiting for its answer; in `runs`, runs at once. */
  inFlight: number;
  /** Tasks a second, for `latency`. */
  rate: number;
  /** How long `latency` goes on. */
  seconds: number;
}

/** What one round found. */
export interface Measured {
  /** By name; the rows say which of them they show. */
  figures: Record<string, number>;
  /** Tasks or steps that had no effect although they count as done. */
  lost: number;
  /** Effects beyond the first of each. */
  doubled: number;
}

/** Runs `create` once for each number below `tasks`, so many at a time. */
export async function createAll(
  { tasks, inFlight }: Pick<Work, "tasks" | "inFlight">,
  create: (number: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  async function createSome(): Promise<void> {
    for (let number = next++; number < tasks; number = next++) await create(number);
  }
  await Promise.all(Array.from({ length: inFlight }, createSome));
}

/** Counts effects; `all` resolves when each number below `count` had one. */
export function countEffects(count: number): { effect(number: number): void; all: Promise<void>; lost(): number; doubled(): number } {
  const seen = new Uint16Array(count);
  const all = Promise.withResolvers<void>();
  let distinct = 0;
  let doubled = 0;
  return {
    effect(number) {
      seen[number] = (seen[number] ?? 0) + 1;
      if (seen[number] > 1) doubled += 1;
      else if (++distinct === count) all.resolve();
    },
    all: all.promise,
    lost: () => count - distinct,
    doubled: () => doubled,
  };
}

/** Resolves when `isOver` says so; asked every few milliseconds, after the work is known to be nearly done. Throws after `limitMs`. */
export async function until(isOver: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  for (const limit = performance.now() + limitMs; !(await isOver());) {
    if (performance.now() > limit) throw new Error(`not over after ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * `queue`: no-op tasks, created one by one; over when the last of them is durably done.
 * `settled` resolves when the store itself says that none is left.
 */
export async function measureQueue(
  work: Work,
  run: { effects: ReturnType<typeof countEffects>; create(number: number): Promise<unknown>; settled(): Promise<void> },
): Promise<Measured> {
  const began = performance.now();
  await createAll(work, run.create);
  const created = (performance.now() - began) / 1_000;
  await run.effects.all;
  await run.settled();
  const seconds = (performance.now() - began) / 1_000;
  return {
    figures: { seconds, created, perSecond: work.tasks / seconds },
    lost: run.effects.lost(),
    doubled: run.effects.doubled(),
  };
}

/** `latency`: from the call that creates a task to its start, at a steady rate that the answers do not slow down. */
export async function measureLatency(
  { rate, seconds }: Work,
  run: { create(number: number): Promise<unknown>; onStart(started: (number: number) => void): void; warmUp?: number },
): Promise<Measured> {
  const warmUp = run.warmUp ?? rate;
  const count = rate * seconds + warmUp;
  const asked = new Float64Array(count);
  const waited: number[] = [];
  const { effect, all, lost, doubled } = countEffects(count);
  run.onStart((number) => {
    waited[number] ??= performance.now() - (asked[number] ?? 0);
    effect(number);
  });
  const began = performance.now();
  const creations: Promise<unknown>[] = [];
  for (let number = 0; number < count;) {
    const due = Math.min(count, Math.floor(((performance.now() - began) / 1_000) * rate));
    for (; number < due; number += 1) {
      asked[number] = performance.now();
      creations.push(run.create(number));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(creations);
  await all;
  const sorted = waited.slice(warmUp).toSorted((one, other) => one - other);
  return { figures: { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) }, lost: lost(), doubled: doubled() };
}

/** `memory`: what its process and its own server have after five quiet seconds. To be called when it is ready for work. */
export async function measureMemory({ serverPid }: Place): Promise<Measured> {
  await new Promise((resolve) => setTimeout(resolve, quietMs));
  const rss_mb = residentMb(process.pid) + (serverPid === null ? 0 : residentMb(serverPid));
  return { figures: { rss_mb }, lost: 0, doubled: 0 };
}

export const quietMs = 5_000;

/** What a process has in memory, MB (10^6 bytes), as Linux counts it. */
export function residentMb(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return (Number(line?.[1]) * 1_024) / 1e6;
}

/** Of ascending values, by the nearest rank. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

import type { RunnerView } from "./store.ts";

export interface RunnerLoad extends RunnerView {
  /** Attempts that it has now, those of this very batch included. */
  active: number;
  /** It listens to this server. */
  isHere: boolean;
}

/** A machine that listens to this server is preferred until it is so much fuller than another: work and clones stay near. */
const nearness = 0.25;

/**
 * Which machine runs an attempt: the one that has the session's clone when it takes work, otherwise the least loaded.
 * null: none has room. Pure.
 */
export function chooseRunner(runners: readonly RunnerLoad[], home: string | null): RunnerLoad | null {
  const free = runners.filter(({ capacity, active }) => capacity === null || active < capacity);
  const atHome = free.find(({ id }) => id === home);
  if (atHome) return atHome;
  let best: RunnerLoad | null = null;
  for (const runner of free) if (!best || loadOf(runner) < loadOf(best)) best = runner;
  return best;
}

/** A machine without a limit of its own counts as one with 64 places. */
const loadOf = ({ active, capacity, isHere }: RunnerLoad): number => active / (capacity ?? 64) - (isHere ? nearness : 0);

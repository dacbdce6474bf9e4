import type { Change } from "./history.ts";
import type { Fault } from "./nemesis.ts";

/** Faults that stop the work of a server, or of all of them. */
const stops: ReadonlySet<Fault["kind"]> = new Set([
  "kill",
  "freeze",
  "long freeze",
  "runner kill",
  "runner freeze",
  "runner long freeze",
  "postgres restart",
]);

const hourMs = 3_600_000;

export interface Recovery {
  kind: Fault["kind"];
  node: string | null;
  task: string;
  ms: number;
}

interface Moment {
  /** By this machine's clock. */
  at: number;
  change: Change;
}

/**
 * For each fault that stopped work and each task that it stopped: how long it took until the task went on (it was done after all, or its
 * next attempt began), ms. Measured from the fault; where nobody but the frozen server could have taken the work up (SQLite), and after a restart of the database, from
 * its end. What never went on is not here: the checker calls it lost.
 */
export function recoveryTimes(
  history: readonly Change[],
  faults: readonly Fault[],
  { runners, isShared }: { runners: ReadonlyMap<string, string>; isShared: boolean },
): Recovery[] {
  const clock = clockOf(faults);
  const moments = history.filter(({ thing }) => thing === "task").map((change): Moment => ({ at: clock(change.at), change }));
  const tasks = [...Map.groupBy(moments, ({ change }) => change.name).values()];
  const stopped = faults.filter(({ kind }) => stops.has(kind));
  const runnerOf = ({ node }: Fault): string | null => (node === null ? null : (runners.get(node) ?? ""));
  /** What hits the same work again before it went on starts the time anew. */
  const isOvertaken = (fault: Fault, wentOn: number): boolean =>
    stopped.some((other) => other.at > fault.at && other.at < wentOn && (other.node === null || runnerOf(other) === runnerOf(fault)));
  return stopped.flatMap((fault) => {
    const isFromItsEnd = fault.kind === "postgres restart" || (fault.kind.endsWith("freeze") && !isShared);
    const since = isFromItsEnd ? fault.until : fault.at;
    return tasks.flatMap((task): Recovery[] => {
      const wentOn = afterStop(task, fault.at, runnerOf(fault));
      if (wentOn === null || isOvertaken(fault, wentOn)) return [];
      return [{ kind: fault.kind, node: fault.node, task: task[0]?.change.name ?? "", ms: Math.max(0, wentOn - since) }];
    });
  });
}

/** When this task went on, if it was being worked on at that time; null: it was not, or never did. */
function afterStop(task: readonly Moment[], at: number, runner: string | null): number | null {
  const index = task.findLastIndex((moment) => moment.at <= at);
  const held = task[index]?.change;
  if (!held || (held.after !== "starting" && held.after !== "running")) return null;
  if (runner !== null && held.runner !== runner) return null;
  return task.slice(index + 1).find(({ change }) => change.after === "done" || change.attempt !== held.attempt)?.at ?? null;
}

/** On SQLite the database's clock is the server's, which faults move by whole hours; a run is shorter than half of one. */
function clockOf(faults: readonly Fault[]): (at: number) => number {
  const [first, last] = [(faults[0]?.at ?? 0) - hourMs / 2, (faults.at(-1)?.until ?? 0) + hourMs / 2];
  return (at) => (at < first ? at + hourMs : at > last ? at - hourMs : at);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

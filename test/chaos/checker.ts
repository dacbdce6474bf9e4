import type { Change } from "./history.ts";

/**
 * What must hold of a run, decided from what the database recorded and what the clients were told. Pure: the same evidence gives the
 * same verdict. A violation is a sentence that names the task and the place in the history.
 */
export interface Evidence {
  history: readonly Change[];
  /** What was accepted: the client's key and the id that it was given. Each must be done in the end, once. */
  accepted: readonly { key: string; task: string }[];
  acceptedRuns: readonly { key: string; run: string }[];
  /** All tasks and runs as they are in the end. */
  tasks: readonly FinalTask[];
  runs: readonly FinalRun[];
  /** What agents did outside of the database, in the order in which they did it. */
  effects: readonly Effect[];
  /** Streams whose numbers have a gap or whose chain does not fit, with the first place. */
  broken: readonly { stream: string; seq: number }[];
}

export interface FinalTask {
  id: string;
  state: string;
  reason: string | null;
  /** The key in its prompt. */
  key: string;
  /** What has to be done before it starts. */
  needs: readonly string[];
  /** The number that its committed result carries: which process did it. null: it has no result. */
  nonce: string | null;
}

export interface FinalRun {
  id: string;
  key: string;
  state: string;
  reason: string | null;
}

export interface Effect {
  key: string;
  nonce: string;
}

export interface Verdict {
  lost: string[];
  doubled: string[];
  stale: string[];
  order: string[];
  gaps: string[];
}

const isOver = (state: string): boolean => state === "done" || state === "failed" || state === "cancelled";
const isHeld = (state: string | null): boolean => state === "starting" || state === "running" || state === "needs you";

export function check(evidence: Evidence): Verdict {
  const changes = Map.groupBy(
    evidence.history.filter(({ thing }) => thing !== "runner"),
    ({ name }) => name,
  );
  const tasks = [...changes.values()].map((all) => all.filter(({ thing }) => thing === "task"));
  const attempts = [...changes.values()].map((all) => all.filter(({ thing }) => thing === "attempt"));
  const runs = evidence.acceptedRuns.map(({ key, run }) => ({ key, task: run }));
  return {
    lost: [...findLost(evidence.accepted, evidence.tasks), ...findLost(runs, evidence.runs)],
    doubled: [
      ...findDoubledKeys(evidence.accepted, evidence.tasks),
      ...findDoubledKeys(runs, evidence.runs),
      ...tasks.flatMap(findDoubledEnds),
      ...attempts.flatMap(findDoubledAttempts),
      ...findDoubledEffects(evidence),
      ...findRepeatedWork(evidence, changes),
    ],
    stale: [...tasks.flatMap(findStale), ...tasks.flatMap(findOverlaps), ...attempts.flatMap(findEarlyLosses)],
    order: [...findEarlyStarts(evidence.tasks, changes), ...tasks.flatMap(findFallingNumbers)],
    gaps: [
      ...evidence.broken.map(({ stream, seq }) => `stream ${stream}: event ${seq} is missing or does not fit its chain`),
      ...findUnrecorded(evidence.tasks, changes),
    ],
  };
}

/** G1: what was accepted is there, and comes to its end. The agents of these runs never fail by themselves, so the end is done. */
function findLost(accepted: Evidence["accepted"], tasks: readonly FinalRun[]): string[] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const gone = accepted.filter(({ task }) => !byId.has(task)).map(({ key, task }) => `${task} (${key}) was accepted and is not there`);
  const notDone = tasks.filter(({ state }) => state !== "done");
  return [...gone, ...notDone.map(({ id, key, state, reason }) => `${id} (${key}) is ${state}${reason ? `: ${reason}` : ""}`)];
}

/** G7, G16: one key makes one task, and everybody who asks with it is told that one. */
function findDoubledKeys(accepted: Evidence["accepted"], tasks: readonly FinalRun[]): string[] {
  const made = [...Map.groupBy(tasks, ({ key }) => key)].filter(([, same]) => same.length > 1);
  const told = [...Map.groupBy(accepted, ({ key }) => key)].filter(([, same]) => new Set(same.map(({ task }) => task)).size > 1);
  return [
    ...made.map(([key, same]) => `${key} made ${same.map(({ id }) => id).join(", ")}`),
    ...told.map(([key, same]) => `${key} was answered with ${[...new Set(same.map(({ task }) => task))].join(" and ")}`),
  ];
}

/** G2: what is over stays over. */
function findDoubledEnds(changes: readonly Change[]): string[] {
  return changes.flatMap((change) =>
    change.before !== null && isOver(change.before)
      ? [`${change.name} was ${change.before} and became ${change.after} (${change.id})`]
      : [],
  );
}

/** G2: at most one attempt of a task is done, and nothing is tried after it. */
function findDoubledAttempts(changes: readonly Change[]): string[] {
  const done = changes.filter(({ before, after }) => after === "done" && before !== "done");
  const first = done[0];
  if (!first) return [];
  const later = changes.filter(({ id, before }) => id > first.id && before === null);
  return [
    ...done.slice(1).map((change) => `${change.name}: attempt ${change.attempt} was done after attempt ${first.attempt} (${change.id})`),
    ...later.map((change) => `${change.name}: attempt ${change.attempt} began after attempt ${first.attempt} was done (${change.id})`),
  ];
}

/** A committed result comes from one process that really ran. Effects of attempts that were not committed may repeat. */
function findDoubledEffects({ tasks, effects }: Evidence): string[] {
  const count = new Map<string, number>();
  for (const { key, nonce } of effects) count.set(`${key} ${nonce}`, (count.get(`${key} ${nonce}`) ?? 0) + 1);
  return tasks.flatMap(({ id, key, nonce, state }) => {
    if (state !== "done") return [];
    const times = count.get(`${key} ${nonce}`) ?? 0;
    return times === 1 ? [] : [`${id} (${key}) has the result of process ${nonce}, which did it ${times} times`];
  });
}

/** G2: with each attempt an agent begins once. What it does outside may repeat with the next attempt, never within one. */
function findRepeatedWork({ tasks, effects }: Evidence, changes: ReadonlyMap<string, readonly Change[]>): string[] {
  const began = Map.groupBy(effects, ({ key }) => key);
  return tasks.flatMap(({ id, key }) => {
    const times = began.get(key)?.length ?? 0;
    const attempts = (changes.get(id) ?? []).filter(({ thing, before }) => thing === "attempt" && before === null).length;
    return times > attempts ? [`${id} (${key}) was begun ${times} times in ${attempts} attempts`] : [];
  });
}

/** Without its history nothing can be said of a task: triggers that are gone must not pass for a good run. */
const findUnrecorded = (tasks: readonly FinalTask[], changes: ReadonlyMap<string, readonly Change[]>): string[] =>
  tasks
    .filter(({ id, state }) => state === "done" && !changes.get(id)?.some(({ thing, after }) => thing === "task" && after === "done"))
    .map(({ id }) => `${id} is done, and the history does not know when`);

/** G3: a runner's word counts only under its epoch and its lease. What ends a lost attempt is nobody's word: it leads to the queue. */
function findStale(changes: readonly Change[]): string[] {
  return changes.flatMap((change) => {
    const told =
      isHeld(change.before) &&
      (isHeld(change.after) || change.after === "done" || (change.after === "failed" && change.reason !== "crash loop"));
    if (!told) return [];
    if (change.epoch !== change.runner_epoch)
      return [
        `${change.name} became ${change.after} by epoch ${change.epoch} of ${change.runner}, which is at ${change.runner_epoch} (${change.id})`,
      ];
    if (change.lease_until !== null && change.lease_until < change.began)
      return [
        `${change.name} became ${change.after} ${change.began - change.lease_until} ms after the lease of ${change.runner} (${change.id})`,
      ];
    return [];
  });
}

/** Attempts that were given to a runner whose epoch was over by then: they come back by themselves, for nothing. No violation, but a waste. */
export const countGivenInVain = (history: readonly Change[]): number =>
  history.filter(({ thing, before, epoch, runner_epoch: current }) => thing === "attempt" && before === null && epoch !== current).length;

/** G3: an attempt begins only when the one before it has ended. */
function findOverlaps(changes: readonly Change[]): string[] {
  return changes.flatMap((change, index) => {
    const before = changes[index - 1];
    const begins = change.after === "starting" && before !== undefined && before.attempt !== change.attempt;
    return begins && isHeld(change.before)
      ? [`${change.name}: attempt ${change.attempt} began while attempt ${before.attempt} was ${change.before} (${change.id})`]
      : [];
  });
}

/** G3, G18: an attempt is taken from a runner only when its lease is over, by the database's clock, or its epoch is. */
function findEarlyLosses(changes: readonly Change[]): string[] {
  return changes.flatMap((change) => {
    const isLost = change.after === "failed" && change.reason === "interrupted" && change.before !== "failed";
    if (!isLost || change.epoch !== change.runner_epoch || change.lease_until === null || change.lease_until <= change.at) return [];
    return [
      `${change.name}: attempt ${change.attempt} was called lost ${change.lease_until - change.at} ms before the lease was over (${change.id})`,
    ];
  });
}

/** G6: nothing starts before all that it needs is done. */
function findEarlyStarts(tasks: readonly FinalTask[], changes: ReadonlyMap<string, readonly Change[]>): string[] {
  const doneAt = (task: string): number =>
    changes.get(task)?.find(({ thing, after }) => thing === "task" && after === "done")?.id ?? Number.POSITIVE_INFINITY;
  return tasks.flatMap(({ id, needs }) => {
    const begun = changes.get(id)?.find(({ thing, after }) => thing === "task" && after === "starting");
    if (!begun) return [];
    return needs.filter((need) => doneAt(need) > begun.id).map((need) => `${id} started before ${need} was done (${begun.id})`);
  });
}

/** The number of an attempt is a fence: each start has the next one. */
function findFallingNumbers(changes: readonly Change[]): string[] {
  let last = 0;
  return changes.flatMap((change) => {
    const attempt = change.attempt ?? 0;
    const expected = change.after === "starting" && change.before !== "starting" ? last + 1 : last;
    last = attempt;
    return attempt === expected ? [] : [`${change.name}: attempt ${attempt} where ${expected} was due (${change.id})`];
  });
}

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { runnerLeaseMs } from "../../src/runners/store.ts";
import { startCluster } from "../support/postgres.ts";
import { check, countGivenInVain, type Evidence, type Verdict } from "./checker.ts";
import { findBroken } from "./evidence.ts";
import { type Change, readPostgres, readSqlite } from "./history.ts";
import { type Fault, type Kind, startNemesis } from "./nemesis.ts";
import type { Node } from "./node.ts";
import { makeRandom } from "./random.ts";
import { quantile, type Recovery, recoveryTimes } from "./recovery.ts";
import { makeWorkload, readEffects, type Workload, writeAgent } from "./workload.ts";
import {
  agentName,
  closeWorld,
  emptyWorld,
  finish,
  openWorld,
  prepare,
  recordHistory,
  type RunnerKind,
  targetsOf,
  type World,
} from "./world.ts";

/** One run: servers, work and harm until there was enough of both, then peace until all is done, then judgement. */
export interface ChaosOptions {
  store: "sqlite" | "postgres";
  tasks: number;
  faults: number;
  seed: number;
  /** separate: runners are processes of their own, beside their servers. */
  runner: RunnerKind;
  /** Kinds of faults that are left out. */
  without?: readonly Kind[];
  /** Rests between faults are so many times longer. */
  calm?: number;
  /** One line now and then. */
  tell?: (line: string) => void;
  /** Keeps the folder of the run, for whoever looks for the reason of a violation. */
  keep?: boolean;
}

export interface ChaosReport {
  store: "sqlite" | "postgres";
  runner: RunnerKind;
  tasks: number;
  /** Faults that bit. */
  faults: number;
  lost: number;
  doubled: number;
  stale: number;
  order: number;
  orphans: number;
  recovery_p99_ms: number;
  gaps: number;
  /** Servers that ended by themselves. */
  exits: number;
  /** How often nothing went on until the servers were started anew: 0, or something was stuck. */
  stuck: number;
  /** Attempts that died with their runner, and effects that were repeated by that (they may). */
  lost_attempts: number;
  repeated_effects: number;
  /** Attempts that were given to a runner whose life was over. */
  given_in_vain: number;
  /** What took longest to go on. */
  slowest: Recovery[];
  retries: Record<string, number>;
  by_kind: Record<string, number>;
  seconds: number;
  seed: number;
  /** The first violations, in words. */
  violations: string[];
}

const clientsPerServer = 6;
/** Nothing was done for so long though there is work: longer than any fault lasts together with a lease. */
const stuckAfterMs = 2 * runnerLeaseMs + 15_000;
/** How far work may be ahead of harm, and harm of work, as a share of all of it. */
const lead = 0.06;
const restLimitMs = 240_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const began = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "tutti-chaos-"));
  const random = makeRandom(options.seed);
  const postgres = options.store === "postgres" ? await startCluster() : null;
  const world = emptyWorld(folder);
  try {
    const databaseUrl = await postgres?.freshDatabase();
    const canMoveClock = !(options.without ?? []).includes("clock");
    await openWorld(world, { databaseUrl, canMoveClock, runner: options.runner });
    const { program, effects } = writeAgent(folder);
    const [one = "", two = "", three = "", cloned = ""] = await prepare(world, program, [
      "plain one",
      "plain two",
      "plain three",
      "cloned",
    ]);
    // One task in twelve is done in a real clone.
    const projects = [
      ...Array.from({ length: 4 }, () => [one, two, three])
        .flat()
        .slice(1),
      cloned,
    ];
    await recordHistory(world, databaseUrl);

    const workload = makeWorkload({
      random: random.fork(),
      tasks: options.tasks,
      urls: world.fronts.map(({ port }) => `http://127.0.0.1:${port}`),
      token: world.nodes[0]?.token() ?? "",
      projects,
      agent: agentName,
      clients: clientsPerServer * world.nodes.length,
    });
    const watch = watchProgress(effects, [...world.nodes, ...world.runners], options.tell);
    const nemesis = startNemesis({
      random: random.fork(),
      targets: targetsOf(world),
      postgres: postgres && databaseUrl !== undefined ? { url: databaseUrl, restart: () => postgres.restart() } : null,
      leaseMs: runnerLeaseMs,
      without: new Set(options.without ?? []),
      inFlight: () => workload.inFlight(),
      mayHarm: (faults) => faults / options.faults <= watch.done() / options.tasks + lead,
      calm: options.calm ?? 1,
    });
    const share = (): number => Math.min(1, nemesis.faults.length / options.faults + lead);
    const news = setInterval(() => options.tell?.(progressLine(began, workload, nemesis.faults, effects)), 15_000);
    await workload.submit(share);
    while (nemesis.faults.length < options.faults && watch.stuck() < 5) await pause(50);
    await nemesis.stop();
    options.tell?.(`peace after ${seconds(began)} s and ${nemesis.faults.length} faults`);
    for (const node of [...world.nodes, ...world.runners]) await node.start();
    const final = await finish(world, watch, restLimitMs);
    watch.stop();
    clearInterval(news);
    for (const node of [...world.runners, ...world.nodes]) await node.stop();
    await pause(2_100); // What a killed server had started is looked for 2 s later.

    const history = databaseUrl === undefined ? readSqlite(join(world.nodes[0]?.home ?? "", "tutti.db")) : await readPostgres(databaseUrl);
    const evidence = {
      history,
      accepted: workload.accepted,
      acceptedRuns: workload.acceptedRuns,
      ...final,
      effects: readEffects(effects),
      broken: await findBroken(world.nodes[0]?.home ?? "", databaseUrl),
    };
    const verdict = check(evidence);
    const report = reportOf({ options, world, workload, faults: nemesis.faults, history, verdict, evidence, stuck: watch.stuck(), began });
    if (options.keep) writeFileSync(join(folder, "report.json"), JSON.stringify({ report, verdict, evidence, faults: nemesis.faults }));
    return report;
  } finally {
    await closeWorld(world);
    await postgres?.stop();
    if (options.keep) options.tell?.(`kept ${folder}`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface Watch {
  stuck(): number;
  /** Tasks whose agent has begun its work at least once. */
  done(): number;
  stop(): void;
}

/** Sees by what agents do whether anything goes on; starts the servers anew when nothing does, and counts that. */
function watchProgress(effects: string, nodes: readonly Node[], tell: ChaosOptions["tell"]): Watch {
  let [size, at, stuck, done] = [0, performance.now(), 0, 0];
  const timer = setInterval(() => {
    const now = statSync(effects).size;
    if (now !== size) {
      [size, at] = [now, performance.now()];
      done = new Set(readEffects(effects).map(({ key }) => key)).size;
    }
    if (performance.now() - at < stuckAfterMs) return;
    stuck += 1;
    at = performance.now();
    tell?.(`nothing was done for ${stuckAfterMs / 1000} s: the servers are started anew`);
    for (const node of nodes) node.kill(0);
  }, 500);
  return { stuck: () => stuck, done: () => done, stop: () => clearInterval(timer) };
}

interface Outcome {
  options: ChaosOptions;
  world: World;
  workload: Workload;
  faults: readonly Fault[];
  history: readonly Change[];
  verdict: Verdict;
  evidence: Evidence;
  stuck: number;
  began: number;
}

function reportOf({ options, world, workload, faults, history, verdict, evidence, stuck, began }: Outcome): ChaosReport {
  const runners = new Map([...world.nodes, ...world.runners].map((node) => [node.name, node.runner()]));
  const times = recoveryTimes(history, faults, { runners, isShared: options.store === "postgres" });
  const orphans = [...world.nodes, ...world.runners].flatMap((node) => node.orphans);
  const exits = [...world.nodes, ...world.runners].flatMap((node) => node.exits);
  const distinct = new Set(evidence.effects.map(({ key }) => key)).size;
  return {
    store: options.store,
    runner: options.runner,
    tasks: evidence.tasks.length,
    faults: faults.length,
    lost: verdict.lost.length + workload.refused.length,
    doubled: verdict.doubled.length,
    stale: verdict.stale.length,
    order: verdict.order.length,
    orphans: orphans.length,
    recovery_p99_ms: quantile(
      times.map(({ ms }) => ms),
      0.99,
    ),
    gaps: verdict.gaps.length,
    exits: exits.length,
    stuck,
    lost_attempts: history.filter(({ thing, after, reason }) => thing === "attempt" && after === "failed" && reason === "interrupted")
      .length,
    given_in_vain: countGivenInVain(history),
    repeated_effects: evidence.effects.length - distinct,
    slowest: times.toSorted((a, b) => b.ms - a.ms).slice(0, 3),
    retries: Object.fromEntries(workload.retries),
    by_kind: Object.fromEntries([...Map.groupBy(faults, ({ kind }) => kind)].map(([kind, same]) => [kind, same.length])),
    seconds: seconds(began),
    seed: options.seed,
    violations: [
      ...workload.refused.slice(0, 5),
      ...Object.values(verdict).flatMap((all: string[]) => all.slice(0, 5)),
      ...orphans.slice(0, 5),
      ...exits.slice(0, 5),
    ],
  };
}

const seconds = (began: number): number => Math.round((performance.now() - began) / 1_000);

const progressLine = (began: number, workload: Workload, faults: readonly Fault[], effects: string): string =>
  `${seconds(began)} s: ${workload.accepted.length + workload.acceptedRuns.length} requests accepted of ${workload.tasks} tasks, ${readEffects(effects).length} effects, ${faults.length} faults`;

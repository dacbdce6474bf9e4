import { runnerLeaseMs } from "../../src/runners/store.ts";
import { kinds, type Kind } from "./nemesis.ts";
import type { ChaosReport } from "./run.ts";

/** A lease and 2 s: what a runner has left is taken up by then. */
const longestRecoveryMs = runnerLeaseMs + 2_000;

/** Whether everything held. */
export const holds = (report: ChaosReport): boolean =>
  report.lost + report.doubled + report.stale + report.order + report.orphans + report.gaps + report.exits + report.stuck === 0 &&
  report.recovery_p99_ms < longestRecoveryMs;

const ofRunners = /^(runner|side) /;
const ofPostgres = /^(back|backend|postgres) /;

/** Kinds of faults that never bit: a run without them shows nothing about them. */
export function missingKinds(report: ChaosReport, without: readonly string[]): Kind[] {
  const possible = (Object.keys(kinds) as Kind[]).filter(
    (kind) => (report.store === "postgres" || !ofPostgres.test(kind)) && (report.runner === "separate" || !ofRunners.test(kind)),
  );
  return possible.filter((kind) => !without.includes(kind) && !report.by_kind[kind]);
}

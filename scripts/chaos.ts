import { parseArgs } from "node:util";
import { kinds, type Kind } from "../test/chaos/nemesis.ts";
import { type ChaosReport, runChaos } from "../test/chaos/run.ts";
import { holds, missingKinds } from "../test/chaos/judge.ts";

/**
 * `npm run chaos -- [--store sqlite|postgres|both] [--tasks 5000] [--faults 2000] [--seed n] [--runner separate|own] [--without kind,kind] [--calm 1] [--keep]`
 * Real servers under real faults, judged by what the database itself recorded. The last lines are one JSON object for each store. Ends with 0
 * only when nothing was lost, doubled, stale, out of order or left over, and every kind of fault bit.
 */
async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    options: {
      store: { type: "string", default: "both" },
      tasks: { type: "string", default: "5000" },
      faults: { type: "string", default: "2000" },
      seed: { type: "string" },
      runner: { type: "string", default: "separate" },
      without: { type: "string", default: "" },
      calm: { type: "string", default: "1" },
      keep: { type: "boolean", default: false },
    },
  });
  const stores = (["sqlite", "postgres"] as const).filter((store) => values.store === store || values.store === "both");
  const without = values.without.split(",").filter(Boolean);
  const unknown = without.filter((kind) => !(kind in kinds));
  if (stores.length === 0 || unknown.length > 0) {
    console.error(`--store is sqlite, postgres or both; --without names kinds of faults: ${Object.keys(kinds).join(", ")}`);
    return 2;
  }
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
  console.log(`seed ${seed}`);
  const reports: ChaosReport[] = [];
  for (const store of stores) {
    const tell = (line: string): void => console.log(`${store}: ${line}`);
    const given = { tasks: Number(values.tasks), faults: Number(values.faults), calm: Number(values.calm) };
    reports.push(
      await runChaos({
        store,
        seed,
        ...given,
        without: without as Kind[],
        runner: values.runner === "own" ? ("own" as const) : ("separate" as const),
        keep: values.keep,
        tell,
      }),
    );
  }
  for (const report of reports) {
    for (const violation of report.violations) console.log(`${report.store}: VIOLATED ${violation}`);
    for (const kind of missingKinds(report, without)) console.log(`${report.store}: VOID ${kind} never bit: ${kinds[kind]}`);
  }
  for (const { violations: _violations, ...report } of reports) console.log(JSON.stringify(report));
  return reports.every((report) => holds(report) && missingKinds(report, without).length === 0) ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));

import { randomUUID } from "node:crypto";
import { sql } from "../../src/db/plan.ts";
import { percentile } from "../peer.ts";
import { needsOf, result, stepsOfRun } from "../run-shape.ts";
import { done, openOurs, readBenchOptions } from "./wire.ts";

/** Durable runs of ten steps with a diamond, so many at once; over when the last run is settled. */
const options = readBenchOptions();
const keys = randomUUID();
const effects = new Map<string, number>();
const ours = await openOurs({
  home: options.home,
  url: options.url,
  projects: 1,
  agentsPerProject: 1,
  sessions: 1000,
  work: ({ label }) => {
    effects.set(label, (effects.get(label) ?? 0) + 1);
    return { ...done, output: result };
  },
});
// The diamond's join names both results; the others go on from the step before.
const steps = Array.from({ length: stepsOfRun }, (_, step) => {
  const needs = needsOf(step);
  const env =
    needs.length > 1 ? `\n    env: { LEFT: "\${{ steps.s${needs[0]}.output }}", RIGHT: "\${{ steps.s${needs[1]}.output }}" }` : "";
  return `  - id: s${step}\n    run: "true"\n    needs: [${needs.map((need) => `s${need}`).join(", ")}]${env}`;
});
const flow = `name: bench\nsteps:\n${steps.join("\n")}\n`;
const over = new Map<string, () => void>();
ours.bus.onWake(({ events }) => {
  for (const { type, run } of events) if (type === "run.settled" && run) over.get(run)?.();
});
const took: number[] = [];
let created = 0;
const startedAt = Date.now();
const cpu = process.cpuUsage();
const began = performance.now();
async function runSome(): Promise<void> {
  while (created < options.tasks) {
    created += 1;
    const asked = performance.now();
    const settled = Promise.withResolvers<void>();
    const { id } = (await ours.call("run.create", { project: "p0", file: "bench.yaml", source: flow }, `${keys}-${created}`)) as {
      id: string;
    };
    over.set(id, settled.resolve);
    if (await isOver(id)) settled.resolve();
    await settled.promise;
    over.delete(id);
    took.push(performance.now() - asked);
  }
}
const isOver = async (id: string): Promise<boolean> =>
  (await ours.db.read.one(sql`select 1 from runs where id = ${id} and finished_at is not null`)) !== null;
await Promise.all(Array.from({ length: options.inFlight }, runSome));
const seconds = (performance.now() - began) / 1000;
const used = process.cpuUsage(cpu);
const row = await ours.db.read.one<{ done: number }>(
  sql`select count(*) as done from runs where state = 'done' and created_at >= ${startedAt}`,
);
const sorted = took.toSorted((a, b) => a - b);
console.log(
  JSON.stringify({
    seconds,
    runs: options.tasks,
    steps: options.tasks * stepsOfRun,
    steps_per_second: Math.round((options.tasks * stepsOfRun) / seconds),
    p50_ms: percentile(sorted, 0.5),
    p99_ms: percentile(sorted, 0.99),
    cpu_us_per_step: Math.round((used.user + used.system) / options.tasks / stepsOfRun),
    lost: options.tasks - Number(row?.done ?? 0),
    doubled: [...effects.values()].filter((count) => count > 1).length,
  }),
);
await ours.stop();

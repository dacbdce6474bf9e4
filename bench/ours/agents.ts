import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { percentile } from "../peer.ts";
import type { Assignment } from "../../src/runners/message.ts";
import { done, openOurs, readBenchOptions, type Ours } from "./wire.ts";

/**
 * A thousand simulated agents on fifty projects, each always with more to do: a task takes some seconds, in which its agent speaks. What
 * is measured is how long an agent that has become free waits for its next task, and what all this costs the server.
 */
const options = readBenchOptions();
const projects = 50;
const agentsInAll = options.inFlight;
const agentsPerProject = Math.ceil(agentsInAll / projects);
/** So many tasks of each project wait at any time. */
const backlog = 10;
const keys = randomUUID();
/** When an agent became free, by its name. */
const freeSince = new Map<string, number>();
const waits: number[] = [];
let tasks = 0;
let isOver = false;

/** Between four and twelve seconds, the same for the same task in every run. */
const durationOf = (task: string): number => 4_000 + ((Number(task.slice(2)) * 2_654_435_761) % 8_000);

const ours: Ours = await openOurs({
  home: options.home,
  url: options.url,
  projects,
  agentsPerProject,
  sessions: 1,
  limit: agentsPerProject,
  onAssigned: ({ agent, project }) => {
    const since = freeSince.get(agent?.name ?? "");
    if (since !== undefined) waits.push(performance.now() - since);
    tasks += 1;
    void create(project.id);
  },
  work: async (assignment, tell) => {
    await tell({ kind: "started", base: null, notIncluded: [] });
    await tell({ kind: "turn-started", turn: 1, prompt: "go" });
    await speak(assignment, tell);
    await tell({ kind: "turn-ended", turn: 1, outcome: { kind: "done", output: "done" }, usage: null, commit: null });
    return done;
  },
  onFree: ({ agent }) => void freeSince.set(agent?.name ?? "", performance.now()),
});

async function speak(assignment: Assignment, tell: (message: Record<string, unknown>) => Promise<boolean>): Promise<void> {
  const until = performance.now() + durationOf(assignment.task);
  for (let part = 1; performance.now() < until && !isOver; part += 1) {
    await pause(Math.min(2_000, Math.max(0, until - performance.now())));
    const entry = { turn: 1, at: Date.now(), kind: "text", text: "I looked at the next file and changed what it said. ".repeat(8) };
    await tell({ kind: "transcript", turn: 1, part, entries: [entry] });
  }
}

let created = 0;
async function create(project: string): Promise<void> {
  if (isOver) return;
  created += 1;
  await ours.call("task.create", { project, prompt: `task ${created}`, role: project }, `${keys}-${created}`);
}

for (let project = 0; project < projects; project += 1) {
  for (let count = 0; count < agentsPerProject + backlog; count += 1) await create(`p${project}`);
}
// All are at work before anything is measured.
await pause(5_000);
waits.length = 0;
const cpu = process.cpuUsage();
const began = performance.now();
const memory: number[] = [];
for (let slice = 0; slice < 20; slice += 1) {
  await pause((options.seconds * 1_000) / 20);
  memory.push(process.memoryUsage.rss() / 1024 ** 2);
}
const seconds = (performance.now() - began) / 1_000;
const used = process.cpuUsage(cpu);
isOver = true;
const sorted = waits.toSorted((a, b) => a - b);
const mean = (of: number[]): number => of.reduce((sum, one) => sum + one, 0) / of.length;
console.log(
  JSON.stringify({
    seconds,
    tasks,
    assignments: waits.length,
    assign_p50_ms: percentile(sorted, 0.5),
    assign_p99_ms: percentile(sorted, 0.99),
    core_share: (used.user + used.system) / 1_000_000 / seconds,
    rss_mb: Math.max(...memory),
    // The last quarter beside the second: the first has the start in it.
    flatness: mean(memory.slice(15)) / mean(memory.slice(5, 10)),
    lost: 0,
    doubled: 0,
  }),
);
process.exit(0);

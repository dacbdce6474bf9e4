import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { rememberAgents } from "../../src/agents/remember.ts";
import { insertAgent } from "../../src/agents/store.ts";
import { openFileArtifacts } from "../../src/artifacts/files.ts";
import { entries } from "../../src/commands.ts";
import { openDb } from "../../src/db/open.ts";
import type { Db, StoredEvent } from "../../src/db/plan.ts";
import { makeBus, type Bus } from "../../src/events/bus.ts";
import { startOrchestrators } from "../../src/orchestrators/orchestrators.ts";
import { receive } from "../../src/orchestrators/receive.ts";
import { ProjectSettings } from "../../src/projects/project.ts";
import { insertProject } from "../../src/projects/store.ts";
import { execute, makeRegistry, type Actor } from "../../src/registry.ts";
import { makeConnections } from "../../src/runners/connections.ts";
import { keepRunnerLease } from "../../src/runners/lease.ts";
import { makeLocalLink } from "../../src/runners/link.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "../../src/runners/message.ts";
import type { Services } from "../../src/services.ts";

/**
 * One server's core with everything durable, and a runner that is simulated: what it is given is done when `work` says so. Tasks
 * come in through the registry, pass the queue, the router, the leases and the settlement, and every row of them is written.
 */
export interface Ours {
  db: Db;
  bus: Bus;
  call(name: string, input: unknown, key: string | null): Promise<unknown>;
  stop(): Promise<void>;
}

export interface OursOptions {
  home: string;
  url: string | undefined;
  projects: number;
  agentsPerProject: number;
  /** Sessions at once of each agent. */
  sessions: number;
  /** How a task is worked on; the default is done at once. */
  work?: (assignment: Assignment, tell: (message: Record<string, unknown>) => Promise<boolean>) => Promise<AttemptOutcome> | AttemptOutcome;
  onAssigned?: (assignment: Assignment) => void;
  /** The attempt is over and its agent free. */
  onFree?: (assignment: Assignment) => void;
  /** Attempts of a project at once. */
  limit?: number;
}

export const done: AttemptOutcome = {
  kind: "done",
  output: "",
  commit: null,
  base: null,
  files: [],
  branch: null,
  note: null,
  verified: null,
};

const actor: Actor = { kind: "person", token: "bench", name: "bench", session: null, scopes: null };
const ready = { state: "ready" as const, version: "1.0.0", path: "/usr/bin/true", message: null, fix: null };

export async function openOurs(options: OursOptions): Promise<Ours> {
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  const db = await openDb({ home: options.home, databaseUrl: options.url, crashAt: null });
  const bus = makeBus();
  db.onCommit((news) => bus.wake(news));
  const clock = { now: () => Date.now() };
  const unused = new Proxy(
    {},
    {
      get: (_, name) => {
        throw new Error(`${String(name)} is not there in a benchmark`);
      },
    },
  );
  const artifacts = await openFileArtifacts(options.home);
  const services = {
    db,
    bus,
    clock,
    artifacts,
    workspaces: { refresh: async () => ({ head: "0".repeat(40) }) },
    processes: unused,
    detect: async () => ready,
    version: "bench",
    home: options.home,
  } as unknown as Services;
  const registry = makeRegistry(entries);
  for (let project = 0; project < options.projects; project += 1) {
    const id = `p${project}`;
    const settings = ProjectSettings.parse({ sandbox: "none", limit: options.limit ?? 1000 });
    await db.commit({
      statements: [insertProject({ id, name: id, source: `/nowhere/${id}`, baseBranch: "main", settings, createdAt: clock.now() })],
      events: [{ stream: id, type: "project.created", data: { id } }],
    });
    for (let agent = 0; agent < options.agentsPerProject; agent += 1) {
      const name = `${id}-a${agent}`;
      await db.commit({
        statements: [
          insertAgent(
            {
              name,
              backend: "command",
              state: "queued",
              reason: "idle",
              role: id,
              skills: [],
              active: 0,
              demo: false,
              limit: options.sessions,
              settings: { command: ["true"], env: {}, credentials: "none", permissions: "ask" },
              detection: ready,
            },
            clock.now(),
          ),
        ],
        events: [],
      });
    }
  }
  const lease = await keepRunnerLease(db, "runner-bench", "bench");
  const link = makeLocalLink();
  const known = new Set<string>();
  const log = pino({ level: "error" }, pino.destination(2));
  link.runner.receive((message) => {
    if (message.kind !== "assign") return;
    // As every runner does: an attempt that it has is not begun again.
    const key = `${message.task}#${message.attempt}`;
    if (known.has(key)) return;
    known.add(key);
    options.onAssigned?.(message);
    void finish(message);
  });
  async function finish(message: Assignment): Promise<void> {
    const { task, attempt, session } = message;
    const about = { runner: lease.runner, runnerEpoch: lease.epoch, task, attempt, session };
    const tell = (more: Record<string, unknown>): Promise<boolean> => link.runner.tell({ ...about, ...more } as FromRunner);
    const outcome = options.work ? await options.work(message, tell) : done;
    await tell({ kind: "outcome", outcome });
    known.delete(`${task}#${attempt}`);
    options.onFree?.(message);
  }
  const connections = makeConnections();
  connections.add({ runner: lease.runner, epoch: lease.epoch, send: (message) => link.server.send(message), close: () => undefined });
  const orchestrators = startOrchestrators({
    db,
    bus,
    log,
    holder: "bench",
    connections,
    ownRunner: lease.runner,
    url: "http://127.0.0.1:1",
    agents: rememberAgents(db.read, bus).agents,
    brokerOf: async () => null,
    now: clock.now,
    sweep: async () => undefined,
  });
  link.server.receive((message) => receive({ db, bus, artifacts, now: clock.now }, message));
  await orchestrators.tick();
  return {
    db,
    bus,
    call: (name, input, key) => execute(registry, { actor, services }, name, input, key),
    async stop() {
      await orchestrators.stop();
      await lease.stop();
      await db.close();
    },
  };
}

export const settledEvents = (events: StoredEvent[]): string[] =>
  events.flatMap((event) => (event.type === "task.settled" && event.task ? [event.task] : []));

/** What every row's process is told. */
export function readBenchOptions(): {
  url: string | undefined;
  home: string;
  tasks: number;
  inFlight: number;
  seconds: number;
  rate: number;
} {
  const { values } = parseArgs({
    options: {
      store: { type: "string" },
      url: { type: "string" },
      home: { type: "string" },
      tasks: { type: "string" },
      "in-flight": { type: "string" },
      seconds: { type: "string" },
      rate: { type: "string" },
    },
  });
  return {
    url: values.url,
    home: values.home ?? "/dev/shm/tutti-bench",
    tasks: Number(values.tasks ?? 20_000),
    inFlight: Number(values["in-flight"] ?? 50),
    seconds: Number(values.seconds ?? 10),
    rate: Number(values.rate ?? 200),
  };
}

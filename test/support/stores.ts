import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { pino } from "pino";
import type { z } from "zod";
import type { Agent } from "../../src/agents/agent.ts";
import { insertAgent } from "../../src/agents/store.ts";
import { openFileArtifacts } from "../../src/artifacts/files.ts";
import { openDb } from "../../src/db/open.ts";
import { sql, type Db, type Plan, type Sql } from "../../src/db/plan.ts";
import { openPostgres } from "../../src/db/postgres.ts";
import { openSqlite } from "../../src/db/sqlite.ts";
import { makeBus } from "../../src/events/bus.ts";
import { assignReady, type AssignOptions } from "../../src/orchestrators/assign.ts";
import type { OrchestratorOptions } from "../../src/orchestrators/orchestrators.ts";
import { makeReady } from "../../src/orchestrators/look.ts";
import { receive } from "../../src/orchestrators/receive.ts";
import { findLease, takeLease, type Lease } from "../../src/orchestrators/store.ts";
import { openProcesses } from "../../src/processes/open.ts";
import { ProjectSettings } from "../../src/projects/project.ts";
import { insertProject } from "../../src/projects/store.ts";
import { execute, makeRegistry, type Actor, type Command } from "../../src/registry.ts";
import { makeConnections, type Connections } from "../../src/runners/connections.ts";
import { keepRunnerLease, type RunnerLease } from "../../src/runners/lease.ts";
import type { Assignment, AttemptOutcome, FromRunner, ToRunner } from "../../src/runners/message.ts";
import type { Services } from "../../src/services.ts";
import { getTask, type TaskRow } from "../../src/tasks/store.ts";
import { openWorkspaces } from "../../src/workspaces/open.ts";
import { makeMovableClock } from "./clock.ts";
import { startPostgres, type TestPostgres } from "./postgres.ts";

/**
 * The core around one real store: everything that a server has beside the door and running agents. The test plays the runner
 * by its messages. One store serves all tests of a file: each makes projects, agents and runners of its own.
 */
export interface TestStore {
  readonly kind: Db["kind"];
  readonly db: Db;
  readonly services: Services;
  /** The connection of another server: on SQLite the same one, because one process owns the file. Closed at the end. */
  otherServer(): Promise<Db>;
  /** The connection of a server that has closed its store. */
  closedServer(): Promise<Db>;
  /** Moves the store's clock and the server's. */
  moveClock(ms: number): Promise<void>;
  /** SQL on a PostgreSQL connection of its own, for what another server does in between. */
  outside<Result>(use: (client: Client) => Promise<Result>): Promise<Result>;
  /** A name that no other test has. */
  fresh(prefix: string): string;
  /** Rows as numbers and texts. */
  rows(query: Sql): Promise<Record<string, unknown>[]>;
  /** Commits and must not conflict. */
  write(plan: Plan): Promise<void>;
  /** A project with a repository of one commit. Answers its id. */
  project(settings?: { limit?: number }): Promise<string>;
  /** An agent that is ready. Answers its name. */
  agent(settings?: { limit?: number }): Promise<string>;
  runner(): Promise<RunnerLease>;
  /** The project's orchestrator, taken for `holder`. */
  conduct(project: string, holder?: string): Promise<Lease>;
  assignOptions(runner: { runner: string; epoch: number }, sent: ToRunner[], db?: Db): AssignOptions;
  /** For orchestrators of this server; what they send to the runner comes into `sent`, errors that they log fail the file. */
  orchestratorOptions(runner: { runner: string; epoch: number }, sent?: ToRunner[]): OrchestratorOptions;
  /** Assigns all that is ready and answers what the runner was sent. */
  assign(project: string, runner: RunnerLease): Promise<Assignment[]>;
  /** What the runner tells of an attempt. */
  tell(message: FromRunner): Promise<boolean>;
  task(id: string): Promise<TaskRow>;
  call<I extends z.ZodType, O extends z.ZodType>(command: Command<I, O>, input: z.input<I>, more?: CallOptions): Promise<z.infer<O>>;
}

export interface CallOptions {
  actor?: Actor;
  key?: string | null;
}

export const person: Actor = { kind: "person", token: "token-of-ann", name: "ann", session: null, scopes: null };

type Rule = (rule: string, run: (store: TestStore) => Promise<void>) => void;

/** Holds SQLite and PostgreSQL to the same rules; each test's name begins with its store. */
export function onBothStores(define: (rule: Rule, kind: Db["kind"]) => void): void {
  let store: (TestStore & { stop(): Promise<void> }) | null = null;
  let postgres: TestPostgres | null = null;
  after(async () => {
    await store?.stop();
    await postgres?.stop();
  });
  const get = async (kind: Db["kind"]): Promise<TestStore> => {
    if (store?.kind !== kind) {
      await store?.stop();
      if (kind === "postgres") postgres ??= await startPostgres();
      store = await openStore(kind === "postgres" ? await postgres?.freshDatabase() : undefined);
    }
    return store;
  };
  for (const [kind, name] of [
    ["sqlite", "SQLite"],
    ["postgres", "PostgreSQL"],
  ] as const) {
    define((rule, run) => void test(`${name}: ${rule}`, async () => run(await get(kind))), kind);
  }
}

async function openStore(databaseUrl: string | undefined): Promise<TestStore & { stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "tutti-core-"));
  const home = join(folder, "home");
  mkdirSync(home, { mode: 0o700 });
  const clock = makeMovableClock();
  const db = await openDb({ home, databaseUrl, crashAt: null, clockOffset: clock.offset });
  const bus = makeBus();
  db.onCommit((news) => bus.wake(news));
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  const processes = await openProcesses({ tuttiHome: home, instance: `test-${process.pid}`, force: "group", path });
  const services: Services = {
    db,
    clock,
    bus,
    processes,
    artifacts: await openFileArtifacts(home),
    workspaces: await openWorkspaces({ home, path, sandbox: "none", now: clock.now, personHome: folder }),
    detect: async () => ready,
    version: "0.0.0-test",
    home,
  };
  const others: Db[] = [];
  const leases: RunnerLease[] = [];
  const faults: string[] = [];
  const log = pino({ level: "error" }, { write: (line) => void faults.push(line) });
  let names = 0;
  let movedMs = 0;
  const fresh = (prefix: string): string => `${prefix}-${(names += 1)}`;

  const outside = async <Result>(use: (client: Client) => Promise<Result>): Promise<Result> => {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  };

  const write = async (plan: Plan): Promise<void> => {
    const committed = await db.commit(plan);
    if (committed.kind === "conflict") throw new Error(`statement ${committed.statement} of the plan was in conflict`);
  };

  const store: TestStore = {
    kind: db.kind,
    db,
    services,
    outside,
    fresh,
    write,
    async otherServer() {
      if (databaseUrl === undefined) return db;
      const other = await openPostgres({ url: databaseUrl, poolSize: 4 });
      others.push(other);
      return other;
    },
    async closedServer() {
      const closed =
        databaseUrl === undefined ? await openSqlite({ file: join(home, "closed.db") }) : await openPostgres({ url: databaseUrl });
      await closed.close();
      return closed;
    },
    async moveClock(ms) {
      clock.move(ms);
      movedMs += ms;
      if (databaseUrl === undefined) return;
      await outside((client) =>
        client.query(`create or replace function tutti_now() returns bigint language sql volatile as
          $$ select floor(extract(epoch from clock_timestamp()) * 1000)::bigint + (${movedMs})::bigint $$`),
      );
    },
    rows: (query) => db.read.all<Record<string, unknown>>(query),
    async project({ limit = 100 } = {}) {
      const id = fresh("project");
      const source = copyRepository(folder, id);
      const settings = ProjectSettings.parse({ sandbox: "none", limit });
      const project = { id, name: id, source, baseBranch: "main", settings, createdAt: clock.now() };
      await write({ statements: [insertProject(project)], events: [{ stream: id, type: "project.created", data: { id } }] });
      return id;
    },
    async agent({ limit = 100 } = {}) {
      const name = fresh("agent");
      await write({ statements: [insertAgent({ ...readyAgent, name, limit }, clock.now())], events: [] });
      return name;
    },
    async runner() {
      const lease = await keepRunnerLease(db, fresh("runner"), "this-server");
      leases.push(lease);
      return lease;
    },
    async conduct(project, holder = "this-server") {
      await write(takeLease(project, holder));
      return { project, epoch: (await findLease(db.read, project))?.epoch ?? -1 };
    },
    assignOptions: (runner, sent, of = db) => ({
      db: of,
      connections: connectionsOf(runner, sent),
      url: "http://127.0.0.1:1",
      brokerOf: async () => null,
      now: clock.now,
    }),
    orchestratorOptions: (runner, sent = []) => ({
      ...store.assignOptions(runner, sent),
      bus,
      holder: "this-server",
      ownRunner: runner.runner,
      sweep: async () => {},
      log,
    }),
    async assign(project, runner) {
      const sent: ToRunner[] = [];
      await makeReady({ db, now: clock.now });
      await assignReady(store.assignOptions(runner, sent), await store.conduct(project));
      return sent.flatMap((message) => (message.kind === "assign" ? [message] : []));
    },
    tell: (message) => receive({ db, bus, artifacts: services.artifacts, now: clock.now }, message),
    task: (id) => getTask(db.read, id),
    async call<I extends z.ZodType, O extends z.ZodType>(command: Command<I, O>, input: z.input<I>, more: CallOptions = {}) {
      const caller = { actor: more.actor ?? person, services };
      return (await execute(makeRegistry([command]), caller, command.name, input, more.key ?? null)) as z.infer<O>;
    },
  };
  return {
    ...store,
    async stop() {
      for (const lease of leases) await lease.stop();
      for (const other of others) await other.close();
      await processes.close();
      await db.close();
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual(faults, [], "what the orchestrators logged as errors");
    },
  };
}

const ready = { state: "ready" as const, version: "1.0.0", path: "/usr/bin/true", message: null, fix: null };

const readyAgent: Omit<Agent, "name" | "limit"> = {
  backend: "command",
  state: "queued",
  reason: "idle",
  role: null,
  skills: [],
  active: 0,
  demo: false,
  settings: { command: ["true"], env: {}, credentials: "none", permissions: "ask" },
  detection: ready,
};

/** One runner that listens to this server. */
function connectionsOf({ runner, epoch }: { runner: string; epoch: number }, sent: ToRunner[]): Connections {
  const connections = makeConnections();
  connections.add({ runner, epoch, send: (message) => void sent.push(message), close: () => {} });
  return connections;
}

/** A person's repository with one commit: made once, then copied. */
function copyRepository(folder: string, id: string): string {
  const template = join(folder, "template");
  if (mkdirSync(template, { recursive: true }) !== undefined) {
    const git = (...args: string[]) => execFileSync("git", ["-C", template, ...args], { stdio: "ignore", env: gitEnvironment });
    git("init", "-q", "-b", "main");
    writeFileSync(join(template, "note.txt"), "a note\n");
    git("add", "-A");
    git("commit", "-q", "-m", "first");
  }
  const source = join(folder, "repositories", id);
  cpSync(template, source, { recursive: true });
  return source;
}

const gitEnvironment = {
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Ada Example",
  GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada Example",
  GIT_COMMITTER_EMAIL: "ada@example.org",
};

/** A message of the runner about an attempt, with the fence that it was given. */
export const about = (assignment: Assignment, runner: { runner: string; epoch: number }) => ({
  runner: runner.runner,
  runnerEpoch: runner.epoch,
  task: assignment.task,
  attempt: assignment.attempt,
  session: assignment.session,
});

export const started = (assignment: Assignment, runner: RunnerLease): FromRunner => ({
  kind: "started",
  ...about(assignment, runner),
  base: null,
  notIncluded: [],
});

export const ended = (assignment: Assignment, runner: { runner: string; epoch: number }, outcome: AttemptOutcome): FromRunner => ({
  kind: "outcome",
  ...about(assignment, runner),
  outcome,
});

type Done = Extract<AttemptOutcome, { kind: "done" }>;

export const done = (more: Partial<Done> = {}): Done => ({
  kind: "done",
  output: "ok",
  commit: null,
  base: null,
  files: [],
  branch: null,
  note: null,
  verified: null,
  ...more,
});

export const failed = (retryable = false): AttemptOutcome => ({
  kind: "failed",
  reason: "command failed",
  message: "it ended with 1",
  retryable,
  commit: null,
  base: null,
  files: [],
});

/** Everything that an attempt's end may change: for "changes nothing". */
export const stateOf = async (store: TestStore, task: string): Promise<unknown> => [
  await store.rows(sql`select * from tasks where id = ${task}`),
  await store.rows(sql`select * from task_details where task = ${task}`),
  await store.rows(sql`select * from attempts where task = ${task} order by attempt`),
  await store.rows(sql`select * from sessions where task = ${task} order by id`),
  await store.rows(sql`select seq from events where task = ${task} order by seq`),
];

/** Resolves when a connection of the database waits for a lock, or when the work that should have waited is done. */
export async function waitsForLock(client: Client, work: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  const over = () => void (isOver = true);
  work.then(over, over);
  for (const limit = performance.now() + 10_000; performance.now() < limit && !isOver;) {
    const waiting = await client.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()",
    );
    if (waiting.rowCount !== 0) return true;
    await pause(5);
  }
  return false;
}

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { Client } from "pg";
import { startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { canonical } from "../canonical.ts";
import { openDb } from "../db/open.ts";
import { render, sql, type Committed, type Db, type Plan, type Reader, type Sql } from "../db/plan.ts";
import { toAppError } from "../errors.ts";
import { makeBus } from "../events/bus.ts";
import { answerApproval } from "../approvals/commands.ts";
import { retryRun, stopRun } from "../flows/commands.ts";
import { assignReady } from "../orchestrators/assign.ts";
import { endExpired, endLost, endOverdue, makeReady, stopLate, stopWhatMustStop } from "../orchestrators/look.ts";
import { receiveOnce } from "../orchestrators/receive-once.ts";
import { findLease, renewLease, takeLease } from "../orchestrators/store.ts";
import { execute, makeRegistry, type Actor } from "../registry.ts";
import { makeConnections } from "../runners/connections.ts";
import type { AttemptOutcome, FromRunner } from "../runners/message.ts";
import { renewRunnerLease, takeRunnerLease } from "../runners/store.ts";
import type { Services } from "../services.ts";
import { createTask, retryTask, stopAll, stopTask } from "../tasks/commands.ts";
import { planted } from "./planted.ts";
import { makeEngine, makeStore, readerOf, type Engine } from "./store.ts";
import { beginRun, flows, makeWorld } from "./world.ts";
import { makeRandom } from "./random.ts";

/**
 * What makes the simulator's word worth something: its store does with the product's plans what SQLite and PostgreSQL do. The same
 * random work is done on all three, and after each piece what was committed, what was in conflict (and where) and what stands in
 * the tables is the same.
 */

const registry = makeRegistry([createTask, stopTask, retryTask, stopAll, stopRun, retryRun, answerApproval]);
const person: Actor = { kind: "person", token: "token-of-ann", name: "ann", session: null, scopes: null };
const begin = 1_800_000_000_000;
const lives = ["r0", "r1"] as const;

/** A store with the clock that the test gives it. */
interface Side {
  name: string;
  db: Db;
  setClock(now: number): Promise<void>;
  dump(): Promise<unknown>;
  close(): Promise<void>;
}

/** Values that are random, or that a clock that runs gives. */
const unlike = new Set(["token_hashes", "hash", "payload_hash", "head", "commits", "at"]);
const ofTheClock = new Set(["lease_until", "last_poll", "started_at", "cancel_at"]);
const compared = {
  tasks: "id",
  task_details: "task",
  task_needs: "task, need",
  attempts: "task, attempt",
  sessions: "id",
  turns: "session, turn",
  runs: "id",
  steps: "run, id",
  approvals: "id",
  runners: "id",
  orchestrators: "project",
  breakers: "subject",
  idempotency: "actor, key",
} as const;
type Compared = keyof typeof compared;
const names = Object.keys(compared) as Compared[];

function likeOthers(row: Record<string, unknown>, table: string): Record<string, unknown> {
  const entries = Object.entries(row).filter(
    ([name]) => !unlike.has(name) && !(ofTheClock.has(name) && (table === "runners" || table === "orchestrators" || name === "cancel_at")),
  );
  return Object.fromEntries(
    entries
      .map(([name, value]): [string, unknown] => [name, typeof value === "bigint" ? Number(value) : value])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const queries = {
  tasks: sql`select * from tasks order by id`,
  task_details: sql`select * from task_details order by task`,
  task_needs: sql`select * from task_needs order by task, need`,
  attempts: sql`select * from attempts order by task, attempt`,
  sessions: sql`select * from sessions order by id`,
  turns: sql`select * from turns order by session, turn`,
  runs: sql`select * from runs order by id`,
  steps: sql`select * from steps order by run, id`,
  approvals: sql`select * from approvals order by id`,
  runners: sql`select * from runners order by id`,
  orchestrators: sql`select * from orchestrators order by project`,
  breakers: sql`select * from breakers order by subject`,
  idempotency: sql`select * from idempotency order by actor, key`,
} satisfies Record<Compared, unknown>;

const events = sql`select stream, seq, type, task, run, session, data from events order by stream, seq`;

async function dumpOf({ read }: Db): Promise<unknown> {
  const all: Record<string, unknown> = {};
  for (const name of names)
    all[name] = sorted((await read.all<Record<string, unknown>>(queries[name])).map((row) => likeOthers(row, name)));
  all["events"] = sorted(
    (await read.all<Record<string, unknown>>(events)).map((row) => ({ ...row, data: JSON.parse(String(row["data"])) as unknown })),
  );
  return all;
}

/** In one order whatever a database's collation is. */
const sorted = (rows: Record<string, unknown>[]): unknown[] =>
  rows
    .map(canonical)
    .toSorted()
    .map((text) => JSON.parse(text) as unknown);

const folder = mkdtempSync(join(tmpdir(), "tutti-sim-"));
let postgres: TestPostgres | null = null;
after(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});
let homes = 0;
function freshHome(): string {
  const home = join(folder, String((homes += 1)));
  mkdirSync(home, { mode: 0o700 });
  return home;
}

async function openSqliteSide(): Promise<Side> {
  const offset = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  const moved = new Float64Array(offset);
  moved[0] = begin - Date.now();
  const db = await openDb({ home: freshHome(), databaseUrl: undefined, crashAt: null, clockOffset: offset });
  const setClock = async (now: number): Promise<void> => void (moved[0] = now - Date.now());
  return { name: "SQLite", db, setClock, dump: () => dumpOf(db), close: () => db.close() };
}

async function openPostgresSide(): Promise<Side> {
  postgres ??= await startPostgres();
  const url = await postgres.freshDatabase();
  const db = await openDb({ home: freshHome(), databaseUrl: url, crashAt: null });
  const client = new Client({ connectionString: url });
  await client.connect();
  return {
    name: "PostgreSQL",
    db,
    async setClock(now) {
      await client.query(`create or replace function tutti_now() returns bigint language sql volatile as $$ select ${now}::bigint $$`);
    },
    dump: () => dumpOf(db),
    async close() {
      await client.end();
      await db.close();
    },
  };
}

function openSimSide(engine: Engine): Side {
  const store = makeStore(engine);
  let clock = begin;
  const db: Db = {
    kind: "postgres",
    read: readerOf((statement) => store.all(statement, clock)),
    async commit(plan: Plan): Promise<Committed> {
      const committed = store.commit(plan, clock);
      return committed.kind === "conflict" ? committed : { kind: "committed", events: committed.events };
    },
    onCommit: () => () => {},
    nextNumber: async (counter) => store.nextNumber(counter),
    now: async () => clock,
    close: async () => {},
  };
  const dump = async (): Promise<unknown> => {
    const all: Record<string, unknown> = {};
    for (const name of names) {
      const { rows, shape } = store.table(name);
      all[name] = sorted(
        [...rows.values()].map((row) => likeOthers(Object.fromEntries(shape.columns.map((column, at) => [column, row[at] ?? null])), name)),
      );
    }
    all["events"] = sorted(
      store.events.map(({ stream, seq, type, task, run, session, data }) => ({ stream, seq, type, task, run, session, data })),
    );
    return all;
  };
  return { name: "the simulator", db, setClock: async (now) => void (clock = now), dump, close: async () => {} };
}

/** One piece of work; its numbers choose among what is there. */
interface Piece {
  kind:
    | "create"
    | "stop"
    | "retry"
    | "stop all"
    | "take lease"
    | "renew lease"
    | "take runner"
    | "renew runner"
    | "assign"
    | "work"
    | "tell"
    | "tell twice"
    | "run"
    | "stop run"
    | "retry run"
    | "answer"
    | "look"
    | "wait"
    | "wait long";
  a: number;
  b: number;
  c: number;
}

const often: Piece["kind"][] = [
  "work",
  "work",
  "work",
  "work",
  "work",
  "work",
  "run",
  "create",
  "create",
  "assign",
  "assign",
  "assign",
  "tell",
  "tell",
  "tell",
  "tell",
  "tell",
  "run",
  "look",
  "wait",
];
const kinds: Piece["kind"][] = [
  ...often,
  "stop",
  "retry",
  "stop all",
  "take lease",
  "renew lease",
  "take runner",
  "renew runner",
  "tell twice",
  "stop run",
  "retry run",
  "answer",
  "wait long",
];
const pieces = fc.array(fc.record({ kind: fc.constantFrom(...kinds), a: fc.nat(50), b: fc.nat(50), c: fc.nat(50) }), {
  minLength: 15,
  maxLength: 45,
});

/** Rows of which no order is asked come as each database likes: that is no difference. */
function inOneOrder(read: Reader): Reader {
  return {
    one: read.one,
    async all<Row>(statement: Sql) {
      const rows = await read.all<Row>(statement);
      return / order by /.test(render(statement, "sqlite").text)
        ? rows
        : rows.toSorted((one, other) => (canonical(one) < canonical(other) ? -1 : 1));
    },
  };
}

const noArtifacts = {} as unknown as Services["artifacts"];

/** Does one piece on one side, and answers what its plans came to. */
async function perform(side: Side, { kind, a, b, c }: Piece, index: number, now: number): Promise<unknown[]> {
  const told: unknown[] = [];
  const db: Db = {
    ...side.db,
    read: inOneOrder(side.db.read),
    async commit(plan) {
      const committed = await side.db.commit(plan);
      told.push(
        committed.kind === "conflict"
          ? `conflict at ${committed.statement}`
          : committed.events.map(({ stream, seq, type }) => [stream, seq, type]),
      );
      return committed;
    },
  };
  const bus = makeBus();
  const services = {
    db,
    clock: { now: () => now },
    bus,
    workspaces: {},
    artifacts: noArtifacts,
    version: "0",
    home: "/",
  } as unknown as Services;
  const call = (name: string, input: unknown, key: string | null = null): Promise<unknown> =>
    execute(registry, { actor: person, services }, name, input, key);
  const look = { db, now: () => now };
  const projects = ["p0", "p1"];
  const project = projects[a % 2] ?? "p0";
  const connections = makeConnections();
  const runners = await db.read.all<{ id: string; epoch: number }>(sql`select id, epoch from runners order by id`);
  for (const { id, epoch } of runners) connections.add({ runner: id, epoch: Number(epoch), send: () => {}, close: () => {} });
  const tasks = (await db.read.all<{ id: string }>(sql`select id from tasks`)).map(({ id }) => id).toSorted();
  const runs = (await db.read.all<{ id: string }>(sql`select id from runs`)).map(({ id }) => id).toSorted();
  const pickOf = <Item>(items: Item[], at: number): Item | undefined => items[at % Math.max(1, items.length)];
  try {
    switch (kind) {
      case "create":
        await call(
          "task.create",
          {
            project,
            prompt: `piece ${index}`,
            ...(b % 3 === 0 ? { agent: pickOf(["ada", "ben"], c) } : {}),
            ...(b % 4 === 0 && tasks.length > 0 ? { needs: [pickOf(tasks, c)] } : {}),
            ...(b % 5 === 0 ? { delay: 20 } : {}),
            ...(b % 7 === 0 ? { deadline: now + 60_000 } : {}),
            ...(c % 3 === 0 ? { concurrency: [{ key: "k", limit: 1 }] } : {}),
            retry: { attempts: 1 + (c % 3), backoff: { base_ms: c % 2 === 0 ? 0 : 20_000, jitter: 0 } },
            priority: (c % 5) - 2,
          },
          b % 2 === 0 ? `key ${c % 4}` : null,
        );
        break;
      case "stop":
        await call("task.stop", { id: pickOf(tasks, a) ?? "T-0" });
        break;
      case "retry":
        await call("task.retry", { id: pickOf(tasks, a) ?? "T-0" });
        break;
      case "stop all":
        if (c % 4 === 0) await call("task.stop-all", { project });
        break;
      case "take lease":
        await db.commit(takeLease(project, `s${b % 2}`));
        break;
      case "renew lease":
        await db.commit(renewLease({ project, epoch: 1 + (b % 3) }));
        break;
      case "take runner":
        await takeRunnerLease(db, {
          runner: lives[a % 2] ?? "r0",
          life: `life ${index}`,
          home: `home ${b % 2}`,
          capacity: c % 2 === 0 ? null : 2,
        });
        break;
      case "renew runner":
        told.push(await renewRunnerLease(db, { runner: lives[a % 2] ?? "r0", epoch: 1 + (b % 3) }, { draining: c % 5 === 0 }));
        break;
      case "assign": {
        await db.commit(takeLease(project, "s0"));
        const lease = await findLease(db.read, project);
        const options = { db, connections, url: "http://127.0.0.1:1", brokerOf: async () => null, now: () => now };
        told.push(await assignReady(options, { project, epoch: Number(lease?.epoch ?? 0) - (b % 8 === 0 ? 1 : 0) }));
        break;
      }
      case "work": {
        // What was given out begins, and ends in one way or another.
        for (const one of projects) {
          await db.commit(takeLease(one, "s0"));
          const lease = await findLease(db.read, one);
          const options = { db, connections, url: "http://127.0.0.1:1", brokerOf: async () => null, now: () => now };
          told.push(await assignReady(options, { project: one, epoch: Number(lease?.epoch ?? 0) }));
        }
        const options = { db, bus, artifacts: noArtifacts, now: () => now, onPermission: () => {} };
        const ends = [2, 6, 6, 7, 3, 2, 8];
        for (const at of [0, 1, 2, 3, 4]) {
          const begun = await messageOf(db, { a: 6 * at + 1, b: 1, c: 1 }, index);
          if (begun?.kind === "started") told.push(await receiveOnce(options, begun));
          const ended = await messageOf(db, { a: 6 * at + 1, b: ends[(a + at) % ends.length] ?? 6, c: 1 }, index);
          if (ended?.kind === "outcome") told.push(await receiveOnce(options, ended));
        }
        break;
      }
      case "tell":
      case "tell twice": {
        const message = await messageOf(db, { a, b, c }, index);
        if (!message) break;
        const options = { db, bus, artifacts: noArtifacts, now: () => now, onPermission: () => {} };
        told.push(await receiveOnce(options, message));
        if (kind === "tell twice") told.push(await receiveOnce(options, message));
        break;
      }
      case "run": {
        const flow = flows()[b % flows().length];
        if (flow)
          await beginRun(db, {
            project,
            flow,
            inputs: flow.name === "group" ? { parts: ["x", "y", "z", "u"].slice(0, 1 + (c % 4)) } : {},
            now,
          });
        break;
      }
      case "stop run":
        await call("run.stop", { id: pickOf(runs, a) ?? "R-0" });
        break;
      case "retry run":
        await call("run.retry", { id: pickOf(runs, a) ?? "R-0" });
        break;
      case "answer": {
        const open = (await db.read.all<{ id: string }>(sql`select id from approvals where state = 'open'`)).map(({ id }) => id).toSorted();
        await call("approval.answer", { id: pickOf(open, a) ?? "A-0", answer: b % 2 === 0 ? "yes" : "no" });
        break;
      }
      case "look":
        await makeReady(look);
        for (const one of projects) await stopWhatMustStop(look, one);
        await stopLate(look);
        await endLost({ ...look, ownRunner: null, sweep: async () => {} });
        await endOverdue(look);
        await endExpired(look);
        break;
      case "wait":
      case "wait long":
        break;
    }
  } catch (error) {
    const { code, message } = toAppError(error);
    if (code === "internal") throw error;
    told.push(`${code}: ${message}`);
  }
  return told;
}

/** What the runner of an attempt that is under way could say, or of one that was. */
async function messageOf({ read }: Db, { a, b, c }: { a: number; b: number; c: number }, index: number): Promise<FromRunner | null> {
  const rows = await read.all<{
    task: string;
    attempt: number;
    session: string;
    runner: string;
    runner_epoch: number;
    told: number;
    state: string;
  }>(sql`select task, attempt, session, runner, runner_epoch, told, state from attempts`);
  const key = (row: { task: string; attempt: number }): string => `${row.task}#${row.attempt}`;
  const all = rows.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
  const open = all.filter(({ state }) => state === "starting" || state === "running");
  const among = a % 6 === 0 || open.length === 0 ? all : open;
  const row = among[a % Math.max(1, among.length)];
  if (!row) return null;
  const fence = {
    task: row.task,
    attempt: Number(row.attempt),
    session: row.session,
    runner: row.runner,
    runnerEpoch: Number(row.runner_epoch),
    number: Math.max(1, Number(row.told) + 1 - (c % 9 === 0 ? 1 : 0)),
  };
  if (row.state === "starting" && b % 5 !== 0) return { kind: "started", ...fence, base: "c0", notIncluded: [] };
  const failed = (retryable: boolean): AttemptOutcome => ({
    kind: "failed",
    reason: "agent failed",
    message: "no",
    retryable,
    commit: null,
    base: null,
    files: [],
  });
  switch (b % 9) {
    case 0:
      return { kind: "turn-started", ...fence, turn: index, prompt: "go" };
    case 1:
      return {
        kind: "permission",
        ...fence,
        permission: `q${index}`,
        tool: "shell",
        action: {},
        options: [{ id: "y", label: "allow", allows: true, lasting: false }],
      };
    case 2:
      return { kind: "outcome", ...fence, outcome: failed(true) };
    case 3:
      return { kind: "outcome", ...fence, outcome: failed(false) };
    case 4:
      return { kind: "outcome", ...fence, outcome: { kind: "limited", retryAt: begin + 3_600_000 * (c % 2), message: "limit" } };
    case 5:
      return { kind: "outcome", ...fence, outcome: { kind: c % 2 === 0 ? "cancelled" : "interrupted" } };
    default: {
      const done: AttemptOutcome = {
        kind: "done",
        output: { n: c },
        commit: `c-${row.task}`,
        base: "c0",
        files: [],
        branch: null,
        note: null,
        verified: null,
      };
      return { kind: "outcome", ...fence, outcome: done };
    }
  }
}

/** Does the same random work on all three sides; throws where they differ. Answers how many pieces were compared. */
async function compare(engine: Engine, runs: number): Promise<number> {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(), async (given, seed) => {
      const sides = [openSimSide(engine), await openSqliteSide(), await openPostgresSide()];
      try {
        let now = begin;
        const { plan } = makeWorld(makeRandom(seed), begin, false);
        for (const side of sides) {
          await side.setClock(now);
          await side.db.commit(plan);
          for (const runner of lives) await takeRunnerLease(side.db, { runner, life: "first", home: "home 0", capacity: null });
        }
        for (const [index, piece] of given.entries()) {
          now += piece.kind === "wait" ? 5_000 : piece.kind === "wait long" ? 25_000 : 100;
          const outcomes: unknown[] = [];
          const dumps: unknown[] = [];
          for (const side of sides) {
            await side.setClock(now);
            outcomes.push(await perform(side, piece, index, now));
            dumps.push(await side.dump());
          }
          for (const at of [1, 2]) {
            const what = `${piece.kind} (piece ${index}) on ${sides[at]?.name ?? ""}`;
            assert.deepEqual(outcomes[0], outcomes[at], `what ${what} came to`);
            assert.deepEqual(dumps[0], dumps[at], `what ${what} left`);
          }
          done += 1;
        }
      } finally {
        for (const side of sides) await side.close();
      }
    }),
    { numRuns: runs, seed: 20_261_121, endOnFailure: true },
  );
  return done;
}

test("random work comes to the same on the simulator's store, on SQLite and on PostgreSQL", { timeout: 280_000 }, async () => {
  const done = await compare(makeEngine(), 25);
  assert.ok(done > 500, `${done} pieces of work were compared`);
});

for (const name of ["claim by looking", "group counter is lost", "running need is enough", "event numbers outside of the transaction"]) {
  test(`a store that understands the product otherwise is told apart: ${name}`, { timeout: 120_000 }, async () => {
    const bug = planted.find((one) => one.name === name);
    assert.ok(bug);
    await assert.rejects(compare(makeEngine(bug.make(() => {})), 60), /Property failed/);
  });
}

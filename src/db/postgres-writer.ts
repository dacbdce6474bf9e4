import { Client, type QueryConfig, type QueryResult } from "pg";
import type { AppError } from "../errors.ts";
import { type AcceptedPlan, storedEvents } from "./accept.ts";
import { emptyHead, type Head, nextHead, sha256 } from "./chain.ts";
import { type CrashPoint, makeCrashCounter } from "./crash.ts";
import type { Committed, StoredEvent } from "./plan.ts";
import { type Failure, firstConflict, type Step, stepsApart, stepsTogether } from "./postgres-batch.ts";
import {
  connectionConfig,
  fromPostgres,
  isLost,
  isRetryable,
  isStalePlan,
  isTimeout,
  isUniqueViolation,
  unreachable,
} from "./postgres-connection.ts";

/**
 * Group commit on PostgreSQL. The plans that wait become one transaction in two round trips: (1) begin, all statements of all
 * plans, the locks of their streams and the heads of these; (2) the events, the new heads, one notification, commit. A batch in which
 * a plan conflicts or fails is rolled back and split there: a savepoint per plan would cost every plan two more statements.
 */
export interface PostgresWriter {
  /** Resolves after COMMIT. Rejects with AppError unreachable, busy, disk_full, or PostgreSQL's own error for a bad statement. */
  write(plan: AcceptedPlan): Promise<Committed>;
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** What this server committed, kept outside of the database: see high-water.ts. */
export interface PostgresMark {
  note(moved: ReadonlyMap<string, Head>): void;
  /** Throws AppError damaged when the database has lost some of it. */
  check(client: Client): Promise<void>;
  close(): void;
}

interface WriterOptions {
  url: string;
  mark: PostgresMark | null;
  crashAt: CrashPoint | null;
  /** Sent along with notifications, so that this server knows its own. */
  server: string;
  onEvents(events: StoredEvent[]): void;
}

interface Pending {
  plan: AcceptedPlan;
  tries: number;
  promise: Promise<Committed>;
  resolve(answer: Committed): void;
  reject(error: unknown): void;
}

interface Connection {
  client: Client;
  isLost: boolean;
}

interface StreamHead extends Head {
  id: string;
}

const maxPlansInTransaction = 200;
const maxTries = 5;
const maxNotificationBytes = 7_500;
export const channel = "tutti";

export function makePostgresWriter(options: WriterOptions): PostgresWriter {
  const crash = makeCrashCounter(options.crashAt);
  const waiting: Pending[] = [];
  const active = new Set<Pending>();
  let connection: Connection | null = null;
  let isRunning = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) await writeBatch(waiting.splice(0, maxPlansInTransaction));
    isRunning = false;
  }

  /** Every plan of the batch has its answer when this resolves. */
  async function writeBatch(batch: Pending[]): Promise<void> {
    let failure: Failure | null;
    try {
      connection = await usable(connection, options);
      failure = batch.length > 1 ? await writeTransaction(connection, batch, stepsTogether) : null;
      if (failure || batch.length === 1) {
        connection = await usable(connection, options);
        failure = await writeTransaction(connection, batch, stepsApart);
      }
    } catch (error) {
      if (connection) drop(connection);
      for (const pending of batch) pending.reject(fromPostgres(error));
      return;
    }
    if (failure) await writeParts(batch, failure);
  }

  /** The plans before the one that failed are good, that one answers for itself alone, the rest goes on in halves. */
  async function writeParts(batch: Pending[], failure: Failure): Promise<void> {
    const at = failure.plan ?? 0;
    const guilty = batch[at];
    if (!guilty) throw new Error("a batch failed at a plan that is not in it");
    const rest = batch.slice(at + 1);
    const half = Math.ceil(rest.length / 2);
    if (at > 0) await writeBatch(batch.slice(0, at));
    if (isFinal(failure, batch.length, guilty)) answerFailure(guilty, failure);
    else await writeBatch([guilty]);
    if (half > 0) await writeBatch(rest.slice(0, half));
    if (half < rest.length) await writeBatch(rest.slice(half));
  }

  async function writeTransaction(on: Connection, batch: Pending[], stepsOf: (plans: AcceptedPlan[]) => Step[]): Promise<Failure | null> {
    const steps = stepsOf(batch.map(({ plan }) => plan));
    const attempt = await pipeline(on.client, beginWith(steps, batch));
    const failure = findFailure(steps, attempt);
    if (failure) {
      if (failure.kind === "error") leaveIfLost(on, failure.error, "the connection was lost before COMMIT: nothing was written");
      if (failure.kind === "error" && isStalePlan(failure.error)) drop(on);
      else await on.client.query("rollback");
      return failure;
    }
    const events = numberEvents(batch, attempt, options.server);
    crash.begin();
    if (crash.isAt("before")) {
      await pipeline(on.client, events.queries);
      crash.check("before");
    }
    const ending = await pipeline(on.client, [...events.queries, { text: "commit" }]);
    const broken = ending.find((result) => result.status === "rejected");
    if (broken) {
      leaveIfLost(on, broken.reason, "the connection was lost at COMMIT: whether this change was stored is not known");
      await on.client.query("rollback");
      return { kind: "error", plan: 0, error: broken.reason };
    }
    crash.check("after");
    options.mark?.note(events.heads);
    answerAll(batch, events);
    return null;
  }

  function answerAll(batch: Pending[], { seqs, at }: NumberedEvents): void {
    const all: StoredEvent[] = [];
    batch.forEach((pending, index) => {
      const events = storedEvents(pending.plan, seqs[index] ?? [], at);
      pending.resolve({ kind: "committed", events });
      all.push(...events);
    });
    options.onEvents(all);
  }

  return {
    async write(plan) {
      const pending: Pending = { plan, tries: 0, ...Promise.withResolvers<Committed>() };
      waiting.push(pending);
      active.add(pending);
      if (!isRunning) {
        isRunning = true;
        // Whoever else writes in this turn of the event loop comes along.
        setImmediate(() => void run());
      }
      try {
        return await pending.promise;
      } finally {
        active.delete(pending);
      }
    },
    async idle() {
      await Promise.allSettled([...active].map(({ promise }) => promise));
    },
    async close() {
      if (connection && !connection.isLost) await connection.client.end();
    },
  };
}

/** The connection as it is, or a new one when it is lost. */
async function usable(connection: Connection | null, { url, mark }: WriterOptions): Promise<Connection> {
  if (connection && !connection.isLost) return connection;
  const client = new Client({ ...connectionConfig(url, "tutti writer"), pipeline: true });
  const made: Connection = { client, isLost: false };
  // Without a listener a backend that is terminated would end this process. The plans under way hear of it by their queries.
  client.on("error", () => void (made.isLost = true));
  client.on("end", () => void (made.isLost = true));
  await client.connect();
  // A cluster may be set to acknowledge before the disk has it; we promise the disk.
  await client.query("select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'");
  // The one at its end may be a replica that lagged behind the database that we knew.
  await mark?.check(client);
  return made;
}

function drop(connection: Connection): void {
  connection.isLost = true;
  connection.client.connection.stream.destroy();
}

/** Throws AppError unreachable when there is no way to go on with this connection. */
function leaveIfLost(connection: Connection, error: unknown, why: string): void {
  if (connection.isLost || isLost(error)) throw unreachable(why, error) satisfies AppError;
}

/** Sends all at once and waits for all answers; after an error the later ones fail too, as the transaction is aborted. */
function pipeline(client: Client, queries: QueryConfig[]): Promise<PromiseSettledResult<QueryResult>[]> {
  const { stream } = client.connection;
  stream.cork();
  const answers = queries.map((query) => client.query(query));
  stream.uncork();
  return Promise.allSettled(answers);
}

function beginWith(steps: Step[], batch: Pending[]): QueryConfig[] {
  const queries: QueryConfig[] = [{ text: "begin isolation level read committed" }, ...steps.map((step) => step.query)];
  const streams = new Set(batch.flatMap(({ plan }) => plan.events.map(({ event }) => event.stream)));
  if (streams.size === 0) return queries;
  // The last step before numbering, always in the order of their ids: two servers that write to the same streams cannot wait for
  // each other in a circle, and numbers are final in the order of commits.
  const sorted = [...streams].toSorted();
  for (const stream of sorted) {
    queries.push({ name: "tutti_lock", text: "select pg_advisory_xact_lock(hashtextextended('tutti ' || $1, 0))", values: [stream] });
  }
  queries.push({ name: "tutti_heads", text: "select id, seq, head from streams where id = any($1::text[])", values: [sorted] });
  queries.push({ text: "select tutti_now() as at" });
  return queries;
}

/** The first step that touched other rows than expected, or that PostgreSQL refused. */
function findFailure(steps: Step[], results: PromiseSettledResult<QueryResult>[]): Failure | null {
  // begin is the result 0; behind the steps come the locks and heads of the streams.
  const refused = results.findIndex((result) => result.status === "rejected");
  const conflict = firstConflict(steps, results.slice(1));
  if (conflict || refused === -1) return conflict;
  const result = results[refused];
  const error: unknown = result?.status === "rejected" ? result.reason : undefined;
  const step = steps[refused - 1];
  // All plans are fine; a lock or a head could not be had (another server holds a stream for long).
  if (!step) return { kind: "error", plan: 0, error };
  if (isUniqueViolation(error)) return { kind: "conflict", plan: step.plan, statement: step.statement };
  return { kind: "error", plan: step.plan, error };
}

/** Whether a plan has its answer now. In a group an earlier plan may be to blame, so it is tried alone first. */
function isFinal(failure: Failure, batchSize: number, guilty: Pending): boolean {
  if (failure.kind === "conflict") return batchSize === 1;
  // Waiting as long once more would hold up everybody behind it.
  if (isTimeout(failure.error)) return true;
  guilty.tries += 1;
  const mayPass = isRetryable(failure.error) || isStalePlan(failure.error) || batchSize > 1;
  return !mayPass || guilty.tries >= maxTries;
}

function answerFailure(pending: Pending, failure: Failure): void {
  if (failure.kind === "conflict") pending.resolve({ kind: "conflict", statement: failure.statement });
  else pending.reject(fromPostgres(failure.error));
}

interface NumberedEvents {
  queries: QueryConfig[];
  /** For each plan the numbers of its events. */
  seqs: number[][];
  at: number;
  /** Of each stream, after its events. */
  heads: ReadonlyMap<string, Head>;
}

/** Gives the events of a batch their numbers and hashes, from the heads that its transaction holds. */
function numberEvents(batch: Pending[], results: PromiseSettledResult<QueryResult>[], server: string): NumberedEvents {
  if (batch.every(({ plan }) => plan.events.length === 0)) return { queries: [], seqs: [], at: 0, heads: new Map() };
  const [headRows = [], timeRows = []] = results.slice(-2).map((result) => (result.status === "fulfilled" ? result.value.rows : []));
  const heads = new Map((headRows as StreamHead[]).map(({ id, seq, head }) => [id, { seq, head }]));
  const { at } = timeRows[0] as { at: number };
  const rows: unknown[][] = [];
  const seqs = batch.map(({ plan }) =>
    plan.events.map(({ event, data }) => {
      const payloadHash = sha256(data);
      const next = nextHead(heads.get(event.stream) ?? emptyHead, event, payloadHash);
      heads.set(event.stream, next);
      rows.push([event.stream, next.seq, event.type, at, event.task, event.run, event.session, data, payloadHash, next.head]);
      return next.seq;
    }),
  );
  const headsAfter = [...heads].map(([id, { seq, head }]) => [id, seq, head]);
  return { queries: [insertEvents(rows), saveHeads(headsAfter), notify(server, [...heads.keys()])], seqs, at, heads };
}

const column = (rows: unknown[][], index: number): unknown[] => rows.map((row) => row[index] ?? null);

const insertEvents = (rows: unknown[][]): QueryConfig => ({
  name: "tutti_events",
  text: `insert into events (stream, seq, type, at, task, run, session, data, payload_hash, hash)
    select * from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])`,
  values: Array.from({ length: 10 }, (_, index) => column(rows, index)),
});

const saveHeads = (rows: unknown[][]): QueryConfig => ({
  name: "tutti_save_heads",
  text: `insert into streams (id, seq, head) select * from unnest($1::text[], $2::bigint[], $3::text[])
    on conflict (id) do update set seq = excluded.seq, head = excluded.head`,
  values: Array.from({ length: 3 }, (_, index) => column(rows, index)),
});

/** One query that tells the other servers which streams have news: ids only, as a notification holds 8,000 bytes. */
function notify(server: string, streams: string[]): QueryConfig {
  const payloads: string[] = [];
  let ids: string[] = [];
  for (const stream of streams) {
    if (ids.length > 0 && Buffer.byteLength(JSON.stringify([server, ...ids, stream])) > maxNotificationBytes) {
      payloads.push(JSON.stringify([server, ...ids]));
      ids = [];
    }
    ids.push(stream);
  }
  if (ids.length > 0) payloads.push(JSON.stringify([server, ...ids]));
  return { name: "tutti_notify", text: `select pg_notify('${channel}', payload) from unnest($1::text[]) payload`, values: [payloads] };
}

import { randomUUID } from "node:crypto";
import { Client, Pool, type PoolClient } from "pg";
import { acceptPlan, closedError, makeQueueBound, onlyRow } from "./accept.ts";
import type { Head } from "./chain.ts";
import { comparePostgres, lossInPostgres } from "./compare-high-water.ts";
import { makeCounters } from "./counters.ts";
import type { CrashPoint } from "./crash.ts";
import { damagedError, describeLoss, type MarkOptions, moveHighWater } from "./high-water.ts";
import { makeCommitListeners } from "./listeners.ts";
import { migratePostgres } from "./migrate.ts";
import { type Db, type Reader, render, type Sql, sql } from "./plan.ts";
import { connectionConfig, fromPostgres, isLost, isStalePlan, statementName } from "./postgres-connection.ts";
import { listenForNews } from "./postgres-news.ts";
import { tellIfFull } from "./space.ts";
import { makePostgresWriter, type PostgresMark } from "./postgres-writer.ts";

interface PostgresOptions extends MarkOptions {
  url: string;
  /** Where this server keeps its mark of the database (high-water.ts); left out: nowhere. */
  highWater?: string;
  crashAt?: CrashPoint | null;
  onFull?: () => void;
  /** Connections for reading; one more writes and one listens. */
  poolSize?: number;
  /** Plans that may wait or be under way at once; more are refused with AppError busy. */
  maxQueue?: number;
}

const numbersInBlock = 20;

/**
 * Opens (and migrates) a PostgreSQL database, which any number of servers may share.
 * Throws AppError unreachable when it cannot be had, conflict for a schema that a newer server changed, and damaged for one that has
 * lost something that this server had committed.
 */
export async function openPostgres(options: PostgresOptions): Promise<Db> {
  const kept = await prepareSchema(options);
  const server = randomUUID();
  const listeners = makeCommitListeners();
  const news = await listenForNews({ url: options.url, server, onNews: (streams) => listeners.tell({ streams, events: [] }) });
  const pool = makePool(options.url, options.poolSize ?? 10);
  const mark = options.highWater === undefined ? null : openMark(options.highWater, kept);
  const writer = makePostgresWriter({
    url: options.url,
    server,
    crashAt: options.crashAt ?? null,
    mark,
    onEvents: (events) => listeners.tellEvents(events),
  });
  const bound = makeQueueBound(options.maxQueue);
  const counters = makeCounters({ smallest: numbersInBlock, largest: numbersInBlock }, (counter, size) =>
    reserveNumbers(pool, counter, size),
  );
  const read = makeReader(pool);
  let closing: Promise<void> | null = null;

  async function finish(): Promise<void> {
    await writer.idle();
    await counters.unused();
    await Promise.all([writer.close(), news.stop(), pool.end()]);
    mark?.close();
  }

  return {
    kind: "postgres",
    read,
    async commit(plan) {
      if (closing) throw closedError();
      if (plan.statements.length + plan.events.length === 0) return { kind: "committed", events: [] };
      const accepted = acceptPlan(plan, "postgres");
      bound.enter(accepted.bytes);
      try {
        return await writer.write(accepted);
      } catch (error) {
        return tellIfFull(error, options.onFull);
      } finally {
        bound.leave(accepted.bytes);
      }
    },
    onCommit: (listener) => listeners.add(listener),
    async nextNumber(counter) {
      if (closing) throw closedError();
      return counters.take(counter);
    },
    async now() {
      return (await read.one<{ now: number }>(sql`select tutti_now() as now`))?.now ?? 0;
    },
    close: () => (closing ??= finish()),
  };
}

/** Answers what of this server's mark holds. */
async function prepareSchema({ url, highWater, tell, acceptLoss }: PostgresOptions): Promise<Map<string, Head>> {
  const client = new Client({ ...connectionConfig(url, "tutti migration"), query_timeout: undefined });
  client.on("error", ignoreLostConnection);
  try {
    await client.connect();
    await migratePostgres(client);
    if (highWater === undefined) return new Map();
    const { mark, loss, notes } = await comparePostgres(client, highWater);
    for (const note of notes) tell?.(note);
    if (loss && !acceptLoss) throw damagedError(describeLoss(loss));
    if (loss) acceptLoss?.(loss);
    const lost = new Set(loss?.streams.map(({ stream }) => stream));
    return new Map([...mark.heads].filter(([stream]) => !lost.has(stream)));
  } catch (error) {
    throw fromPostgres(error);
  } finally {
    await client.end();
  }
}

/** Other servers write too, so the mark holds what this one committed, and is asked again whenever the writer's connection is a new one. */
function openMark(path: string, kept: Map<string, Head>): PostgresMark {
  const heads = kept;
  const moving = moveHighWater({ path, counts: false, heads, everyMs: 20 });
  return {
    note(moved) {
      for (const [stream, head] of moved) heads.set(stream, head);
      moving.note(0, moved);
    },
    async check(client) {
      const loss = await lossInPostgres(client, heads);
      if (loss) throw damagedError(describeLoss(loss));
    },
    close: () => moving.close(),
  };
}

/** Whatever waits on the connection fails with the same error; without a listener it would end the process. */
const ignoreLostConnection = (): undefined => undefined;

function makePool(url: string, max: number): Pool {
  const pool = new Pool({ ...connectionConfig(url, "tutti reader"), max });
  pool.on("error", ignoreLostConnection);
  // The pool's own listener is away while a client is in use.
  pool.on("connect", (client) => client.on("error", ignoreLostConnection));
  return pool;
}

function makeReader(pool: Pool): Reader {
  const all = async <Row>(wanted: Sql): Promise<Row[]> => query<Row>(pool, wanted);
  return { all, one: async <Row>(wanted: Sql) => onlyRow(await all<Row>(wanted)) };
}

async function query<Row>(pool: Pool, wanted: Sql): Promise<Row[]> {
  if (pool.ending) throw closedError();
  const { text, values } = render(wanted, "postgres");
  try {
    return await queryOnce<Row>(pool, text, values);
  } catch (error) {
    // Another server's migration: once more, on a connection that prepares anew. Each of the old ones is met once at most.
    if (isStalePlan(error)) return query<Row>(pool, wanted);
    throw fromPostgres(error);
  }
}

async function queryOnce<Row>(pool: Pool, text: string, values: unknown[]): Promise<Row[]> {
  const client: PoolClient = await pool.connect();
  let isUsable = true;
  try {
    const { rows } = await client.query({ name: statementName(text), text, values });
    return rows as Row[];
  } catch (error) {
    isUsable = !isLost(error) && !isStalePlan(error);
    throw error;
  } finally {
    client.release(!isUsable);
  }
}

/** Other servers take blocks of the same counter: a block is ours alone, in one statement. */
async function reserveNumbers(pool: Pool, counter: string, size: number): Promise<number> {
  const [row] = await query<{ next: number }>(
    pool,
    sql`insert into counters (name, next) values (${counter}, ${1 + size})
      on conflict (name) do update set next = counters.next + ${size} returning next`,
  );
  if (!row) throw new Error(`the counter ${counter} gave no number`);
  return row.next - size;
}

import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Client, type ClientBase } from "pg";
import { damagedError, findLoss, type Found, type HighWater, type Loss, readHighWater } from "./high-water.ts";
import { connectionConfig, fromPostgres } from "./postgres-connection.ts";

/** What the mark says about a store that is about to be opened. */
export interface Compared {
  loss: Loss | null;
  /** The mark was not there or could not be read: said, and no reason to stop. */
  notes: string[];
}

/** Where the mark of a SQLite file is. */
export const sqliteMark = (file: string): string => join(dirname(file), "high-water", basename(file, ".db"));

/** Where this home keeps the mark of a PostgreSQL database: by host and name, without user and password. */
export function postgresMark(home: string, url: string): string {
  const { host, pathname } = new URL(url);
  return join(home, "high-water", `postgres-${hash("sha256", host + pathname).slice(0, 16)}`);
}

/**
 * Compares a SQLite file with its mark, through a connection that cannot write: a damaged write-ahead log stays as it is, for whoever
 * wants to look at it. Costs a few lookups by key. Throws AppError damaged for a file that SQLite itself calls damaged.
 */
export function compareSqlite(file: string): Compared {
  const isNew = !existsSync(file);
  const { mark, notes } = readHighWater(sqliteMark(file), "sqlite");
  if (mark.commits === null && mark.heads.size === 0) return { loss: null, notes: isNew ? [] : notes };
  return { loss: findLoss(mark, isNew ? nothing : whenSound(() => findInSqlite(file, mark))), notes };
}

const nothing: Found = { commits: 0, streams: new Map() };

function findInSqlite(file: string, mark: HighWater): Found {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const columns = db
      .prepare("select name from pragma_table_info('streams')")
      .all()
      .map((row) => String(row["name"]));
    if (columns.length === 0) return nothing;
    const counted = columns.includes("commits") ? db.prepare("select max(commits) as n from streams").get() : undefined;
    const find = db.prepare(
      `select s.seq, (select e.hash from events e where e.stream = s.id and e.seq = ?) as "hashAtMark" from streams s where s.id = ?`,
    );
    const streams = [...mark.heads].flatMap(([stream, { seq }]) => {
      const row = find.get(seq, stream) as { seq: number; hashAtMark: string | null } | undefined;
      return row ? [[stream, row] as const] : [];
    });
    return { commits: Number(counted?.["n"] ?? 0), streams: new Map(streams) };
  } finally {
    db.close();
  }
}

/** SQLITE_CORRUPT, SQLITE_NOTADB */
const damagedCodes = [11, 26];

/** Throws AppError damaged for what SQLite itself sees. */
export function whenSound<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const code = (error as { errcode?: number }).errcode ?? 0;
    if (!damagedCodes.includes(code % 256)) throw error;
    throw damagedError(`SQLite says: ${(error as Error).message}`, error);
  }
}

/** The same for a PostgreSQL database: a failover to a replica that lagged, or an older copy under the same name. */
export async function comparePostgres(client: ClientBase, path: string): Promise<Compared & { mark: HighWater }> {
  const { mark, notes } = readHighWater(path, "postgres");
  return { mark, loss: await lossInPostgres(client, mark.heads), notes };
}

/** The same for whoever has no connection. Throws AppError unreachable. */
export async function comparePostgresAt(home: string, url: string): Promise<Compared> {
  const client = new Client(connectionConfig(url, "tutti verify"));
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await comparePostgres(client, postgresMark(home, url));
  } catch (error) {
    throw fromPostgres(error);
  } finally {
    await client.end();
  }
}

export async function lossInPostgres(client: ClientBase, heads: HighWater["heads"]): Promise<Loss | null> {
  if (heads.size === 0) return null;
  const { rows } = await client.query<{ id: string; seq: number; hash: string | null }>(
    `select m.id, coalesce(s.seq, 0) as seq, e.hash
       from unnest($1::text[], $2::bigint[]) as m (id, seq)
       left join streams s on s.id = m.id
       left join events e on e.stream = m.id and e.seq = m.seq`,
    [[...heads.keys()], [...heads.values()].map(({ seq }) => seq)],
  );
  const streams = new Map(rows.map(({ id, seq, hash: hashAtMark }) => [id, { seq: Number(seq), hashAtMark }]));
  return findLoss({ commits: null, heads }, { commits: 0, streams });
}

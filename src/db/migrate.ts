import type { DatabaseSync } from "node:sqlite";
import type { ClientBase } from "pg";
import { AppError } from "../errors.ts";
import * as first from "./migrations/001.ts";
import * as doors from "./migrations/002.ts";

/**
 * The schema's history. Each migration is one transaction with the row that says so, on both databases, so a crash leaves the old
 * or the new schema and starting again goes on. Within a minor release migrations only add, and servers before and after
 * run side by side: `oldestServer` is the oldest schema version whose servers still understand the result.
 */
export interface Migration {
  version: number;
  oldestServer: number;
  statements: readonly string[];
}

export const migrations: readonly Migration[] = [
  { version: first.version, oldestServer: 1, statements: first.statements },
  { version: doors.version, oldestServer: 1, statements: doors.statements },
];

interface SchemaRow {
  version: number;
  oldest_server: number;
}

interface MigrateOptions {
  known?: readonly Migration[];
  /** For tests of crashes: called before each statement, counted from 0 over all migrations, and once more before the last COMMIT. */
  beforeStatement?: (index: number) => void;
}

const schemaTable = "create table if not exists schema (version bigint not null, oldest_server bigint not null)";

/** What is left to do. Throws AppError conflict when the store was changed by a newer server that this one cannot work beside. */
export function pendingMigrations(found: SchemaRow | null, known: readonly Migration[] = migrations): Migration[] {
  const newest = known.at(-1)?.version ?? 0;
  if (found && found.oldest_server > newest) {
    throw new AppError("conflict", `the store has schema version ${found.version}, this server knows version ${newest}`, {
      why: `a newer server changed it; it can be used by servers that know version ${found.oldest_server} or later`,
      fix: ["start the newer version of Tutti again", "restore a backup from before the upgrade"],
    });
  }
  return known.filter((migration) => migration.version > (found?.version ?? 0));
}

/** Brings a SQLite store to the newest schema; the lock is the transaction's own. Throws AppError conflict for a newer store. */
export function migrateSqlite(db: DatabaseSync, { known = migrations, beforeStatement = () => undefined }: MigrateOptions = {}): void {
  let index = 0;
  const step = (): void => beforeStatement(index++);
  const found = (): SchemaRow | null => (db.prepare("select version, oldest_server from schema").get() as SchemaRow | undefined) ?? null;
  db.exec(schemaTable);
  for (const { version, oldestServer, statements } of pendingMigrations(found(), known)) {
    db.exec("begin immediate");
    try {
      for (const statement of statements) {
        step();
        db.exec(statement);
      }
      step();
      db.exec("delete from schema");
      db.prepare("insert into schema (version, oldest_server) values (?, ?)").run(version, oldestServer);
      step();
      db.exec("commit");
    } catch (error) {
      if (db.isTransaction) db.exec("rollback");
      throw error;
    }
  }
}

/** One lock of the database for all servers that start at once; the number is arbitrary and must stay. */
const migrationLock = 7_420_001;

/**
 * Brings a PostgreSQL database to the newest schema, one server at a time. Also makes `tutti_now()`, the clock of everything that
 * is written, unless it is there (a test may have put a movable one in its place). Throws AppError conflict for a newer store.
 * The client must be closed afterwards, however it went: with it go the lock and a transaction that an error left open.
 */
export async function migratePostgres(
  client: ClientBase,
  { known = migrations, beforeStatement = () => undefined }: MigrateOptions = {},
): Promise<void> {
  let index = 0;
  const step = (): void => beforeStatement(index++);
  // Waiting for another server's migration, or migrating many rows, may take as long as it takes.
  await client.query("set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0");
  await client.query("select pg_advisory_lock($1)", [migrationLock]);
  await makeClockFunction(client);
  await client.query(schemaTable);
  const found = (await client.query<SchemaRow>("select version, oldest_server from schema")).rows[0] ?? null;
  for (const { version, oldestServer, statements } of pendingMigrations(found, known)) {
    await client.query("begin");
    for (const statement of statements) {
      step();
      await client.query(statement);
    }
    step();
    await client.query("delete from schema");
    await client.query("insert into schema (version, oldest_server) values ($1, $2)", [version, oldestServer]);
    step();
    await client.query("commit");
  }
}

async function makeClockFunction(client: ClientBase): Promise<void> {
  const { rowCount } = await client.query("select 1 from pg_proc where proname = 'tutti_now' and pg_function_is_visible(oid)");
  if (rowCount) return;
  await client.query(`create function tutti_now() returns bigint language sql volatile as
    $$ select floor(extract(epoch from clock_timestamp()) * 1000)::bigint $$`);
}

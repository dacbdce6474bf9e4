import type { DatabaseSync } from "node:sqlite";
import type { ClientBase } from "pg";
import { AppError } from "../errors.ts";
import * as first from "./migrations/001.ts";
import * as doors from "./migrations/002.ts";
import * as queue from "./migrations/003.ts";
import * as artifacts from "./migrations/004.ts";
import * as integrity from "./migrations/005.ts";
import * as runners from "./migrations/006.ts";
import * as breakers from "./migrations/007.ts";

/** The same text for both databases, or a text for each where they differ (null: nothing to do there). */
export type SchemaStatement = string | { sqlite: string | null; postgres: string | null };

/**
 * The schema's history. Each migration is one transaction with the row that says so, on both databases, so a crash leaves the old
 * or the new schema and starting again goes on. Within a minor release migrations only add, and servers before and after
 * run side by side: `oldestServer` is the oldest schema version whose servers still understand the result.
 */
export interface Migration {
  version: number;
  oldestServer: number;
  statements: readonly SchemaStatement[];
}

export const migrations: readonly Migration[] = [
  { version: first.version, oldestServer: 1, statements: first.statements },
  { version: doors.version, oldestServer: 1, statements: doors.statements },
  { version: queue.version, oldestServer: 3, statements: queue.statements },
  { version: artifacts.version, oldestServer: 3, statements: artifacts.statements },
  { version: integrity.version, oldestServer: 3, statements: integrity.statements },
  { version: runners.version, oldestServer: 3, statements: runners.statements },
  { version: breakers.version, oldestServer: 3, statements: breakers.statements },
];

interface SchemaRow {
  version: number;
  oldest_server: number;
}

interface MigrateOptions<Step = void> {
  known?: readonly Migration[];
  /** For tests of crashes: called before each statement, counted from 0 over all migrations, and once more before each COMMIT. */
  beforeStatement?: (index: number) => Step;
}

const schemaTable = "create table if not exists schema (version bigint not null, oldest_server bigint not null)";

/** What is left to do. Throws AppError conflict when the store was changed by a newer server that this one cannot work beside. */
export function pendingMigrations(found: SchemaRow | null, known: readonly Migration[] = migrations): Migration[] {
  const newest = known.at(-1)?.version ?? 0;
  if (found && found.oldest_server > newest) {
    throw new AppError("conflict", `the store has schema version ${found.version}, this server knows version ${newest}`, {
      why: `a newer server changed it; it can be used by servers that know version ${found.oldest_server} or later`,
      fix: [
        "start the newer version of Tutti again",
        "put $TUTTI_HOME/backups/before-<version>.db in the place of tutti.db, or restore a backup from before the upgrade",
      ],
    });
  }
  return known.filter((migration) => migration.version > (found?.version ?? 0));
}

/** The statements of a migration for one database. */
export const statementsFor = ({ statements }: Migration, dialect: "sqlite" | "postgres"): string[] =>
  statements.flatMap((statement) => (typeof statement === "string" ? statement : (statement[dialect] ?? [])));

/** Brings a SQLite store to the newest schema; the lock is the transaction's own. Throws AppError conflict for a newer store. */
export function migrateSqlite(db: DatabaseSync, { known = migrations, beforeStatement = () => undefined }: MigrateOptions = {}): void {
  let index = 0;
  const step = (): void => beforeStatement(index++);
  const found = (): SchemaRow | null => (db.prepare("select version, oldest_server from schema").get() as SchemaRow | undefined) ?? null;
  db.exec(schemaTable);
  for (const migration of pendingMigrations(found(), known)) {
    const { version, oldestServer } = migration;
    db.exec("begin immediate");
    try {
      for (const text of statementsFor(migration, "sqlite")) {
        step();
        db.exec(text);
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
  { known = migrations, beforeStatement = () => undefined }: MigrateOptions<Promise<void> | void> = {},
): Promise<void> {
  let index = 0;
  const step = (): Promise<void> | void => beforeStatement(index++);
  // Waiting for another server's migration, or migrating many rows, may take as long as it takes.
  await client.query("set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0");
  await client.query("select pg_advisory_lock($1)", [migrationLock]);
  await makeClockFunction(client);
  await client.query(schemaTable);
  const found = (await client.query<SchemaRow>("select version, oldest_server from schema")).rows[0] ?? null;
  for (const migration of pendingMigrations(found, known)) {
    const { version, oldestServer } = migration;
    await client.query("begin");
    for (const text of statementsFor(migration, "postgres")) {
      await step();
      await client.query(text);
    }
    await step();
    await client.query("delete from schema");
    await client.query("insert into schema (version, oldest_server) values ($1, $2)", [version, oldestServer]);
    await step();
    await client.query("commit");
  }
}

async function makeClockFunction(client: ClientBase): Promise<void> {
  const { rowCount } = await client.query("select 1 from pg_proc where proname = 'tutti_now' and pg_function_is_visible(oid)");
  if (rowCount) return;
  await client.query(`create function tutti_now() returns bigint language sql volatile as
    $$ select floor(extract(epoch from clock_timestamp()) * 1000)::bigint $$`);
}

import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Client } from "pg";
import { sqliteMark, postgresMark } from "../db/compare-high-water.ts";
import { type Migration, migratePostgres, migrateSqlite } from "../db/migrate.ts";
import { render, type Sql } from "../db/plan.ts";
import { connectionConfig, fromPostgres } from "../db/postgres-connection.ts";
import type { Value } from "./backup.ts";

/** The empty store into which a backup is brought: one transaction, and before its end there is nothing. */
export interface Target {
  kind: "sqlite" | "postgres";
  /** What it is, for a person. */
  place: string;
  /** Where the server of this home keeps its mark (high-water.ts). */
  mark: string;
  isEmpty(): Promise<boolean>;
  /** Makes the schema of that time and begins. */
  begin(known: readonly Migration[]): Promise<void>;
  insert(table: string, columns: readonly string[], rows: readonly Value[][]): Promise<void>;
  run(statement: Sql): Promise<void>;
  all<Row>(statement: Sql): Promise<Row[]>;
  /** The store is there, whole and on the disk. */
  commit(): Promise<void>;
  /** Harmless after commit. */
  close(): Promise<void>;
}

/** Built beside its place, and renamed. */
export function sqliteTarget(file: string): Target {
  const building = `${file}.restoring`;
  let db: DatabaseSync | null = null;
  const opened = (): DatabaseSync => {
    if (!db) throw new Error("the store to restore into is not open");
    return db;
  };
  const remove = async (): Promise<void> => {
    for (const end of ["", "-journal", "-wal", "-shm"]) await rm(building + end, { force: true });
  };
  return {
    kind: "sqlite",
    place: file,
    mark: sqliteMark(file),
    isEmpty: async () => !existsSync(file),
    async begin(known) {
      await remove();
      // Readable by its owner only, before there is anything in it.
      await (await open(building, "a", 0o600)).close();
      db = new DatabaseSync(building);
      db.exec("pragma synchronous = full");
      db.function("tutti_now", () => Date.now());
      migrateSqlite(db, { known });
      db.exec("begin immediate");
    },
    async insert(table, columns, rows) {
      const insert = opened().prepare(`insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`);
      for (const row of rows) insert.run(...row);
    },
    async run(statement) {
      const { text, values } = render(statement, "sqlite");
      opened()
        .prepare(text)
        .run(...values);
    },
    async all<Row>(statement: Sql) {
      const { text, values } = render(statement, "sqlite");
      return opened()
        .prepare(text)
        .all(...values) as Row[];
    },
    async commit() {
      opened().exec("commit");
      opened().close();
      db = null;
      await rename(building, file);
      const folder = await open(dirname(file), "r");
      await folder.sync();
      await folder.close();
    },
    async close() {
      db?.close();
      db = null;
      await remove();
    },
  };
}

/** PostgreSQL takes at most 65,535 values in a statement. */
const maxValues = 30_000;

export function postgresTarget(home: string, url: string): Target {
  const limits = { statement_timeout: 0, query_timeout: undefined, idle_in_transaction_session_timeout: 0 };
  const client = new Client({ ...connectionConfig(url, "tutti restore"), ...limits });
  // The query that is under way tells of a lost connection.
  client.on("error", () => undefined);
  const connected = client.connect().catch((error: unknown) => {
    throw fromPostgres(error);
  });
  // Whoever asks first hears of it.
  connected.catch(() => undefined);
  const query = async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    await connected;
    return (await client.query(text, [...values])).rows as Row[];
  };
  return {
    kind: "postgres",
    place: "the database of DATABASE_URL",
    mark: postgresMark(home, url),
    async isEmpty() {
      const [there] = await query<{ there: boolean }>("select to_regclass('streams') is not null as there");
      if (!there?.there) return true;
      return (await query("select 1 from streams limit 1")).length === 0;
    },
    async begin(known) {
      await connected;
      await migratePostgres(client, { known });
      await query("begin");
    },
    async insert(table, columns, rows) {
      const atOnce = Math.max(1, Math.floor(maxValues / columns.length));
      for (let from = 0; from < rows.length; from += atOnce) {
        const part = rows.slice(from, from + atOnce);
        const lines = part.map((_, row) => `(${columns.map((__, column) => `$${row * columns.length + column + 1}`).join(", ")})`);
        await query(`insert into ${table} (${columns.join(", ")}) values ${lines.join(", ")}`, part.flat());
      }
    },
    async run(statement) {
      const { text, values } = render(statement, "postgres");
      await query(text, values);
    },
    async all<Row>(statement: Sql) {
      const { text, values } = render(statement, "postgres");
      return await query<Row>(text, values);
    },
    async commit() {
      await query("commit");
    },
    // With the connection goes a transaction that was not committed.
    close: () => client.end(),
  };
}

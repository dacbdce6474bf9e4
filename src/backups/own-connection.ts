import { DatabaseSync } from "node:sqlite";
import { Client } from "pg";
import { onlyRow } from "../db/accept.ts";
import { type Reader, render, type Sql } from "../db/plan.ts";
import { connectionConfig } from "../db/postgres-connection.ts";
import type { Value } from "./backup.ts";

/** Which store, for a thread that opens a connection of its own. */
export type Source = { kind: "sqlite"; file: string } | { kind: "postgres"; url: string };

export interface Rows {
  columns: string[];
  /** Some at a time, in the order asked for. */
  pages: AsyncIterable<Value[][]>;
}

/** A connection that only reads, and sees the store as it was when it was opened until it is closed. */
export interface OwnConnection {
  read: Reader;
  tables(): Promise<string[]>;
  /** All rows of a table; `order` is a list of columns or null for any order. */
  rows(table: string, order: string | null): Promise<Rows>;
  close(): Promise<void>;
}

export const openOwn = (source: Source): Promise<OwnConnection> =>
  source.kind === "sqlite" ? openSqlite(source.file) : openPostgres(source.url);

const rowsAtOnce = 200;
const select = (table: string, order: string | null): string => `select * from ${table}${order ? ` order by ${order}` : ""}`;

/** While its transaction is open no checkpoint gets past it: the log grows by what is written meanwhile, and nobody waits. */
async function openSqlite(file: string): Promise<OwnConnection> {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  db.exec("begin; select 1 from sqlite_schema");
  const all = async <Row>(wanted: Sql): Promise<Row[]> => {
    const { text, values } = render(wanted, "sqlite");
    return db.prepare(text).all(...values) as Row[];
  };
  async function* pagesOf(text: string): AsyncGenerator<Value[][]> {
    const statement = db.prepare(text);
    statement.setReturnArrays(true);
    let page: Value[][] = [];
    for (const row of statement.iterate()) {
      if (page.push(row as unknown as Value[]) < rowsAtOnce) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }
  return {
    read: { all, one: async <Row>(wanted: Sql) => onlyRow(await all<Row>(wanted)) },
    tables: async () =>
      db
        .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite!_%' escape '!' order by name")
        .all()
        .map((row) => String(row["name"])),
    rows: async (table, order) => {
      const text = select(table, order);
      return {
        columns: db
          .prepare(text)
          .columns()
          .map(({ name }) => name),
        pages: pagesOf(text),
      };
    },
    close: async () => db.close(),
  };
}

async function openPostgres(url: string): Promise<OwnConnection> {
  const limits = { statement_timeout: 0, query_timeout: undefined, idle_in_transaction_session_timeout: 0 };
  const client = new Client({ ...connectionConfig(url, "tutti backup"), ...limits });
  // Whoever reads hears of a lost connection by their query.
  client.on("error", () => undefined);
  await client.connect();
  await client.query("begin isolation level repeatable read, read only");
  const all = async <Row>(wanted: Sql): Promise<Row[]> => {
    const { text, values } = render(wanted, "postgres");
    return (await client.query(text, values)).rows as Row[];
  };
  let cursors = 0;
  async function* pagesOf(cursor: string): AsyncGenerator<Value[][]> {
    for (;;) {
      const { rows } = await client.query<Value[]>({ text: `fetch ${rowsAtOnce} from ${cursor}`, rowMode: "array" });
      if (rows.length > 0) yield rows;
      if (rows.length < rowsAtOnce) break;
    }
    await client.query(`close ${cursor}`);
  }
  return {
    read: { all, one: async <Row>(wanted: Sql) => onlyRow(await all<Row>(wanted)) },
    tables: async () => {
      const { rows } = await client.query<{ name: string }>(
        "select table_name as name from information_schema.tables where table_schema = current_schema() and table_type = 'BASE TABLE' order by 1",
      );
      return rows.map(({ name }) => name);
    },
    rows: async (table, order) => {
      const cursor = `tutti_backup_${(cursors += 1)}`;
      const { fields } = await client.query(`${select(table, null)} limit 0`);
      await client.query(`declare ${cursor} no scroll cursor for ${select(table, order)}`);
      return { columns: fields.map(({ name }) => name), pages: pagesOf(cursor) };
    },
    close: () => client.end(),
  };
}

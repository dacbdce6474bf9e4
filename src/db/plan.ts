/**
 * Writes are plans. A command decides what to write (reading as it likes, asynchronously) and returns a Plan; `Db.commit`
 * is the only way to write. One plan is one atomic unit: all of its statements and events, or none. The state rules stand
 * in the `where` of each statement and in `expect`: when a statement touches another number of rows than expected, nothing
 * of the plan is written and the answer is "conflict"; the caller decides again from fresh reads (`transact`).
 *
 * Statements are written once for both databases, in lower case. JSON is text, booleans are 0 and 1, instants are integers
 * (milliseconds since 1970). `tutti_now()` is the database's clock in those units on both.
 */
export type SqlValue = string | number | null | Uint8Array;

/** A piece of text that is written for one database only (`for share`, `skip locked`), with a sentence at its use saying why. */
interface DialectText {
  readonly only: "sqlite" | "postgres";
  readonly text: string;
}

export interface Sql {
  /** Texts and values alternate freely; values are always bound, never spliced. */
  readonly pieces: readonly (string | { readonly value: SqlValue } | DialectText)[];
}

type SqlPart = SqlValue | Sql | DialectText;

const isSql = (part: SqlPart): part is Sql => typeof part === "object" && part !== null && "pieces" in part;
const isDialectText = (part: SqlPart): part is DialectText => typeof part === "object" && part !== null && "only" in part;

/** A statement or a fragment of one; fragments nest: sql`update tasks set ${assignments} where id = ${id}`. */
export function sql(texts: TemplateStringsArray, ...parts: SqlPart[]): Sql {
  const pieces: Sql["pieces"][number][] = [texts[0] ?? ""];
  parts.forEach((part, index) => {
    if (isSql(part)) pieces.push(...part.pieces);
    else if (isDialectText(part)) pieces.push(part);
    else pieces.push({ value: part });
    pieces.push(texts[index + 1] ?? "");
  });
  return { pieces };
}

export const onlyPostgres = (text: string): DialectText => ({ only: "postgres", text });

/** `1, 2, 3` as bound values, for `in (...)` lists; an empty list becomes `null`, which matches nothing. */
export function list(values: readonly SqlValue[]): Sql {
  const pieces: Sql["pieces"][number][] = values.flatMap((value, index) => (index === 0 ? [{ value }] : [", ", { value }]));
  return { pieces: pieces.length > 0 ? pieces : ["null"] };
}

/** Several fragments behind each other with a separator, for optional conditions. */
export function join(fragments: readonly Sql[], separator: string): Sql {
  return { pieces: fragments.flatMap((fragment, index) => (index === 0 ? fragment.pieces : [separator, ...fragment.pieces])) };
}

/** The text and the values as one database wants them: `?` for SQLite, `$1` for PostgreSQL. */
export function render(statement: Sql, dialect: "sqlite" | "postgres"): { text: string; values: SqlValue[] } {
  const values: SqlValue[] = [];
  let text = "";
  for (const piece of statement.pieces) {
    if (typeof piece === "string") text += piece;
    else if ("only" in piece) text += piece.only === dialect ? piece.text : "";
    else {
      values.push(piece.value);
      text += dialect === "sqlite" ? "?" : `$${values.length}`;
    }
  }
  return { text, values };
}

/** One statement, written out where it is used. */
interface SingleStatement {
  sql: Sql;
  /** Rows that must be touched (or returned, for a select that serves as a fence); "any" for no rule. */
  expect: number | "any";
  /** It only reads what leases are made of: asked by many plans of a group, it is answered once for all of them. */
  isFence?: boolean;
}

/** The same named write for any number of rows, each of which must be touched exactly once. */
export interface RowsStatement {
  write: RowWrite;
  rows: SqlValue[][];
}

export type Statement = SingleStatement | RowsStatement;

type ColumnType = "text" | "bigint" | "bytea";

/**
 * A write that is made so often that its rows travel together: on SQLite it runs row by row, on PostgreSQL once for all rows of all
 * plans of a group. So it may only touch the row that its values name, and read no other. Its name is for the simulator and for logs.
 */
export interface RowWrite {
  readonly name: string;
  readonly columns: readonly string[];
  readonly text: { readonly sqlite: string; readonly postgres: string };
}

/** What `defineRows` gives the writer of the text: each column, and where they come from (`from ...` behind `set` or `select`). */
type RowColumns<Columns> = { readonly [Name in keyof Columns]: Sql } & { readonly from: Sql };

type RowValues<Columns> = { readonly [Name in keyof Columns]: SqlValue };

/**
 * Defines a write by its columns and its text, e.g. sql`update tasks set state = ${v.state} ${v.from} where id = ${v.id}` or
 * sql`insert into notes (id) select ${v.id} ${v.from}`. Answers the function that makes a statement of rows.
 */
export function defineRows<const Columns extends Record<string, ColumnType>>(
  name: string,
  columns: Columns,
  build: (values: RowColumns<Columns>) => Sql,
): (...rows: RowValues<Columns>[]) => RowsStatement {
  const names = Object.keys(columns);
  const raw = (text: string): Sql => ({ pieces: [text] });
  const textFor = (dialect: "sqlite" | "postgres"): string => {
    const from =
      dialect === "sqlite"
        ? ""
        : `from unnest(${names.map((column, index) => `$${index + 1}::${columns[column] ?? ""}[]`).join(", ")}) as v(${names.join(", ")})`;
    const values = names.map((column, index) => [column, raw(dialect === "sqlite" ? `?${index + 1}` : `v.${column}`)]);
    const { text, values: bound } = render(build(Object.fromEntries([...values, ["from", raw(from)]]) as RowColumns<Columns>), dialect);
    if (bound.length > 0) throw new Error(`${name} binds a value that is none of its columns`);
    return text;
  };
  const write: RowWrite = { name, columns: names, text: { sqlite: textFor("sqlite"), postgres: textFor("postgres") } };
  return (...rows) => ({ write, rows: rows.map((row) => names.map((column) => row[column] as SqlValue)) });
}

/** An event as its writer knows it; sequence number, time and hash are given at commit. `data` is at most 4 KB as JSON. */
export interface NewEvent {
  /** A project's id, or "instance". Its numbers are dense, ordered and final at commit. */
  stream: string;
  type: string;
  task?: string | null;
  run?: string | null;
  session?: string | null;
  data: Record<string, unknown>;
}

export interface StoredEvent {
  stream: string;
  seq: number;
  type: string;
  at: number;
  task: string | null;
  run: string | null;
  session: string | null;
  data: Record<string, unknown>;
}

export interface Plan {
  statements: Statement[];
  events: NewEvent[];
}

export type Committed = { kind: "committed"; events: StoredEvent[] } | { kind: "conflict"; statement: number };

/** Reads see everything that was committed before they began. */
export interface Reader {
  all<Row>(statement: Sql): Promise<Row[]>;
  /** The only row, or null. More than one row is a bug of the caller. */
  one<Row>(statement: Sql): Promise<Row | null>;
}

export interface Db {
  readonly kind: "sqlite" | "postgres";
  readonly read: Reader;
  /**
   * Writes a plan, whole or not at all. Resolves after COMMIT. "conflict" names the statement whose `expect` did not hold.
   * Rejects with AppError `disk_full`, `busy` (queue full) or `unreachable`; a unique-key violation counts as a conflict.
   */
  commit(plan: Plan): Promise<Committed>;
  /** Called after COMMIT with the events of this server's own plans, and (PostgreSQL) with wake-ups from others: streams only. */
  onCommit(listener: (wake: { streams: string[]; events: StoredEvent[] }) => void): () => void;
  /** The next number of a named counter (T-1, R-1, ...): unique, ascending; after a crash a few may be skipped. */
  nextNumber(counter: string): Promise<number>;
  /** The database's clock, ms. */
  now(): Promise<number>;
  /** Finishes what was accepted, then closes. Harmless twice. */
  close(): Promise<void>;
}

export const statement = (text: Sql, expect: number | "any" = 1): SingleStatement => ({ sql: text, expect });

/** A select that must find its one row for the plan to hold. It may only read what changes of leases write. */
export const fence = (text: Sql): SingleStatement => ({ sql: text, expect: 1, isFence: true });

export const emptyPlan = (): Plan => ({ statements: [], events: [] });

/** Plans one after another in one transaction. */
export function mergePlans(...plans: Plan[]): Plan {
  return { statements: plans.flatMap((plan) => plan.statements), events: plans.flatMap((plan) => plan.events) };
}

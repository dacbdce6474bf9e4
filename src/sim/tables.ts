import { migrations } from "../db/migrate.ts";
import type { SqlValue } from "../db/plan.ts";

/** Tables as maps: the product's own schema, read from its migrations, with an undo log so that a plan is written whole or not at all. */

/** The values by the place of their column. Never changed: an update puts a new row in its place. */
export interface Row extends ReadonlyArray<SqlValue> {
  /** What queries made of it and of rows beside it, while those are the same. */
  kept?: { owner: object; rows: readonly Row[]; made: Row }[];
  isKept?: boolean;
  /** Of a row that a query answers: as its caller sees it. */
  answer?: Record<string, SqlValue>;
}
export type Key = string | number | null;

export interface TableShape {
  name: string;
  columns: string[];
  /** The place of each column. */
  at: ReadonlyMap<string, number>;
  defaults: SqlValue[];
  notNull: boolean[];
  /** Places of the primary key, and of further unique keys. */
  key: number[];
  unique: number[][];
  /** Places of columns by whose value rows are found. */
  indexed: number[];
}

/** Beside the first columns of the product's own indexes and keys: the conditions of its partial indexes. */
const moreIndexes: Record<string, string[]> = { tasks: ["state", "ready"], breakers: ["state"], approvals: ["state"] };

/** Every table of the newest schema, as the migrations make it for PostgreSQL. */
export function readSchema(): TableShape[] {
  const drafts = new Map<string, Draft>();
  for (const { statements } of migrations) {
    for (const statement of statements) {
      const text = typeof statement === "string" ? statement : statement.postgres;
      if (text !== null) applyStatement(drafts, text.replaceAll(/\s+/g, " ").trim());
    }
  }
  return [...drafts.values()].map(shapeOf);
}

interface Draft {
  name: string;
  columns: { name: string; notNull: boolean; default: SqlValue }[];
  key: string[];
  unique: string[][];
  indexed: Set<string>;
}

function applyStatement(drafts: Map<string, Draft>, text: string): void {
  const create = /^create table (\w+) \((.*)\)$/.exec(text);
  if (create) return void drafts.set(create[1] ?? "", draftOf(create[1] ?? "", create[2] ?? ""));
  const add = /^alter table (\w+) add column (.*)$/.exec(text);
  if (add) return addColumn(drafts.get(add[1] ?? ""), add[2] ?? "");
  const drop = /^alter table (\w+) drop column (\w+)$/.exec(text);
  if (drop) {
    const draft = drafts.get(drop[1] ?? "");
    if (draft) draft.columns = draft.columns.filter(({ name }) => name !== drop[2]);
    return;
  }
  const index = /^create (unique )?index \w+ on (\w+) \((\w+)/.exec(text);
  if (!index) return;
  const draft = drafts.get(index[2] ?? "");
  draft?.indexed.add(index[3] ?? "");
  if (index[1] && draft) throw new Error(`the simulator does not know unique indexes yet: ${text}`);
}

function draftOf(name: string, body: string): Draft {
  const draft: Draft = { name, columns: [], key: [], unique: [], indexed: new Set(moreIndexes[name] ?? []) };
  for (const part of body.split(/,(?![^(]*\))/).map((one) => one.trim())) {
    const key = /^primary key \((.*)\)$/.exec(part);
    if (key) draft.key = (key[1] ?? "").split(",").map((one) => one.trim());
    else addColumn(draft, part);
  }
  return draft;
}

function addColumn(draft: Draft | undefined, text: string): void {
  const name = /^\w+/.exec(text)?.[0];
  if (!draft || name === undefined) throw new Error(`the simulator does not know this column: ${text}`);
  const given = /\bdefault ('[^']*'|\S+)/.exec(text)?.[1];
  const value: SqlValue = given === undefined ? null : given.startsWith("'") ? given.slice(1, -1) : Number(given);
  draft.columns.push({ name, notNull: /\bnot null\b|\bprimary key\b/.test(text), default: value });
  if (/\bprimary key\b/.test(text)) draft.key = [name];
  if (/\bunique\b/.test(text)) draft.unique.push([name]);
}

function shapeOf(draft: Draft): TableShape {
  const columns = draft.columns.map(({ name }) => name);
  const at = new Map(columns.map((name, place) => [name, place]));
  const place = (name: string): number => at.get(name) ?? -1;
  const indexed = new Set([...draft.indexed, ...(draft.key.length > 1 ? draft.key.slice(0, 1) : [])]);
  return {
    name: draft.name,
    columns,
    at,
    defaults: draft.columns.map((column) => column.default),
    notNull: draft.columns.map((column) => column.notNull),
    key: draft.key.map(place),
    unique: draft.unique.map((names) => names.map(place)),
    indexed: [...indexed].map(place).filter((one) => one >= 0),
  };
}

export interface Change {
  table: Table;
  before: Row | null;
  after: Row | null;
}

const keyIn = (row: Row, places: readonly number[]): Key => {
  const [first = 0] = places;
  if (places.length === 1) return row[first] as Key;
  let text = "";
  for (const place of places) text += `${String(row[place])}\u0001`;
  return text;
};

const nobody: ReadonlyMap<Key, Row> = new Map();

export class Table {
  readonly shape: TableShape;
  readonly rows = new Map<Key, Row>();
  readonly #unique: Map<Key, Row>[];
  /** By the place of the column: value -> key -> row. */
  readonly #indexes: (Map<SqlValue, Map<Key, Row>> | undefined)[] = [];
  readonly #log: Change[];

  constructor(shape: TableShape, log: Change[]) {
    this.shape = shape;
    this.#log = log;
    this.#unique = shape.unique.map(() => new Map<Key, Row>());
    for (const place of shape.indexed) this.#indexes[place] = new Map();
  }

  keyOf(row: Row): Key {
    return keyIn(row, this.shape.key);
  }

  bucket(place: number, value: SqlValue): ReadonlyMap<Key, Row> {
    return this.#indexes[place]?.get(value) ?? nobody;
  }

  /** The row that stands in the way of a new one, by its primary key or another unique one. */
  takenBy(row: Row): Row | null {
    const same = this.rows.get(this.keyOf(row));
    if (same) return same;
    for (const [index, places] of this.shape.unique.entries()) {
      const other = this.#unique[index]?.get(keyIn(row, places));
      if (other) return other;
    }
    return null;
  }

  change(before: Row | null, after: Row | null): void {
    this.#log.push({ table: this, before, after });
    this.#put(before, after);
  }

  undo({ before, after }: Change): void {
    this.#put(after, before);
  }

  #put(before: Row | null, after: Row | null): void {
    const beforeKey = before && this.keyOf(before);
    const afterKey = after && this.keyOf(after);
    if (before && (!after || beforeKey !== afterKey)) this.rows.delete(beforeKey);
    if (after) this.rows.set(afterKey, after);
    for (const [index, places] of this.shape.unique.entries()) {
      if (before) this.#unique[index]?.delete(keyIn(before, places));
      if (after) this.#unique[index]?.set(keyIn(after, places), after);
    }
    for (const place of this.shape.indexed) this.#move(place, before, after, beforeKey, afterKey);
  }

  #move(place: number, before: Row | null, after: Row | null, beforeKey: Key, afterKey: Key): void {
    const index = this.#indexes[place];
    if (!index) return;
    if (before && (!after || before[place] !== after[place] || beforeKey !== afterKey)) index.get(before[place] ?? null)?.delete(beforeKey);
    if (!after) return;
    const value = after[place] ?? null;
    let bucket = index.get(value);
    if (!bucket) index.set(value, (bucket = new Map()));
    bucket.set(afterKey, after);
  }
}

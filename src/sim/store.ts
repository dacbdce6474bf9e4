import type { RowWrite, Plan, Reader, Sql, SqlValue, Statement, StoredEvent } from "../db/plan.ts";
import { render } from "../db/plan.ts";
import { compileSql, type Compiled, type Room } from "./compile-sql.ts";
import { readSchema, Table, type Change, type TableShape } from "./tables.ts";

/**
 * One store of the simulator: the product's tables in maps. A plan is written whole or not at all, between two steps of the
 * simulation; its events get dense numbers; what `expect` says is held as both databases hold it.
 */
export interface SimStore {
  /** Runs a select for somebody whose `tutti_now()` is `now`. */
  all(statement: Sql, now: number): Record<string, SqlValue>[];
  /** Writes a plan. Throws what no database could do. */
  commit(plan: Plan, now: number): SimCommitted;
  nextNumber(counter: string): number;
  table(name: string): Table;
  readonly events: StoredEvent[];
}

export type SimCommitted =
  | { kind: "committed"; events: StoredEvent[]; changes: readonly Change[] }
  | { kind: "conflict"; statement: number };

/** Changes that a planted bug makes to the product: all of it stays as it is but one thing. */
export interface Bug {
  /** Another text for a statement of the product. */
  sql?(text: string): string;
  plan?(plan: Plan): Plan;
  /** A plan that is in conflict uses its events' numbers up. */
  losesNumbers?: boolean;
}

export interface Engine {
  shapes: readonly TableShape[];
  compiled(statement: Sql): { run: Compiled; values: SqlValue[] };
  compiledWrite(write: RowWrite): Compiled;
  readonly bug: Bug;
}

interface Leaf {
  next: Map<string, Leaf>;
  value: Leaf | null;
  run: Compiled | null;
}

const leaf = (): Leaf => ({ next: new Map(), value: null, run: null });

/** Compiles each statement once, for all stores that are made with it. Statements are known by the pieces that they are made of. */
export function makeEngine(bug: Bug = {}): Engine {
  const shapes = readSchema();
  const texts = new Map<string, Compiled>();
  const root = leaf();
  const writes = new Map<RowWrite, Compiled>();
  const compile = (text: string): Compiled => {
    const changed = bug.sql ? bug.sql(text) : text;
    let run = texts.get(changed);
    if (!run) texts.set(changed, (run = compileSql(changed, shapes)));
    return run;
  };
  return {
    shapes,
    bug,
    compiled(statement) {
      const values: SqlValue[] = [];
      let at = root;
      for (const piece of statement.pieces) {
        if (typeof piece === "string") {
          if (piece === "") continue;
          let next = at.next.get(piece);
          if (!next) at.next.set(piece, (next = leaf()));
          at = next;
        } else if ("value" in piece) {
          values.push(piece.value);
          at = at.value ??= leaf();
        }
      }
      at.run ??= compile(render(statement, "sqlite").text);
      return { run: at.run, values };
    },
    compiledWrite(write) {
      let run = writes.get(write);
      if (!run) writes.set(write, (run = compile(write.text.sqlite)));
      return run;
    },
  };
}

export function makeStore(engine: Engine): SimStore {
  const log: Change[] = [];
  const tables = engine.shapes.map((shape) => new Table(shape, log));
  const byName = new Map(tables.map((table) => [table.shape.name, table]));
  const room: Room = { tables, parameters: [], now: 0, rows: [], aggregates: [], derived: [] };
  const counters = new Map<string, number>();
  const heads = new Map<string, number>();
  const events: StoredEvent[] = [];

  /** Rows touched or returned; -1 for a key that is taken. */
  function count(run: Compiled, parameters: readonly SqlValue[]): number {
    room.parameters = parameters;
    return run.kind === "query" ? run.count(room) : run.run(room);
  }

  function holds(statement: Statement): boolean {
    if ("write" in statement) {
      const run = engine.compiledWrite(statement.write);
      for (const row of statement.rows) if (count(run, row) !== 1) return false;
      return true;
    }
    const { run, values } = engine.compiled(statement.sql);
    const touched = count(run, values);
    return touched >= 0 && (statement.expect === "any" || touched === statement.expect);
  }

  function undo(): void {
    for (const change of log.splice(0).toReversed()) change.table.undo(change);
  }

  function number(plan: Plan, now: number): StoredEvent[] {
    return plan.events.map((event) => {
      const seq = (heads.get(event.stream) ?? 0) + 1;
      heads.set(event.stream, seq);
      const { stream, type, task = null, run = null, session = null, data } = event;
      return { stream, seq, type, at: now, task, run, session, data };
    });
  }

  return {
    events,
    table(name) {
      const table = byName.get(name);
      if (!table) throw new Error(`there is no table ${name}`);
      return table;
    },
    all(statement, now) {
      const { run, values } = engine.compiled(statement);
      if (run.kind !== "query") throw new Error("only selects can be read");
      room.now = now;
      room.parameters = values;
      return run.all(room);
    },
    commit(given, now) {
      const plan = engine.bug.plan ? engine.bug.plan(given) : given;
      room.now = now;
      try {
        for (const [index, statement] of plan.statements.entries()) {
          if (holds(statement)) continue;
          undo();
          if (engine.bug.losesNumbers) number(plan, now);
          return { kind: "conflict", statement: index };
        }
      } catch (error) {
        undo();
        throw error;
      }
      const stored = number(plan, now);
      for (const event of stored) events.push(event);
      return { kind: "committed", events: stored, changes: log.splice(0) };
    },
    nextNumber(counter) {
      const next = (counters.get(counter) ?? 0) + 1;
      counters.set(counter, next);
      return next;
    },
  };
}

/** A reader that answers at once. */
export const readerOf = (all: (statement: Sql) => Record<string, SqlValue>[]): Reader => ({
  async all<Row>(statement: Sql) {
    return all(statement) as Row[];
  },
  async one<Row>(statement: Sql) {
    const rows = all(statement);
    if (rows.length > 1) throw new Error(`a query for one row returned ${rows.length}`);
    return (rows[0] ?? null) as Row | null;
  },
});

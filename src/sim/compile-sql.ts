import type { SqlValue } from "../db/plan.ts";
import { conjunctsOf, parseSql, type Assignment, type Expression, type Query, type Select, type Source } from "./parse-sql.ts";
import type { Row, Table, TableShape } from "./tables.ts";

/**
 * Makes functions over maps out of the product's SQL, so that the simulator holds the very conditions that stand in its statements,
 * not a second telling of them. Closures, made once for each text; tables are named by their place, so they serve every run.
 */

/** What a statement runs on: one for each store, used by one statement at a time. */
export interface Room {
  tables: readonly Table[];
  parameters: readonly SqlValue[];
  /** `tutti_now()` */
  now: number;
  /** The row of each source that is bound at the moment. */
  rows: Row[];
  /** The aggregates of the group that is being answered. */
  aggregates: SqlValue[];
  /** Rows of common table expressions and of queries in `from`, by their own number. */
  derived: (readonly Row[])[];
}

type Value = SqlValue | boolean;
type Evaluate = (room: Room) => Value;
type Answer = Record<string, SqlValue>;

export interface CompiledQuery {
  kind: "query";
  all(room: Room): Answer[];
  count(room: Room): number;
}
export interface CompiledWrite {
  kind: "write";
  /** Rows touched, or -1 for a key that is taken. */
  run(room: Room): number;
}
export type Compiled = CompiledQuery | CompiledWrite;

interface Bound {
  alias: string;
  slot: number;
  columns: ReadonlyMap<string, number>;
  shape: TableShape | null;
  /** Its number among tables, or among what is derived. */
  place: number;
}

interface Derived {
  place: number;
  columns: ReadonlyMap<string, number>;
}

interface Scope {
  bound: Bound[];
  derived: Map<string, Derived>;
  above: Scope | null;
  aggregates: { kind: string; of: Evaluate | null }[] | null;
}

const isTrue = (value: Value): boolean => value === true || (typeof value === "number" && value !== 0);
const plain = (value: Value): SqlValue => (value === true ? 1 : value === false ? 0 : value);
const aggregateNames = new Set(["count", "min", "max", "sum"]);

function compare(a: SqlValue, b: SqlValue): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

export function compileSql(text: string, shapes: readonly TableShape[]): Compiled {
  const compiler = new Compiler(text, shapes);
  const statement = parseSql(text);
  switch (statement.kind) {
    case "query":
      return compiler.answers(statement.query);
    case "insert":
      return compiler.insert(statement);
    case "update":
      return compiler.update(statement.table, statement.set, statement.where);
    case "delete":
      return compiler.remove(statement.table, statement.where);
  }
}

class Compiler {
  readonly #text: string;
  readonly #shapes: readonly TableShape[];
  #slots = 0;
  #derived = 0;

  constructor(text: string, shapes: readonly TableShape[]) {
    this.#text = text;
    this.#shapes = shapes;
  }

  #fail(why: string): never {
    throw new Error(`the simulator cannot run this SQL (${why}): ${this.#text}`);
  }

  #scope(above: Scope | null): Scope {
    return { bound: [], derived: new Map(), above, aggregates: null };
  }

  #bindTable(scope: Scope, name: string, alias = name): Bound & { shape: TableShape } {
    const place = this.#shapes.findIndex((shape) => shape.name === name);
    const shape = this.#shapes[place] ?? this.#fail(`no table ${name}`);
    const bound = { alias, slot: this.#slots++, columns: shape.at, shape, place };
    scope.bound.push(bound);
    return bound;
  }

  // ---- expressions

  #column(scope: Scope, table: string | null, name: string): { slot: number; at: number } {
    for (let level: Scope | null = scope; level; level = level.above) {
      for (const { alias, slot, columns } of level.bound) {
        const at = table === null || table === alias ? columns.get(name) : undefined;
        if (at !== undefined) return { slot, at };
      }
    }
    return this.#fail(`no column ${table === null ? "" : `${table}.`}${name}`);
  }

  #expression(scope: Scope, expression: Expression): Evaluate {
    switch (expression.kind) {
      case "value": {
        const { value } = expression;
        return () => value;
      }
      case "parameter": {
        const { index } = expression;
        return ({ parameters }) => parameters[index] ?? null;
      }
      case "column": {
        const { slot, at } = this.#column(scope, expression.table, expression.name);
        return ({ rows }) => (rows[slot] as Row)[at] ?? null;
      }
      case "binary":
        return this.#binary(scope, expression);
      case "not": {
        const of = this.#expression(scope, expression.of);
        return (room) => {
          const value = of(room);
          return value === null ? null : !isTrue(value);
        };
      }
      case "is null": {
        const of = this.#expression(scope, expression.of);
        return expression.not ? (room) => of(room) !== null : (room) => of(room) === null;
      }
      case "in":
        return this.#inList(scope, expression);
      case "in query": {
        const of = this.#expression(scope, expression.of);
        const rows = this.#query(expression.query, scope).rows;
        const { not } = expression;
        return (room) => {
          const value = of(room);
          const found = rows(room).some((row) => row[0] === value);
          return value === null ? null : found !== not;
        };
      }
      case "case": {
        const branches = expression.branches.map(({ when, value }) => ({
          when: this.#expression(scope, when),
          value: this.#expression(scope, value),
        }));
        const otherwise = expression.otherwise && this.#expression(scope, expression.otherwise);
        return (room) => {
          for (const branch of branches) if (isTrue(branch.when(room))) return branch.value(room);
          return otherwise ? otherwise(room) : null;
        };
      }
      case "call":
        return this.#call(scope, expression);
      case "exists": {
        const rows = this.#query(expression.query, scope, true).rows;
        return (room) => rows(room).length > 0;
      }
      case "scalar": {
        const rows = this.#query(expression.query, scope).rows;
        return (room) => rows(room)[0]?.[0] ?? null;
      }
    }
  }

  #inList(scope: Scope, { of, list, not }: Expression & { kind: "in" }): Evaluate {
    const value = this.#expression(scope, of);
    if (list.every((item) => item.kind === "value")) {
      const wanted = list.map((item) => item.value);
      return (room) => {
        const found = value(room);
        return found === null ? null : wanted.includes(found as SqlValue & (string | number | null)) !== not;
      };
    }
    const items = list.map((item) => this.#expression(scope, item));
    return (room) => {
      const found = value(room);
      return found === null ? null : items.some((item) => item(room) === found) !== not;
    };
  }

  #binary(scope: Scope, { operator, left, right }: Expression & { kind: "binary" }): Evaluate {
    if (operator === "=" && left.kind === "column" && right.kind === "parameter") {
      // The most frequent condition of all.
      const { slot, at } = this.#column(scope, left.table, left.name);
      const { index } = right;
      return ({ rows, parameters }) => {
        const one = (rows[slot] as Row)[at] ?? null;
        const other = parameters[index] ?? null;
        return one === null || other === null ? null : one === other;
      };
    }
    const a = this.#expression(scope, left);
    const b = this.#expression(scope, right);
    switch (operator) {
      case "and":
        return (room) => {
          const one = a(room);
          if (one !== null && !isTrue(one)) return false;
          const other = b(room);
          if (other !== null && !isTrue(other)) return false;
          return one === null || other === null ? null : true;
        };
      case "or":
        return (room) => {
          const one = a(room);
          if (one !== null && isTrue(one)) return true;
          const other = b(room);
          if (other !== null && isTrue(other)) return true;
          return one === null || other === null ? null : false;
        };
      case "=":
        return (room) => {
          const one = a(room);
          const other = b(room);
          return one === null || other === null ? null : one === other;
        };
      case "<>":
      case "!=":
        return (room) => {
          const one = a(room);
          const other = b(room);
          return one === null || other === null ? null : one !== other;
        };
      case "<":
        return compared(a, b, (one, other) => one < other);
      case "<=":
        return compared(a, b, (one, other) => one <= other);
      case ">":
        return compared(a, b, (one, other) => one > other);
      case ">=":
        return compared(a, b, (one, other) => one >= other);
      case "+":
        return counted(a, b, (one, other) => one + other);
      case "-":
        return counted(a, b, (one, other) => one - other);
      case "*":
        return counted(a, b, (one, other) => one * other);
      case "/":
        return counted(a, b, (one, other) => Math.trunc(one / other));
      case "%":
        return counted(a, b, (one, other) => one % other);
      case "||":
        return (room) => {
          const one = a(room);
          const other = b(room);
          return one === null || other === null ? null : `${String(one)}${String(other)}`;
        };
      default:
        return this.#fail(`operator ${operator}`);
    }
  }

  #call(scope: Scope, { name, args, star }: Expression & { kind: "call" }): Evaluate {
    if (name === "tutti_now") return ({ now }) => now;
    if (aggregateNames.has(name) && (star || args.length === 1)) {
      const { aggregates } = scope;
      if (!aggregates) return this.#fail(`${name} outside of a select's columns`);
      const index = aggregates.length;
      const [arg] = args;
      // What is counted is looked at row by row, before there are groups.
      aggregates.push({ kind: name, of: arg ? this.#expression({ ...scope, aggregates: null }, arg) : null });
      return (room) => room.aggregates[index] ?? null;
    }
    const given = args.map((arg) => this.#expression(scope, arg));
    if (name === "coalesce") {
      return (room) => {
        for (const one of given) {
          const value = one(room);
          if (value !== null) return value;
        }
        return null;
      };
    }
    const [first = () => null] = given;
    if (name === "lower") return (room) => String(first(room)).toLowerCase();
    if (name === "length") return (room) => String(first(room)).length;
    if (name === "substr") {
      const [, from = () => 1, length = () => Infinity] = given;
      return (room) => {
        const value = first(room);
        const begin = Number(from(room)) - 1;
        return value === null ? null : String(value).slice(begin, begin + Number(length(room)));
      };
    }
    return this.#fail(`function ${name}`);
  }

  // ---- queries

  answers(query: Query): CompiledQuery {
    const { rows, columns } = this.#query(query, null);
    const shape: Answer = Object.fromEntries(columns.map((name) => [name, null]));
    const answerOf = (row: Row): Answer => {
      const answer = { ...shape };
      for (let at = 0; at < columns.length; at += 1) answer[columns[at] as string] = row[at] as SqlValue;
      return answer;
    };
    // A row of nothing but stored values is made into its answer once, however often it is read. Everybody gets a copy.
    return {
      kind: "query",
      all: (room) => rows(room).map((row) => (row.isKept ? { ...(row.answer ??= answerOf(row)) } : answerOf(row))),
      count: (room) => rows(room).length,
    };
  }

  /** `oneIsEnough`: only whether there is a row is asked. */
  #query(query: Query, above: Scope | null, oneIsEnough = false): { rows: (room: Room) => Row[]; columns: string[] } {
    const scope = this.#scope(above);
    const before = query.with.map((cte) => this.#common(scope, cte));
    const [first] = query.selects;
    if (!first) return this.#fail("no select");
    const columns = first.columns.map(({ name }) => name);
    const isSingle = query.selects.length === 1;
    const limit = query.limit && this.#expression(this.#scope(null), query.limit);
    const stopsAt = isSingle && query.order.length === 0 && !first.distinct;
    const parts = query.selects.map((select) => this.#select(select, scope, isSingle ? query.order : []));
    const byOutput = isSingle
      ? []
      : query.order.map(({ by, descending }) => {
          const at = by.kind === "column" ? columns.indexOf(by.name) : -1;
          return at < 0 ? this.#fail("a union is ordered by its columns") : { at, descending };
        });
    const width = columns.length;
    const rows = (room: Room): Row[] => {
      for (const prepare of before) prepare(room);
      const most = oneIsEnough ? 1 : limit ? Number(limit(room)) : Infinity;
      let all: Row[] = [];
      for (const part of parts) part(room, all, stopsAt ? most : Infinity);
      if ((!isSingle && !query.unionAll) || first.distinct) all = withoutDoubles(all, width);
      if (isSingle && query.order.length > 0) {
        all.sort((a, b) => {
          for (const [index, { descending }] of query.order.entries()) {
            const order = compare(a[width + index] ?? null, b[width + index] ?? null);
            if (order !== 0) return descending ? -order : order;
          }
          return 0;
        });
      } else if (byOutput.length > 0) {
        all.sort((a, b) => {
          for (const { at, descending } of byOutput) {
            const order = compare(a[at] ?? null, b[at] ?? null);
            if (order !== 0) return descending ? -order : order;
          }
          return 0;
        });
      }
      return all.length > most ? all.slice(0, most) : all;
    };
    return { rows, columns };
  }

  #common(scope: Scope, { name, columns, query }: Query["with"][number]): (room: Room) => void {
    const place = this.#derived++;
    const names = columns.length > 0 ? columns : (query.selects[0]?.columns.map((column) => column.name) ?? []);
    const derived = { place, columns: new Map(names.map((column, at) => [column, at])) };
    const [base, ...steps] = query.selects;
    const isRecursive = steps.some((step) => step.from.some(({ of }) => of === name));
    if (!isRecursive || !base) {
      const { rows } = this.#query(query, scope);
      scope.derived.set(name, derived);
      return (room) => void (room.derived[place] = rows(room));
    }
    const begin = this.#query({ ...query, selects: [base] }, scope).rows;
    scope.derived.set(name, derived);
    const goOn = steps.map((step) => this.#query({ ...query, with: [], selects: [step] }, scope).rows);
    return (room) => {
      let fresh = begin(room);
      const all = [...fresh];
      while (fresh.length > 0) {
        room.derived[place] = fresh;
        fresh = goOn.flatMap((step) => step(room));
        all.push(...fresh);
      }
      room.derived[place] = all;
    };
  }

  /** Puts the select's rows behind `into`: its columns, and behind them what they are ordered by. */
  #select(select: Select, above: Scope, order: Query["order"]): (room: Room, into: Row[], most: number) => void {
    const scope = this.#scope(above);
    scope.aggregates = [];
    const prepare: ((room: Room) => void)[] = [];
    const sources = select.from.map((source) => ({ source, bound: this.#bind(scope, source, prepare) }));
    const visit = this.#join(scope, sources, select.where);
    const outputs = select.columns.map(({ expression }) => this.#expression(scope, expression));
    const group = select.group.map((by) => this.#expression({ ...scope, aggregates: null }, by));
    for (const { by } of order) {
      const output = by.kind === "column" && by.table === null ? select.columns.findIndex(({ name }) => name === by.name) : -1;
      const known = output >= 0 ? outputs[output] : undefined;
      outputs.push(known ?? this.#expression(scope, by));
    }
    const compute = (room: Room): Row => {
      const row: SqlValue[] = [];
      for (const output of outputs) row.push(plain(output(room)));
      return row;
    };
    const { aggregates } = scope;
    const slots = scope.bound.map(({ slot }) => slot);
    const isStored = [...select.columns.map(({ expression }) => expression), ...order.map(({ by }) => by)].every(
      ({ kind }) => kind === "column",
    );
    const make = isStored ? kept(slots, compute) : compute;
    if (aggregates.length === 0 && group.length === 0) {
      return (room, into, most) => {
        for (const one of prepare) one(room);
        visit(room, () => into.push(make(room)) < most);
      };
    }
    const begun = (): SqlValue[] => aggregates.map(({ kind }) => (kind === "count" ? 0 : null));
    const add = (room: Room, values: SqlValue[]): true => {
      for (let index = 0; index < aggregates.length; index += 1) {
        const { kind, of } = aggregates[index] as (typeof aggregates)[number];
        values[index] = added(kind, values[index] ?? null, of ? plain(of(room)) : 1);
      }
      return true;
    };
    const finish = (room: Room, values: SqlValue[]): Row => {
      const outer = room.aggregates;
      room.aggregates = values;
      const row = compute(room);
      room.aggregates = outer;
      return row;
    };
    if (group.length === 0) {
      return (room, into) => {
        for (const one of prepare) one(room);
        const values = begun();
        visit(room, () => add(room, values));
        into.push(finish(room, values));
      };
    }
    return (room, into) => {
      for (const one of prepare) one(room);
      const groups = new Map<string, { rows: Row[]; values: SqlValue[] }>();
      visit(room, () => {
        let key = "";
        for (const by of group) key += `${String(by(room))}\u0001`;
        let one = groups.get(key);
        if (!one) groups.set(key, (one = { rows: slots.map((slot) => room.rows[slot] as Row), values: begun() }));
        return add(room, one.values);
      });
      for (const { rows, values } of groups.values()) {
        slots.forEach((slot, at) => (room.rows[slot] = rows[at] ?? []));
        into.push(finish(room, values));
      }
    };
  }

  #bind(scope: Scope, { of, alias }: Source, prepare: ((room: Room) => void)[]): Bound {
    if (typeof of !== "string") {
      const { rows, columns } = this.#query(of, scope.above);
      const place = this.#derived++;
      prepare.push((room) => void (room.derived[place] = rows(room)));
      const bound = { alias, slot: this.#slots++, columns: new Map(columns.map((name, at) => [name, at])), shape: null, place };
      scope.bound.push(bound);
      return bound;
    }
    for (let level: Scope | null = scope; level; level = level.above) {
      const derived = level.derived.get(of);
      if (!derived) continue;
      const bound = { alias, slot: this.#slots++, columns: derived.columns, shape: null, place: derived.place };
      scope.bound.push(bound);
      return bound;
    }
    return this.#bindTable(scope, of, alias);
  }

  /** Calls `found` for each row of the joined sources for which the conditions hold, until it answers false. */
  #join(
    scope: Scope,
    sources: { source: Source; bound: Bound }[],
    where: Expression | null,
  ): (room: Room, found: () => boolean) => boolean {
    const conditions = [
      ...sources.flatMap(({ source }) => (source.join === "left" ? [] : conjunctsOf(source.on))),
      ...conjunctsOf(where),
    ].map((expression) => ({ expression, needs: this.#lastSource(scope, sources, expression) }));
    let visit: (room: Room, found: () => boolean) => boolean = (_room, found) => found();
    const always = conditions.filter(({ needs }) => needs < 0).map(({ expression }) => this.#expression(scope, expression));
    for (let index = sources.length - 1; index >= 0; index -= 1) {
      const { source, bound } = sources[index] as (typeof sources)[number];
      const own = conditions.filter(({ needs }) => needs === index).map(({ expression }) => expression);
      const isLeft = source.join === "left";
      const usable = isLeft ? conjunctsOf(source.on) : own;
      const path = this.#path(
        scope,
        bound,
        usable,
        sources.slice(index).map((one) => one.bound.slot),
      );
      const filters = path.left.map((expression) => this.#expression(scope, expression));
      const after = isLeft ? own.map((expression) => this.#expression(scope, expression)) : [];
      const { slot } = bound;
      const deeper = visit;
      const none: Row = Array.from({ length: bound.columns.size }, () => null);
      visit = (room, found) => {
        let isFound = false;
        rows: for (const row of path.rows(room)) {
          room.rows[slot] = row;
          for (const filter of filters) if (!isTrue(filter(room))) continue rows;
          isFound = true;
          for (const filter of after) if (!isTrue(filter(room))) continue rows;
          if (!deeper(room, found)) return false;
        }
        if (!isLeft || isFound) return true;
        room.rows[slot] = none;
        for (const filter of after) if (!isTrue(filter(room))) return true;
        return deeper(room, found);
      };
    }
    if (always.length === 0) return visit;
    return (room, found) => (always.every((condition) => isTrue(condition(room))) ? visit(room, found) : true);
  }

  /** The last of the sources whose row a condition looks at; -1: none of them. */
  #lastSource(scope: Scope, sources: { bound: Bound }[], expression: Expression): number {
    const slots = this.#slotsOf(scope, expression);
    if (slots === "unknown") return sources.length - 1;
    return Math.max(-1, ...[...slots].map((slot) => sources.findIndex(({ bound }) => bound.slot === slot)));
  }

  /** The slots of an expression; "unknown" when it has a query inside. */
  #slotsOf(scope: Scope, expression: Expression): Set<number> | "unknown" {
    const slots = new Set<number>();
    let unknown = false;
    const walk = (one: Expression): void => {
      switch (one.kind) {
        case "column":
          slots.add(this.#column(scope, one.table, one.name).slot);
          return;
        case "binary":
          walk(one.left);
          walk(one.right);
          return;
        case "not":
        case "is null":
          walk(one.of);
          return;
        case "in":
          walk(one.of);
          one.list.forEach(walk);
          return;
        case "case":
          for (const { when, value } of one.branches) {
            walk(when);
            walk(value);
          }
          if (one.otherwise) walk(one.otherwise);
          return;
        case "call":
          one.args.forEach(walk);
          return;
        case "exists":
        case "scalar":
        case "in query":
          unknown = true;
          return;
        case "value":
        case "parameter":
          return;
      }
    };
    walk(expression);
    return unknown ? "unknown" : slots;
  }

  /** How the rows of a source are found: by its key, by a column that is indexed, or all of them; and the conditions that are left. */
  #path(
    scope: Scope,
    { shape, slot, place }: Bound,
    conditions: Expression[],
    later: readonly number[],
  ): { rows: (room: Room) => Iterable<Row>; left: Expression[] } {
    if (!shape) return { rows: ({ derived }) => derived[place] ?? [], left: conditions };
    const isGiven = (expression: Expression): boolean => {
      const slots = this.#slotsOf(scope, expression);
      return slots !== "unknown" && later.every((one) => !slots.has(one));
    };
    const ownColumn = (expression: Expression): number | null => {
      if (expression.kind !== "column") return null;
      const found = this.#column(scope, expression.table, expression.name);
      return found.slot === slot ? found.at : null;
    };
    const equals = new Map<number, { condition: Expression; value: Evaluate }>();
    const lists = new Map<number, { condition: Expression; values: Evaluate[] }>();
    for (const condition of conditions) {
      if (condition.kind === "binary" && condition.operator === "=") {
        for (const [one, other] of [
          [condition.left, condition.right],
          [condition.right, condition.left],
        ] as const) {
          const at = ownColumn(one);
          if (at !== null && !equals.has(at) && isGiven(other)) equals.set(at, { condition, value: this.#expression(scope, other) });
        }
      } else if (condition.kind === "in" && !condition.not) {
        const at = ownColumn(condition.of);
        if (at !== null && !lists.has(at) && condition.list.every(isGiven))
          lists.set(at, { condition, values: condition.list.map((item) => this.#expression(scope, item)) });
      }
    }
    const without = (...used: Expression[]): Expression[] => conditions.filter((condition) => !used.includes(condition));
    const key = shape.key.map((at) => equals.get(at));
    if (key.length > 0 && key.every((part) => part !== undefined)) {
      const values = key.map(({ value }) => value);
      const [only = () => null] = values;
      const find =
        values.length === 1
          ? (room: Room) => (room.tables[place] as Table).rows.get(plain(only(room)) as Key)
          : (room: Room) => {
              let text = "";
              for (const value of values) text += `${String(value(room))}\u0001`;
              return (room.tables[place] as Table).rows.get(text);
            };
      return {
        rows: (room): readonly Row[] => {
          const row = find(room);
          return row ? [row] : none;
        },
        left: without(...key.map(({ condition }) => condition)),
      };
    }
    const [onlyKey] = shape.key;
    const keys = shape.key.length === 1 && onlyKey !== undefined ? lists.get(onlyKey) : undefined;
    if (keys) {
      return {
        rows: (room) => {
          const { rows } = room.tables[place] as Table;
          const found: Row[] = [];
          for (const one of new Set(keys.values.map((value) => plain(value(room)) as Key))) {
            const row = rows.get(one);
            if (row) found.push(row);
          }
          return found;
        },
        left: without(keys.condition),
      };
    }
    const at = shape.indexed.find((one) => equals.has(one));
    const equal = at === undefined ? undefined : equals.get(at);
    if (at !== undefined && equal) {
      return {
        rows: (room): Iterable<Row> => {
          const value = plain(equal.value(room));
          return value === null ? none : (room.tables[place] as Table).bucket(at, value).values();
        },
        left: without(equal.condition),
      };
    }
    const listed = shape.indexed.find((one) => lists.has(one));
    const some = listed === undefined ? undefined : lists.get(listed);
    if (listed !== undefined && some) {
      return {
        rows: (room) => {
          const table = room.tables[place] as Table;
          const wanted = new Set(some.values.map((value) => plain(value(room))));
          const rows: Row[] = [];
          for (const value of wanted) if (value !== null) rows.push(...table.bucket(listed, value).values());
          return rows;
        },
        left: without(some.condition),
      };
    }
    return { rows: (room) => (room.tables[place] as Table).rows.values(), left: conditions };
  }

  // ---- writes

  insert(statement: Extract<ReturnType<typeof parseSql>, { kind: "insert" }>): CompiledWrite {
    const scope = this.#scope(null);
    const bound = this.#bindTable(scope, statement.table);
    const { shape, place, slot } = bound;
    const columns = statement.columns.map((name) => shape.at.get(name) ?? this.#fail(`no column ${name}`));
    const { rows } = this.#query(statement.query, null);
    const { conflict } = statement;
    const excluded: Bound = { ...bound, alias: "excluded", slot: this.#slots++ };
    const both: Scope = { ...scope, bound: [bound, excluded] };
    const change = conflict?.set ? this.#assign(both, shape, conflict.set) : null;
    const condition = conflict?.where ? this.#expression(both, conflict.where) : null;
    const filled = (given: Row): Row => {
      const row = [...shape.defaults];
      columns.forEach((at, index) => (row[at] = given[index] ?? null));
      return this.#checked(shape, row);
    };
    return {
      kind: "write",
      run: (room) => {
        const table = room.tables[place] as Table;
        let count = 0;
        for (const given of rows(room)) {
          const row = filled(given);
          const taken = table.takenBy(row);
          if (!taken) {
            table.change(null, row);
            count += 1;
            continue;
          }
          if (!conflict) return -1;
          if (!change) continue;
          room.rows[slot] = taken;
          room.rows[excluded.slot] = row;
          if (condition && !isTrue(condition(room))) continue;
          table.change(taken, change(room, taken));
          count += 1;
        }
        return count;
      },
    };
  }

  update(name: string, set: Assignment[], where: Expression | null): CompiledWrite {
    const scope = this.#scope(null);
    const bound = this.#bindTable(scope, name);
    const find = this.#join(scope, [{ source: { of: name, alias: name, join: "first", on: null }, bound }], where);
    const change = this.#assign(scope, bound.shape, set);
    const { slot, place } = bound;
    return {
      kind: "write",
      run: (room) => {
        const found: Row[] = [];
        find(room, () => found.push(room.rows[slot] as Row) > 0);
        const table = room.tables[place] as Table;
        for (const row of found) {
          room.rows[slot] = row;
          table.change(row, change(room, row));
        }
        return found.length;
      },
    };
  }

  remove(name: string, where: Expression | null): CompiledWrite {
    const scope = this.#scope(null);
    const bound = this.#bindTable(scope, name);
    const find = this.#join(scope, [{ source: { of: name, alias: name, join: "first", on: null }, bound }], where);
    const { slot, place } = bound;
    return {
      kind: "write",
      run: (room) => {
        const found: Row[] = [];
        find(room, () => found.push(room.rows[slot] as Row) > 0);
        for (const row of found) (room.tables[place] as Table).change(row, null);
        return found.length;
      },
    };
  }

  #assign(scope: Scope, shape: TableShape, set: Assignment[]): (room: Room, row: Row) => Row {
    const parts = set.map(({ column, to }) => ({
      at: shape.at.get(column) ?? this.#fail(`no column ${column}`),
      value: this.#expression(scope, to),
    }));
    return (room, before) => {
      const row = [...before];
      for (const { at, value } of parts) row[at] = plain(value(room));
      return this.#checked(shape, row);
    };
  }

  #checked(shape: TableShape, row: SqlValue[]): Row {
    for (let at = 0; at < row.length; at += 1) {
      if (row[at] === null && shape.notNull[at]) return this.#fail(`${shape.name}.${shape.columns[at]} must not be null`);
    }
    return row;
  }
}

type Key = string | number | null;
const none: readonly Row[] = [];

/** What is made of stored rows alone is kept beside the first of them, for as long as none of them changes. */
function kept(slots: readonly number[], compute: (room: Room) => Row): (room: Room) => Row {
  const [first] = slots;
  const owner = {};
  if (first === undefined) return compute;
  return (room) => {
    const row = room.rows[first] as Row;
    const before = row.kept?.find((one) => one.owner === owner);
    if (before && before.rows.every((one, index) => one === room.rows[slots[index] as number])) return before.made;
    const made = compute(room);
    made.isKept = true;
    const now = { owner, rows: slots.map((slot) => room.rows[slot] as Row), made };
    if (before) Object.assign(before, now);
    else (row.kept ??= []).push(now);
    return made;
  };
}

function compared(a: Evaluate, b: Evaluate, holds: (one: string | number, other: string | number) => boolean): Evaluate {
  return (room) => {
    const one = a(room);
    const other = b(room);
    return one === null || other === null ? null : holds(one as string | number, other as string | number);
  };
}

function counted(a: Evaluate, b: Evaluate, count: (one: number, other: number) => number): Evaluate {
  return (room) => {
    const one = a(room);
    const other = b(room);
    return one === null || other === null ? null : count(Number(one), Number(other));
  };
}

function added(kind: string, before: SqlValue, value: SqlValue): SqlValue {
  if (value === null) return before;
  switch (kind) {
    case "count":
      return Number(before) + 1;
    case "sum":
      return Number(before ?? 0) + Number(value);
    case "min":
      return before === null || compare(value, before) < 0 ? value : before;
    default:
      return before === null || compare(value, before) > 0 ? value : before;
  }
}

function withoutDoubles(rows: Row[], width: number): Row[] {
  const seen = new Set<string>();
  return rows.filter((row) => {
    const key = JSON.stringify(width === row.length ? row : row.slice(0, width));
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

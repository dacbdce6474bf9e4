/**
 * Reads the SQL that the product writes: the part of the language that its hot statements use, as a tree. What it does not know it
 * refuses with the whole text, so that a statement is never half understood.
 */
export type Expression =
  | { kind: "value"; value: string | number | null }
  | { kind: "parameter"; index: number }
  | { kind: "column"; table: string | null; name: string }
  | { kind: "binary"; operator: string; left: Expression; right: Expression }
  | { kind: "not"; of: Expression }
  | { kind: "is null"; of: Expression; not: boolean }
  | { kind: "in"; of: Expression; list: Expression[]; not: boolean }
  | { kind: "in query"; of: Expression; query: Query; not: boolean }
  | { kind: "case"; branches: { when: Expression; value: Expression }[]; otherwise: Expression | null }
  | { kind: "call"; name: string; args: Expression[]; star: boolean }
  | { kind: "exists"; query: Query }
  | { kind: "scalar"; query: Query };

export interface Source {
  /** A table or a common table expression by name, or a query in brackets. */
  of: string | Query;
  alias: string;
  join: "first" | "inner" | "left";
  on: Expression | null;
}

export interface Select {
  distinct: boolean;
  columns: { expression: Expression; name: string }[];
  from: Source[];
  where: Expression | null;
  group: Expression[];
}

export interface Query {
  with: { name: string; columns: string[]; query: Query }[];
  selects: Select[];
  /** All rows are kept; otherwise equal ones become one. */
  unionAll: boolean;
  order: { by: Expression; descending: boolean }[];
  limit: Expression | null;
}

export interface Assignment {
  column: string;
  to: Expression;
}

export type Statement =
  | { kind: "query"; query: Query }
  | {
      kind: "insert";
      table: string;
      columns: string[];
      query: Query;
      conflict: { columns: string[]; set: Assignment[] | null; where: Expression | null } | null;
    }
  | { kind: "update"; table: string; set: Assignment[]; where: Expression | null }
  | { kind: "delete"; table: string; where: Expression | null };

interface Token {
  kind: "word" | "number" | "text" | "sign" | "parameter" | "end";
  text: string;
}

const pattern = /\s+|--[^\n]*|([A-Za-z_][A-Za-z_0-9]*)|(\d+(?:\.\d+)?)|'((?:[^']|'')*)'|(\?\d*)|(<=|>=|<>|!=|\|\||[-+*/%(),.=<>])/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) throw new Error(`the simulator cannot read this SQL at ${from}: ${text}`);
    const [, word, number, string, parameter, sign] = match;
    if (word !== undefined) tokens.push({ kind: "word", text: word.toLowerCase() });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (string !== undefined) tokens.push({ kind: "text", text: string.replaceAll("''", "'") });
    else if (parameter !== undefined) tokens.push({ kind: "parameter", text: parameter.slice(1) });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
  }
  return tokens;
}

const end: Token = { kind: "end", text: "" };

/** Words that end an expression or a source, so they are no alias. */
const reserved = new Set(
  "select from where group order by limit join left inner on union all and or not in is null case when then else end as set values do exists distinct desc asc between like having".split(
    " ",
  ),
);

const precedence: Record<string, number> = {
  or: 1,
  and: 2,
  "=": 4,
  "<>": 4,
  "!=": 4,
  "<": 5,
  "<=": 5,
  ">": 5,
  ">=": 5,
  "+": 6,
  "-": 6,
  "*": 7,
  "/": 7,
  "%": 7,
  "||": 8,
};

export function parseSql(text: string): Statement {
  const tokens = tokensOf(text);
  let at = 0;
  let parameters = 0;

  const peek = (ahead = 0): Token => tokens[at + ahead] ?? end;
  const fail = (): never => {
    throw new Error(`the simulator does not know this SQL near "${peek().text}" (word ${at}): ${text}`);
  };
  const isNext = (wanted: string): boolean => peek().text === wanted && (peek().kind === "word" || peek().kind === "sign");
  function take(wanted: string): boolean {
    if (!isNext(wanted)) return false;
    at += 1;
    return true;
  }
  const must = (...wanted: string[]): void => wanted.forEach((one) => void (take(one) || fail()));
  function word(): string {
    const token = peek();
    if (token.kind !== "word") fail();
    at += 1;
    return token.text;
  }
  function separated<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (take(",")) items.push(item());
    return items;
  }
  function bracketed<Item>(inside: () => Item): Item {
    must("(");
    const result = inside();
    must(")");
    return result;
  }
  const startsQuery = (ahead: number): boolean => ["select", "with"].includes(peek(ahead).text) && peek(ahead).kind === "word";

  function statement(): Statement {
    if (take("insert")) return insert();
    if (take("update")) return update();
    if (take("delete")) {
      must("from");
      return { kind: "delete", table: word(), where: where() };
    }
    return { kind: "query", query: query() };
  }

  function insert(): Statement {
    must("into");
    const table = word();
    const columns = bracketed(() => separated(word));
    const rows: Query = isNext("values") ? valuesQuery() : query();
    let conflict: (Statement & { kind: "insert" })["conflict"] = null;
    if (take("on")) {
      must("conflict");
      const target = isNext("(") ? bracketed(() => separated(word)) : [];
      must("do");
      if (take("nothing")) conflict = { columns: target, set: null, where: null };
      else {
        must("update", "set");
        conflict = { columns: target, set: separated(assignment), where: where() };
      }
    }
    return { kind: "insert", table, columns, query: rows, conflict };
  }

  function valuesQuery(): Query {
    must("values");
    const selects = separated(() => bracketed(() => separated(() => expression()))).map((row): Select => ({
      distinct: false,
      columns: row.map((one, index) => ({ expression: one, name: `c${index}` })),
      from: [],
      where: null,
      group: [],
    }));
    return { with: [], selects, unionAll: true, order: [], limit: null };
  }

  function update(): Statement {
    const table = word();
    must("set");
    return { kind: "update", table, set: separated(assignment), where: where() };
  }

  function assignment(): Assignment {
    const column = word();
    must("=");
    return { column, to: expression() };
  }

  const where = (): Expression | null => (take("where") ? expression() : null);

  function query(): Query {
    const result: Query = { with: [], selects: [], unionAll: false, order: [], limit: null };
    if (take("with")) {
      take("recursive");
      result.with = separated(() => {
        const name = word();
        const columns = isNext("(") ? bracketed(() => separated(word)) : [];
        must("as");
        return { name, columns, query: bracketed(query) };
      });
    }
    result.selects.push(select());
    while (take("union")) {
      if (take("all")) result.unionAll = true;
      result.selects.push(select());
    }
    if (take("order")) {
      must("by");
      result.order = separated(() => {
        const by = expression();
        const descending = take("desc");
        if (!descending) take("asc");
        return { by, descending };
      });
    }
    if (take("limit")) result.limit = expression();
    return result;
  }

  function select(): Select {
    must("select");
    const distinct = take("distinct");
    const columns = separated(() => {
      const one = expression();
      if (take("as")) return { expression: one, name: word() };
      if (peek().kind === "word" && !reserved.has(peek().text)) return { expression: one, name: word() };
      return { expression: one, name: nameOf(one) };
    });
    const from: Source[] = [];
    if (take("from")) {
      from.push(source("first"));
      for (;;) {
        if (take(",")) from.push(source("inner"));
        else if (take("left")) {
          must("join");
          from.push(source("left"));
        } else if (isNext("inner") || isNext("join")) {
          take("inner");
          must("join");
          from.push(source("inner"));
        } else break;
      }
    }
    const condition = where();
    let group: Expression[] = [];
    if (take("group")) {
      must("by");
      group = separated(() => expression());
    }
    return { distinct, columns, from, where: condition, group };
  }

  function source(join: Source["join"]): Source {
    const of = isNext("(") ? bracketed(query) : word();
    take("as");
    const alias = peek().kind === "word" && !reserved.has(peek().text) ? word() : typeof of === "string" ? of : "";
    return { of, alias, join, on: take("on") ? expression() : null };
  }

  function expression(least = 0): Expression {
    let left = take("not") ? ({ kind: "not", of: expression(3) } as const) : primary();
    for (;;) {
      if (least <= 4 && take("is")) {
        const not = take("not");
        must("null");
        left = { kind: "is null", of: left, not };
        continue;
      }
      const notIn = isNext("not") && peek(1).text === "in";
      if (least <= 4 && (isNext("in") || notIn)) {
        take("not");
        must("in");
        left = startsQuery(1)
          ? { kind: "in query", of: left, query: bracketed(query), not: notIn }
          : { kind: "in", of: left, list: bracketed(() => separated(() => expression())), not: notIn };
        continue;
      }
      const operator = peek();
      const power = operator.kind === "word" || operator.kind === "sign" ? precedence[operator.text] : undefined;
      if (power === undefined || power < least) return left;
      at += 1;
      left = { kind: "binary", operator: operator.text, left, right: expression(power + 1) };
    }
  }

  function primary(): Expression {
    const token = peek();
    if (token.kind === "number") return ((at += 1), { kind: "value", value: Number(token.text) });
    if (token.kind === "text") return ((at += 1), { kind: "value", value: token.text });
    if (token.kind === "parameter") {
      at += 1;
      return { kind: "parameter", index: token.text === "" ? parameters++ : Number(token.text) - 1 };
    }
    if (take("-")) return { kind: "binary", operator: "-", left: { kind: "value", value: 0 }, right: expression(8) };
    if (isNext("(")) return startsQuery(1) ? { kind: "scalar", query: bracketed(query) } : bracketed(() => expression());
    if (take("null")) return { kind: "value", value: null };
    if (take("case")) return caseOf();
    if (take("exists")) return { kind: "exists", query: bracketed(query) };
    const name = word();
    if (reserved.has(name)) {
      at -= 1;
      fail();
    }
    if (take(".")) return { kind: "column", table: name, name: word() };
    if (!isNext("(")) return { kind: "column", table: null, name };
    must("(");
    if (take("*")) {
      must(")");
      return { kind: "call", name, args: [], star: true };
    }
    const args = isNext(")") ? [] : separated(() => expression());
    must(")");
    return { kind: "call", name, args, star: false };
  }

  function caseOf(): Expression {
    const subject = isNext("when") ? null : expression();
    const branches: { when: Expression; value: Expression }[] = [];
    while (take("when")) {
      const condition = expression();
      must("then");
      const when: Expression = subject ? { kind: "binary", operator: "=", left: subject, right: condition } : condition;
      branches.push({ when, value: expression() });
    }
    const otherwise = take("else") ? expression() : null;
    must("end");
    return { kind: "case", branches, otherwise };
  }

  const parsed = statement();
  if (at < tokens.length) fail();
  return parsed;
}

/** How a database names a column that was given no name, as far as anybody asks for it. */
const nameOf = (expression: Expression): string =>
  expression.kind === "column" ? expression.name : expression.kind === "value" ? String(expression.value) : expression.kind;

/** The conditions that must all hold. */
export const conjunctsOf = (condition: Expression | null): Expression[] =>
  condition === null
    ? []
    : condition.kind === "binary" && condition.operator === "and"
      ? [...conjunctsOf(condition.left), ...conjunctsOf(condition.right)]
      : [condition];

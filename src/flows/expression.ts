import { type ASTNode, Environment, EvaluationError, ParseError, TypeError as CelTypeError } from "@marcbachmann/cel-js";
import { AppError } from "../errors.ts";
import type { Template, Value } from "./flow.ts";

/**
 * `${{ }}` holds CEL, a language without side effects. Three things keep it harmless inside the control plane:
 * data enters as Maps of own keys, so that no prototype can be reached; functions come from a list (no regular expressions,
 * which can run for ever on the wrong text, no dates, no bytes); and what an expression may cost is bounded before it runs,
 * because the lists that it walks are written by agents.
 */
const maxExpressionLength = 4_000;
const maxDepth = 200;
const maxValues = 1_000_000;
const maxText = 64 * 1024 * 1024;
/** Steps of all loops of one evaluation: about a second. */
const maxSteps = 2_000_000;

const loops = new Set(["all", "exists", "exists_one", "map", "filter"]);
const calls = new Set(["size", "string", "int", "double", "bool", "type", "dyn", "has"]);
const methods = new Set([
  ...loops,
  "size",
  "contains",
  "startsWith",
  "endsWith",
  "lowerAscii",
  "upperAscii",
  "trim",
  "indexOf",
  "lastIndexOf",
  "substring",
  "split",
  "join",
]);
const typeNames = new Set(["bool", "int", "double", "string", "list", "map", "null_type", "type"]);
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  limits: { maxAstNodes: 4_000, maxDepth: 60 },
});
// JSON has one kind of number, so 3 and 2.5 out of the same list must add up; standard CEL refuses int + double.
const arithmetic: Record<string, (left: number, right: number) => number> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
};
for (const [operator, compute] of Object.entries(arithmetic)) {
  const handler = (left: bigint | number, right: bigint | number): number => compute(Number(left), Number(right));
  environment.registerOperator(`int ${operator} double: double`, handler);
  environment.registerOperator(`double ${operator} int: double`, handler);
}

/** What an expression reads: `steps.plan.output` is the path ["steps", "plan", "output"]. */
interface Use {
  path: string[];
  /** Where in the expression. */
  at: number;
}

interface Expression {
  run: (context: Map<string, unknown>) => unknown;
  uses: Use[];
  /** The type as far as it is known without data: "bool", "string", "list", "dyn" ... */
  type: string;
  /** The path, when the expression is nothing else. */
  path: string[] | null;
  /** For each loop how deep it stands in others, from 1. */
  loopDepths: number[];
  /** How many lists or texts can be joined into one: one more than the number of `+`. */
  joins: number;
  splits: boolean;
}

interface Fault {
  fault: string;
  at: number;
  why: string | null;
}

/** What was wrong, when it was not CEL itself that noticed. */
class Refusal extends Error {
  readonly at: number;
  constructor(message: string, at = 0) {
    super(message);
    this.at = at;
  }
}

// ---- Templates

/**
 * Splits text into literal parts and CEL expressions and checks each expression.
 * An error has the place in the text (in UTF-16 units) where it was noticed.
 */
export function parseTemplate(text: string): Template | { error: string; offset: number } {
  const template: Template = [];
  let from = 0;
  for (;;) {
    const open = text.indexOf("${{", from);
    if (open === -1) break;
    const start = open + 3;
    const end = endOfExpression(text, start);
    if (end === -1) return { error: "`${{` is never closed by `}}`", offset: open };
    const inside = text.slice(start, end);
    const cel = inside.trim();
    const expression = readExpression(cel);
    if ("fault" in expression) {
      const celStart = start + inside.length - inside.trimStart().length;
      return { error: wrong(cel, expression.fault), offset: cel === "" ? open : celStart + expression.at };
    }
    if (open > from) template.push(text.slice(from, open));
    template.push({ cel });
    from = end + 2;
  }
  if (from < text.length) template.push(text.slice(from));
  return template;
}

/** Where `}}` closes the expression: not inside a text, a comment or a map. -1: nowhere. */
function endOfExpression(text: string, start: number): number {
  let braces = 0;
  let at = start;
  while (at < text.length) {
    const char = text[at];
    if (char === '"' || char === "'") {
      const end = endOfText(text, at);
      // A quote without its partner is a mistake that CEL explains best.
      if (end === -1) return text.indexOf("}}", start);
      at = end;
      continue;
    }
    if (char === "/" && text[at + 1] === "/") {
      const end = text.indexOf("\n", at);
      if (end === -1) return -1;
      at = end;
    }
    if (char === "{") braces += 1;
    if (char === "}") {
      if (braces === 0) return text[at + 1] === "}" ? at : text.indexOf("}}", at);
      braces -= 1;
    }
    at += 1;
  }
  return -1;
}

function endOfText(text: string, at: number): number {
  const quote = text[at] ?? "";
  const closing = text.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote;
  let next = at + closing.length;
  while (next < text.length) {
    if (text.startsWith(closing, next)) return next + closing.length;
    // As in the library, also in raw texts: r"\"" ends at its last quote.
    next += text[next] === "\\" ? 2 : 1;
  }
  return -1;
}

/** A template of exactly one expression keeps its value's type. */
export const isSingle = (template: Template): boolean => singleExpression(template) !== null;

/** The expression, when the template is nothing else. */
function singleExpression(template: Template): string | null {
  const [only] = template;
  return template.length === 1 && only !== undefined && typeof only !== "string" ? only.cel : null;
}

/**
 * The template's value: of one expression the value itself (plain JSON), else text, with lists and maps as JSON.
 * The context is plain JSON by root name (`inputs`, `steps`, ...); it is not copied when a value is passed whole.
 * Throws invalid_input when an expression fails.
 */
export function evaluate(template: Template, context: Record<string, unknown>): unknown {
  const only = singleExpression(template);
  return only === null ? evaluateText(template, context) : evaluateExpression(only, context);
}

/** The template's value as text, also when it is one expression: for prompts, arguments and environment variables. */
export function evaluateText(template: Template, context: Record<string, unknown>): string {
  return template.map((part) => (typeof part === "string" ? part : asText(part.cel, evaluateExpression(part.cel, context)))).join("");
}

/** A value of `with` or `show`, filled. Throws invalid_input when an expression fails. */
export function evaluateValue(value: Value, context: Record<string, unknown>): unknown {
  if ("plain" in value) return value.plain;
  if ("template" in value) return evaluate(value.template, context);
  if ("list" in value) return value.list.map((item) => evaluateValue(item, context));
  return Object.fromEntries(Object.entries(value.map).map(([key, item]) => [key, evaluateValue(item, context)]));
}

/** The value of an `if`. Throws invalid_input when it is neither true nor false. */
export function evaluateCondition(template: Template, context: Record<string, unknown>): boolean {
  const value = evaluate(template, context);
  if (typeof value === "boolean") return value;
  const text = template.map((part) => (typeof part === "string" ? part : part.cel)).join("");
  throw new AppError("invalid_input", `the condition \`${short(text)}\` is neither true nor false`, {
    why: `its value is ${describe(value)}`,
    fix: ["compare the value, for example with == 'yes'"],
  });
}

/**
 * The roots (`inputs`, `steps`, ...) and the steps that a template or value reads. `*` among the steps means: any of them,
 * because the name is known only when the flow runs, or because all are read at once.
 */
export function references(of: Template | Value): { roots: Set<string>; steps: Set<string> } {
  const roots = new Set<string>();
  const steps = new Set<string>();
  for (const part of templatesOf(of).flat()) {
    if (typeof part === "string") continue;
    for (const { path } of usesOf(part.cel)) {
      const [root = "", member = "*"] = path;
      roots.add(root);
      if (root === "steps") steps.add(member);
    }
  }
  return { roots, steps };
}

function templatesOf(of: Template | Value): Template[] {
  if (Array.isArray(of)) return [of];
  if ("template" in of) return [of.template];
  if ("list" in of) return of.list.flatMap(templatesOf);
  return "map" in of ? Object.values(of.map).flatMap(templatesOf) : [];
}

/** Everything that an expression reads. Throws invalid_input when it is no valid expression. */
export const usesOf = (cel: string): readonly Use[] => requireExpression(cel).uses;

/** The type of an expression as far as it is known without data: "bool", "string", "list", "dyn" ... */
export const typeOf = (cel: string): string => requireExpression(cel).type;

// ---- Reading an expression

// Flows are few and their expressions are evaluated often; the oldest goes when there are many.
const known = new Map<string, Expression | Fault>();

function readExpression(cel: string): Expression | Fault {
  const found = known.get(cel);
  if (found !== undefined) return found;
  const expression = parseExpression(cel);
  const [oldest] = known.keys();
  if (known.size >= 1_000 && oldest !== undefined) known.delete(oldest);
  known.set(cel, expression);
  return expression;
}

function requireExpression(cel: string): Expression {
  const expression = readExpression(cel);
  if (!("fault" in expression)) return expression;
  throw new AppError("invalid_input", wrong(cel, expression.fault), { why: expression.why ?? undefined });
}

const wrong = (cel: string, fault: string): string =>
  cel === "" ? "there is nothing between `${{` and `}}`" : `the expression \`${short(cel)}\` is wrong: ${fault}`;

function parseExpression(cel: string): Expression | Fault {
  if (cel.length > maxExpressionLength) return { fault: `it is longer than ${maxExpressionLength} characters`, at: 0, why: null };
  try {
    // Checking leaves its marks on the tree: what runs is parsed afresh.
    const checked = environment.parse(cel).check();
    const parsed = environment.parse(cel);
    const reading: Reading = { uses: [], loopDepths: [], joins: 1, splits: false };
    walk(parsed.ast, reading, new Set(), 0);
    if (checked.error !== undefined) throw checked.error;
    return { ...reading, run: (context) => parsed(context) as unknown, type: checked.type ?? "dyn", path: purePath(parsed.ast) };
  } catch (error) {
    if (error instanceof Refusal) return { fault: error.message, at: error.at, why: null };
    if (isCelError(error)) return { fault: error.summary, at: error.range?.start ?? 0, why: caret(error) };
    throw error;
  }
}

type Reading = Pick<Expression, "uses" | "loopDepths" | "joins" | "splits">;

/** Collects what is read and refuses what is not offered. `bound` holds the names that loops gave. */
function walk(node: ASTNode, reading: Reading, bound: ReadonlySet<string>, depth: number): void {
  const visit = (child: ASTNode): void => walk(child, reading, bound, depth);
  switch (node.op) {
    case "value":
      if (typeof node.args === "object" && node.args !== null)
        throw new Refusal("bytes and unsigned numbers are not available", node.start);
      return;
    case "id":
    case ".":
    case ".?":
    case "[]":
    case "[?]":
      return walkPath(node, reading, bound, depth);
    case "call":
      refuseUnknown(node.args[0], calls, node.start);
      return node.args[1].forEach(visit);
    case "rcall":
      return walkMethod(node, reading, bound, depth);
    case "map":
      for (const [key, value] of node.args) {
        // A key out of data could be `__proto__`, which the library drops in silence.
        if (key.op !== "value" || typeof key.args !== "string") throw new Refusal("the keys of a map must be written as text", key.start);
        refuseKey(key.args, key.start);
        visit(value);
      }
      return;
    case "!_":
    case "-_":
      return visit(node.args);
    case "in":
      reading.loopDepths.push(depth + 1);
      return node.args.forEach(visit);
    case "+":
      reading.joins += 1;
      return node.args.forEach(visit);
    default:
      return node.args.forEach(visit);
  }
}

function walkMethod(node: ASTNode & { op: "rcall" }, reading: Reading, bound: ReadonlySet<string>, depth: number): void {
  const [name, receiver, given] = node.args;
  refuseUnknown(name, methods, node.start);
  walk(receiver, reading, bound, depth);
  if (name === "split") reading.splits = true;
  if (!loops.has(name)) return given.forEach((child) => walk(child, reading, bound, depth));
  const [variable, ...bodies] = given;
  if (variable?.op !== "id" || bodies.length === 0) {
    throw new Refusal(`\`${name}\` needs a name and an expression, as in list.${name}(x, x > 1)`, node.start);
  }
  reading.loopDepths.push(depth + 1);
  for (const body of bodies) walk(body, reading, new Set([...bound, variable.args]), depth + 1);
}

function walkPath(node: ASTNode, reading: Reading, bound: ReadonlySet<string>, depth: number): void {
  const { root, keys, indexes } = pathOf(node);
  for (const index of indexes) walk(index, reading, bound, depth);
  for (const key of keys) if (key !== null) refuseKey(key, node.start);
  if (root.op !== "id") return walk(root, reading, bound, depth);
  refuseKey(root.args, root.start);
  if (bound.has(root.args) || (keys.length === 0 && typeNames.has(root.args))) return;
  const path = [root.args];
  for (const key of keys) {
    if (key === null) break;
    path.push(key);
  }
  reading.uses.push({ path, at: root.start });
}

/** `a.b["c"][n]` as its root `a`, the keys "b", "c", null, and the index expressions that must be read too. */
function pathOf(node: ASTNode): { root: ASTNode; keys: (string | null)[]; indexes: ASTNode[] } {
  const keys: (string | null)[] = [];
  const indexes: ASTNode[] = [];
  let root = node;
  for (;;) {
    if (root.op === "." || root.op === ".?") {
      keys.unshift(root.args[1]);
      root = root.args[0];
    } else if (root.op === "[]" || root.op === "[?]") {
      const [receiver, index]: [ASTNode, ASTNode] = root.args;
      const key = index.op === "value" && typeof index.args === "string" ? index.args : null;
      if (key === null) indexes.push(index);
      keys.unshift(key);
      root = receiver;
    } else return { root, keys, indexes };
  }
}

function purePath(node: ASTNode): string[] | null {
  const { root, keys } = pathOf(node);
  if (root.op !== "id" || typeNames.has(root.args)) return null;
  const path = keys.filter((key) => key !== null);
  return path.length === keys.length ? [root.args, ...path] : null;
}

function refuseUnknown(name: string, offered: ReadonlySet<string>, at: number): void {
  if (!offered.has(name)) throw new Refusal(`\`${name}()\` is not available; there are: ${[...offered].join(", ")}`, at);
}

function refuseKey(key: string, at: number): void {
  if (forbiddenKeys.has(key)) throw new Refusal(`the name \`${key}\` is not allowed`, at);
}

// ---- Running an expression

function evaluateExpression(cel: string, context: Record<string, unknown>): unknown {
  const expression = requireExpression(cel);
  if (expression.path !== null) {
    const found = lookUp(context, expression.path);
    if (found !== undefined) return found;
  }
  try {
    const size: Size = { values: 0, largest: 0, text: 0 };
    const paths = expression.uses.map((use) => use.path);
    const variables = toCel(context, paths, size, 0) as Map<string, unknown>;
    refuseMuchWork(expression, size);
    return fromCel(expression.run(variables), { values: 0, largest: 0, text: 0 }, 0);
  } catch (error) {
    throw evaluationError(cel, error);
  }
}

/** Most expressions are a plain path: the value itself, without a copy. undefined: let CEL say what is missing. */
function lookUp(context: unknown, path: string[]): unknown {
  let value = context;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** How much was read or made: all values, the longest list, the longest text (of a result: all text). */
interface Size {
  values: number;
  largest: number;
  text: number;
}

function refuseMuchWork(expression: Expression, size: Size): void {
  const largest = Math.max(size.largest, expression.splits ? size.text : 0, 1) * expression.joins;
  const steps = expression.loopDepths.reduce((sum, depth) => sum + largest ** depth, 0);
  if (steps > maxSteps) throw new Refusal(`its loops could take ${steps} steps, more than ${maxSteps}`);
}

/** Plain JSON as CEL sees it: Maps of own keys, integers as bigint. Of maps only the keys on one of the paths are copied. */
function toCel(value: unknown, paths: string[][], size: Size, depth: number): unknown {
  size.values += 1;
  if (size.values > maxValues) throw new Refusal(`it reads more than ${maxValues} values`);
  if (depth > maxDepth) throw new Refusal(`it reads data that is nested deeper than ${maxDepth}`);
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === "string") size.text = Math.max(size.text, value.length);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    size.largest = Math.max(size.largest, value.length);
    return value.map((item) => toCel(item, [[]], size, depth + 1));
  }
  const isWhole = paths.some((path) => path.length === 0);
  const keys = isWhole ? Object.keys(value) : new Set(paths.map(([key = ""]) => key));
  const map = new Map<string, unknown>();
  for (const key of keys) {
    if (key === "__proto__") throw new Refusal("it reads data with the key `__proto__`, which is not allowed");
    const item = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    const below = isWhole ? [[]] : paths.filter((path) => path[0] === key).map((path) => path.slice(1));
    if (item !== undefined) map.set(key, toCel(item, below, size, depth + 1));
  }
  size.largest = Math.max(size.largest, map.size);
  return map;
}

/** A result as plain JSON. */
function fromCel(value: unknown, size: Size, depth: number): unknown {
  size.values += 1;
  if (typeof value === "string") size.text += value.length;
  if (size.values > maxValues || size.text > maxText || depth > maxDepth) throw new Refusal("its result is too large");
  if (typeof value === "bigint") {
    if (Number.isSafeInteger(Number(value))) return Number(value);
    throw new Refusal(`its result ${value} is too large for a number`);
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new Refusal(`its result ${value} is no number`);
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((item) => fromCel(item, size, depth + 1));
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), fromCel(item, size, depth + 1)]));
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromCel(item, size, depth + 1)]));
  }
  throw new Refusal("its result is a type, not a value");
}

function asText(cel: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null) {
    throw new AppError("invalid_input", `the expression \`${short(cel)}\` has no value to put into the text`, {
      why: "its value is null",
      fix: ["give it a value with a condition, as in x == null ? 'none' : x", "leave it out of the text"],
    });
  }
  return JSON.stringify(value);
}

type CelError = ParseError | EvaluationError | CelTypeError;
const isCelError = (error: unknown): error is CelError =>
  error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError;

/** Whatever the library throws on hostile data is the expression's failure, not the server's. */
function evaluationError(cel: string, error: unknown): AppError {
  const reason = isCelError(error) ? error.summary : error instanceof Error ? error.message : String(error);
  const why = (isCelError(error) ? caret(error) : null) ?? undefined;
  return new AppError("invalid_input", `the expression \`${short(cel)}\` failed: ${reason}`, { why, cause: error });
}

/** The line with the mark under the place, as the library prints it after its summary. */
function caret(error: CelError): string | null {
  const at = error.message.indexOf("\n\n>");
  return at === -1 ? null : error.message.slice(at + 2);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : `the ${typeof value} ${short(JSON.stringify(value))}`;
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

import { z } from "zod";
import { AppError, invalidInput } from "../../errors.ts";
import type { Entry, Registry } from "../../registry.ts";

/** A path and method by which one entry is reached. There are no others. */
export interface Route {
  method: "GET" | "POST";
  /** With `:name` segments. */
  path: string;
  entry: Entry;
}

/** Every route of the API, derived from the registry. Throws when two entries claim the same method and path. */
export function routesOf(registry: Registry): Route[] {
  const routes = registry.entries.map((entry): Route =>
    entry.kind === "command"
      ? { method: "POST", path: `/api/commands/${entry.name}`, entry }
      : { method: "GET", path: `/api${entry.path}`, entry },
  );
  const taken = new Map<string, string>();
  for (const { method, path, entry } of routes) {
    if (!/^\/api(\/(:[A-Za-z]+|[A-Za-z0-9._-]+))+$/.test(path))
      throw new Error(`${entry.name} has the path ${path}, which is not one under /api`);
    const shape = `${method} ${path.replaceAll(/:[A-Za-z]+/g, ":")}`;
    const other = taken.get(shape);
    if (other !== undefined) throw new Error(`${entry.name} and ${other} claim the same route ${method} ${path}`);
    taken.set(shape, entry.name);
  }
  return routes;
}

interface Found {
  entry: Entry;
  /** The path's own fields, decoded. */
  fields: Record<string, string>;
}

export type Router = (method: string, path: string) => Found | { allow: string[] } | null;

/** Finds the entry of a method and path; for a known path the methods it allows; else null. A literal segment wins over a field. */
export function makeRouter(routes: readonly Route[]): Router {
  const prepared = routes.map((route) => ({ ...route, segments: route.path.split("/") }));
  // Literal segments first, from the left: "/api/events/list" before "/api/events/:id".
  prepared.sort((a, b) => (shapeOf(a.segments) < shapeOf(b.segments) ? -1 : 1));
  return (method, path) => {
    const segments = path.split("/").map(decodeSegment);
    const allow = new Set<string>();
    for (const route of prepared) {
      const fields = match(route.segments, segments);
      if (!fields) continue;
      const methods = methodsOf(route);
      if (methods.includes(method)) return { entry: route.entry, fields };
      for (const name of methods) allow.add(name);
    }
    return allow.size > 0 ? { allow: [...allow] } : null;
  };
}

/** A stream has no length and no end, so its HEAD would say nothing. */
function methodsOf(route: Route): string[] {
  if (route.method === "POST") return ["POST"];
  return route.entry.kind === "stream" ? ["GET"] : ["GET", "HEAD"];
}

const shapeOf = (segments: string[]): string => segments.map((segment) => (segment.startsWith(":") ? "1" : "0")).join("");

function match(pattern: string[], segments: (string | null)[]): Record<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const fields: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index];
    if (segment === null || segment === undefined) return null;
    if (expected.startsWith(":")) {
      if (segment === "") return null;
      fields[expected.slice(1)] = segment;
    } else if (expected !== segment) return null;
  }
  return fields;
}

/** null for what is no valid encoding: it matches no route. */
function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

/**
 * The input of an entry that is read by GET: the path's fields and the query string, where every value is text. What the
 * entry's schema wants as a number, boolean or list is turned into one; whether it fits is for the schema to say.
 */
export function makeInputReader(entry: Entry): (fields: Record<string, string>, search: URLSearchParams) => Record<string, unknown> {
  const types = fieldTypes(entry.input);
  return (fields, search) => {
    const input: Record<string, unknown> = {};
    for (const name of new Set(search.keys())) {
      if (Object.hasOwn(fields, name)) throw invalidInput(`${entry.name}: ${name} stands in the path and in the query string`);
      const values = search.getAll(name);
      const type = types.get(name);
      if (type === "array" || (type === "list or text" && values.length > 1)) input[name] = values;
      else if (values.length > 1) throw invalidInput(`${entry.name}: ${name} is given ${values.length} times`);
      else input[name] = valueOf(values[0] ?? "", type);
    }
    return Object.assign(input, fields);
  };
}

function valueOf(text: string, type: string | undefined): unknown {
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  if ((type === "number" || type === "integer") && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  return text;
}

interface FieldSchema {
  type?: unknown;
  anyOf?: { type?: unknown }[];
}

/** "list or text" where a field takes one value or several. */
function fieldTypes(input: z.ZodType): Map<string, string> {
  const schema = z.toJSONSchema(input, { io: "input", unrepresentable: "any" }) as { properties?: Record<string, FieldSchema> };
  const types = new Map<string, string>();
  for (const [name, { type, anyOf = [] }] of Object.entries(schema.properties ?? {})) {
    if (typeof type === "string") types.set(name, type);
    else if (anyOf.some((branch) => branch.type === "array")) types.set(name, "list or text");
  }
  return types;
}

/** The Idempotency-Key of a request, or null. Throws AppError invalid_input. */
export function idempotencyKey(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  if (typeof header !== "string" || !/^[\x21-\x7e]{1,200}$/.test(header)) {
    throw new AppError("invalid_input", "the Idempotency-Key must have 1 to 200 visible characters");
  }
  return header;
}

import { z } from "zod";
import * as links from "../../access/link.ts";
import * as tokens from "../../access/token.ts";
import * as agents from "../../agents/agent.ts";
import * as agentCards from "../../agents/overview.ts";
import * as backends from "../../agents/backend.ts";
import * as approvals from "../../approvals/approval.ts";
import * as backups from "../../backups/backup.ts";
import * as breakers from "../../breakers/breaker.ts";
import * as events from "../../events/event.ts";
import * as fleet from "../../fleet/fleet.ts";
import * as flows from "../../flows/flow.ts";
import * as flowCards from "../../flows/overview.ts";
import * as inbox from "../../inbox/inbox.ts";
import * as providers from "../../models/provider.ts";
import * as notifications from "../../notifications/notification.ts";
import * as projectCards from "../../projects/overview.ts";
import * as projects from "../../projects/project.ts";
import { canonical } from "../../canonical.ts";
import type { Entry } from "../../registry.ts";
import { withMeanings } from "./fields.ts";
import * as sessions from "../../sessions/session.ts";
import * as board from "../../tasks/board.ts";
import * as tasks from "../../tasks/task.ts";

/**
 * The shapes of the API as JSON Schema, each under one name: a noun's schema is called as its file exports it (`Task`), what
 * only one entry takes or gives is called by that entry (`TaskCreateInput`, `TaskListAnswer`).
 */
export type Schema = Record<string, unknown>;

/** A shape that is missing here is written out wherever it is used. */
const nouns: object[] = [
  tokens,
  links,
  agents,
  agentCards,
  backends,
  approvals,
  backups,
  breakers,
  events,
  fleet,
  flows,
  flowCards,
  inbox,
  notifications,
  providers,
  projects,
  projectCards,
  sessions,
  tasks,
  board,
];

export const refTo = (name: string): string => `#/components/schemas/${name}`;

/** `task.stop-all` -> `TaskStopAll` */
export const pascal = (name: string): string => name.replaceAll(/(?:^|[.-])([a-z])/g, (_, letter: string) => letter.toUpperCase());

export interface Schemas {
  /** By name, everything that inputs and answers refer to. */
  components: Record<string, Schema>;
  /** What the entry takes, written out: an object with its properties. */
  inputOf(entry: Entry): Schema;
  /** A reference to what a command takes. */
  bodyOf(entry: Entry): Schema;
  /** A reference to what the entry gives: its output, or one item of a stream. Blobs have none. */
  answerOf(entry: Entry): Schema;
}

/** All schemas of these entries, with names. Throws when two different schemas would have the same name. */
export function schemasOf(entries: readonly Entry[]): Schemas {
  const inputs = makeNames();
  const outputs = makeNames();
  const takes = new Map<Entry, string>();
  const gives = new Map<Entry, string>();
  const named = new Set(namedSchemas().map(([, schema]) => schema));
  for (const entry of entries) {
    // Copies: entries may share a schema without a name, and each calls it its own.
    takes.set(entry, inputs.add(named.has(entry.input) ? entry.input : entry.input.clone(), `${pascal(entry.name)}Input`));
    const answer = answerSchema(entry);
    const item = itemOf(answer);
    if (item) outputs.add(item, `${pascal(entry.name)}Item`);
    if (answer)
      gives.set(
        entry,
        outputs.add(named.has(answer) ? answer : answer.clone(), `${pascal(entry.name)}${entry.kind === "stream" ? "Item" : "Answer"}`),
      );
  }
  const given = convert(outputs, "output");
  for (const [entry, name] of gives) if (entry.kind === "command" && entry.cookie) hide(entry.cookie, given[name]);
  const answers = reachable([...gives.values()], given);
  const bodies = reachable([...takes.values()], convert(inputs, "input"));
  const nameOfInput = inputNames(bodies, answers);
  const renamed = Object.fromEntries(Object.entries(bodies).map(([name, schema]) => [nameOfInput(name), withNames(schema, nameOfInput)]));
  const takenBy = (entry: Entry): string => nameOfInput(takes.get(entry) ?? "");
  // The input of what is asked by GET is written out as parameters.
  const written = new Set(entries.filter((entry) => entry.kind !== "command").map(takenBy));
  const used = Object.entries(renamed).filter(([name]) => !written.has(name));
  return {
    components: Object.fromEntries([...Object.entries(answers), ...used].map(([name, schema]) => [name, withMeanings(schema)])),
    inputOf: (entry) => renamed[takenBy(entry)] ?? {},
    bodyOf: (entry) => ({ $ref: refTo(takenBy(entry)) }),
    answerOf: (entry) => (gives.has(entry) ? { $ref: refTo(gives.get(entry) ?? "") } : {}),
  };
}

const answerSchema = (entry: Entry): z.ZodType | null =>
  entry.kind === "stream" ? entry.item : entry.kind === "blob" ? null : entry.output;

/** The object that a page of this answer lists. */
function itemOf(answer: z.ZodType | null): z.ZodObject | null {
  const items = answer instanceof z.ZodObject ? (answer.shape as z.ZodRawShape).items : null;
  const item = items instanceof z.ZodArray ? items.element : null;
  return item instanceof z.ZodObject ? item : null;
}

interface Names {
  registry: ReturnType<typeof z.registry<{ id: string }>>;
  /** Answers the schema's name: its own, or this one. */
  add(schema: z.ZodType, name: string): string;
}

function makeNames(): Names {
  const registry = z.registry<{ id: string }>();
  const taken = new Set<string>();
  const put = (schema: z.ZodType, name: string): string => {
    if (taken.has(name)) throw new Error(`two schemas of the API are called ${name}`);
    taken.add(name);
    registry.add(schema, { id: name });
    return name;
  };
  for (const [name, schema] of namedSchemas()) put(schema, name);
  return { registry, add: (schema, name) => registry.get(schema)?.id ?? put(schema, name) };
}

/** The schemas that nouns export, under the names of their exports. */
export const namedSchemas = (): [string, z.ZodType][] =>
  nouns.flatMap((noun) => Object.entries(noun).filter((pair): pair is [string, z.ZodType] => pair[1] instanceof z.ZodType));

function convert({ registry }: Names, io: "input" | "output"): Record<string, Schema> {
  const { schemas } = z.toJSONSchema(registry, {
    io,
    uri: refTo,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // A later version may answer more fields: a client must not refuse what it does not know.
      if (io === "output" && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      // zod says of every integer that it is a safe one.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return Object.fromEntries(Object.entries(schemas).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema as Schema]));
}

/** What becomes a browser's cookie is in no answer. */
function hide(field: string, schema: Schema | undefined): void {
  const { properties, required } = (schema ?? {}) as { properties?: Schema; required?: string[] };
  delete properties?.[field];
  if (schema && required) schema.required = required.filter((name) => name !== field);
}

const prefix = refTo("");

function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "$ref" && typeof inner === "string" && inner.startsWith(prefix) ? [inner.slice(prefix.length)] : refsIn(inner),
  );
}

/** Those of the schemas that the named ones refer to, directly or not. */
function reachable(from: string[], schemas: Record<string, Schema>): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const schema = schemas[name];
    if (!schema || Object.hasOwn(found, name)) continue;
    found[name] = schema;
    open.push(...refsIn(schema));
  }
  return found;
}

/**
 * A schema with defaults asks for less than it gives, so it has two shapes. Where both are the same, with all that they refer
 * to, they share the name; else the one that is taken is called `<name>Input`.
 */
function inputNames(bodies: Record<string, Schema>, answers: Record<string, Schema>): (name: string) => string {
  const differing = new Set(
    Object.entries(bodies).flatMap(([name, schema]) => {
      const answer = answers[name];
      return answer && canonical(answer) !== canonical(schema) ? [name] : [];
    }),
  );
  for (let before = -1; before !== differing.size;) {
    before = differing.size;
    for (const [name, schema] of Object.entries(bodies))
      if (Object.hasOwn(answers, name) && refsIn(schema).some((ref) => differing.has(ref))) differing.add(name);
  }
  for (const name of differing)
    if (bodies[`${name}Input`] || answers[`${name}Input`]) throw new Error(`two schemas of the API are called ${name}Input`);
  return (name) => (differing.has(name) ? `${name}Input` : name);
}

function withNames(schema: Schema, nameOf: (name: string) => string): Schema {
  const text = JSON.stringify(schema, (key, value: unknown) =>
    key === "$ref" && typeof value === "string" && value.startsWith(prefix) ? refTo(nameOf(value.slice(prefix.length))) : value,
  );
  return JSON.parse(text) as Schema;
}

import type { Tool } from "@modelcontextprotocol/server";
import { z } from "zod";
import { AppError, invalidInput } from "../../errors.ts";
import { ask, execute, mayCall, type Actor, type Command, type Entry, type Query, type Registry, type Stream } from "../../registry.ts";
import type { Services } from "../../services.ts";
import { answered, type McpTool } from "./tool.ts";
import { takeFromStream, waitFor } from "./wait.ts";

/**
 * Tools are made from the registry: name and group from the entry's `mcp`, the input from its schema, the text from its help.
 * A client is shown the groups that it asks for and, of them, what its token may call; every call is judged by the registry
 * itself, whatever was shown.
 */
export interface Asking {
  actor: Actor;
  groups: Groups;
  /** Aborts when the server closes or the caller is gone or its token is over. */
  signal: AbortSignal;
}

export type Groups = "default" | "all" | readonly string[];

/** What an assistant needs to give work, wait for it, read what came of it and answer questions. The others are asked for. */
const defaultGroups = ["tasks", "runs", "approvals", "inbox", "sessions", "projects"];

export interface Catalogue {
  groups: string[];
  /** What this caller is shown, in the registry's order. Throws AppError invalid_input for a group that does not exist. */
  shown(asking: Asking): Tool[];
  find(name: string, asking: Asking): McpTool | undefined;
}

interface Made {
  group: string;
  entry: Entry;
  definition: Tool;
  call(asking: Asking): McpTool["call"];
}

/** Throws when two entries claim the same tool. */
export function makeCatalogue({ registry, services }: { registry: Registry; services: Services }): Catalogue {
  const made = new Map<string, Made>();
  const add = (tool: Made): void => {
    if (made.has(tool.definition.name)) throw new Error(`two tools are called ${tool.definition.name}`);
    made.set(tool.definition.name, tool);
  };
  for (const entry of registry.entries) {
    const tool = toolOf(entry, { registry, services });
    if (tool) add(tool);
    for (const wait of waitsBeside(entry, { registry, services })) add(wait);
  }
  const groups = [...new Set([...made.values()].map(({ group }) => group))];
  return {
    groups,
    shown({ actor, groups: asked }) {
      const unknown = typeof asked === "string" ? undefined : asked.find((name) => !groups.includes(name));
      if (unknown !== undefined) throw invalidInput(`there is no group "${unknown}" of tools`, `the groups are: all, ${groups.join(", ")}`);
      const wanted = asked === "all" ? groups : asked === "default" ? defaultGroups : asked;
      return [...made.values()]
        .filter(({ group, entry }) => wanted.includes(group) && mayCall(entry, actor))
        .map(({ definition }) => definition);
    },
    find(name, asking) {
      const tool = made.get(name);
      return tool && { definition: tool.definition, call: tool.call(asking) };
    },
  };
}

interface Behind {
  registry: Registry;
  services: Services;
}

function toolOf(entry: Entry, behind: Behind): Made | null {
  if (!entry.mcp) return null;
  const { tool: name, group } = entry.mcp;
  if (entry.kind === "command") return { group, entry, ...commandTool(name, entry, behind) };
  if (entry.kind === "query") return { group, entry, ...queryTool(name, entry, behind) };
  if (entry.kind === "stream") return { group, entry, ...streamTool(name, entry, behind) };
  throw new Error(`${entry.name} is bytes: a resource, not a tool`);
}

type Parts = Pick<Made, "definition" | "call">;

const keyField = "idempotency_key";

function commandTool(name: string, entry: Command, { registry, services }: Behind): Parts {
  const schema = inputSchema(entry.input);
  const properties = {
    ...schema.properties,
    [keyField]: { type: "string", description: "repeated with the same key, nothing is done twice" },
  };
  const destructive = isDestructive(entry.name);
  return {
    definition: {
      name,
      description: entry.help,
      inputSchema: { ...schema, properties },
      annotations: { readOnlyHint: false, destructiveHint: destructive, openWorldHint: false },
    },
    call:
      ({ actor }) =>
      async ({ [keyField]: key, ...input }) =>
        answered(await execute(registry, { actor, services }, entry.name, input, readKey(key)), wholeOf(entry, input)),
  };
}

/** Words of an entry's name that end or take away something. */
const destructive = new Set(["stop", "stop-all", "remove", "delete", "revoke", "discard", "archive"]);
const isDestructive = (name: string): boolean => destructive.has(name.slice(name.indexOf(".") + 1));

/** Throws AppError invalid_input: what cannot be kept as a key would not protect anything. */
function readKey(key: unknown): string | null {
  if (key === undefined) return null;
  if (typeof key === "string" && key.length >= 1 && key.length <= 200) return key;
  throw invalidInput(`${keyField} must be a text of 1 to 200 characters`);
}

const readOnly = { readOnlyHint: true, openWorldHint: false } as const;

const queryTool = (name: string, entry: Query, { services }: Behind): Parts => ({
  definition: { name, description: entry.help, inputSchema: inputSchema(entry.input), annotations: readOnly },
  call:
    ({ actor }) =>
    async (input) =>
      answered(await ask(entry, { actor, services }, input), wholeOf(entry, input)),
});

function streamTool(name: string, entry: Stream, { services }: Behind): Parts {
  const schema = inputSchema(entry.input);
  return {
    definition: {
      name,
      description: `${entry.help} Answers when something came, or after \`seconds\`; go on with \`after\`.`,
      inputSchema: { ...schema, properties: { ...schema.properties, ...takeFromStream.properties } },
      annotations: readOnly,
    },
    call: (asking) => async (input, context) =>
      answered(await takeFromStream.run({ entry, caller: { actor: asking.actor, services }, input, context, signal: asking.signal })),
  };
}

/** Tasks and runs can be waited for: a query that says how it stands, held until it has an end. */
function waitsBeside(entry: Entry, { registry, services }: Behind): Made[] {
  if ((entry.name !== "task.get" && entry.name !== "run.get") || entry.kind !== "query") return [];
  const noun = entry.name === "task.get" ? "task" : "run";
  const events = registry.byName("event.follow");
  if (events?.kind !== "stream") return [];
  return [
    {
      group: `${noun}s`,
      // Waiting follows everybody's events: who may not does not see the tool either.
      entry: events,
      definition: {
        name: `wait_for_${noun}`,
        description: `Wait until a ${noun} has ended or needs a person, at most 50 seconds, and answer how it stands. Call it again while \`over\` is false.`,
        inputSchema: {
          type: "object",
          properties: { id: { type: "string" }, seconds: { type: "number", minimum: 0, maximum: 50, default: 50 } },
          required: ["id"],
        },
        annotations: readOnly,
      },
      call: (asking) => async (input, context) => {
        const caller = { actor: asking.actor, services };
        const state = await waitFor({ noun, events, get: entry, caller, input, context, signal: asking.signal });
        return answered(state, `tutti://${noun}s/${String(input.id)}`);
      },
    },
  ];
}

/** The resource that holds, uncut, what an entry answers. */
function wholeOf(entry: Entry, input: Record<string, unknown>): string | undefined {
  const id = typeof input.id === "string" ? input.id : undefined;
  if (id === undefined) return undefined;
  if (entry.name === "task.diff") return `tutti://tasks/${id}/diff`;
  if (entry.name === "session.diff") return `tutti://sessions/${id}/diff`;
  const noun = /^(task|run|session)\./.exec(entry.name)?.[1];
  return noun && `tutti://${noun}s/${id}`;
}

type InputSchema = Tool["inputSchema"] & { properties: Record<string, object> };

/**
 * An entry's input as JSON Schema, less what only costs a model tokens: bounds of texts and lists (the registry checks them
 * and says so), and what stands there for every object.
 */
function inputSchema(input: z.ZodType): InputSchema {
  const schema = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  if (schema.type !== "object") throw new AppError("internal", "a tool's input is an object");
  const { $schema: _, ...plain } = slim(schema) as Record<string, unknown>;
  return { properties: {}, ...plain, type: "object" } as InputSchema;
}

const dropped = new Set(["minLength", "maxLength", "minItems", "maxItems", "pattern", "propertyNames"]);

function slim(schema: unknown, isNames = false): unknown {
  if (Array.isArray(schema)) return schema.map((item) => slim(item));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      // `properties` holds names of fields, which may be called as a keyword is.
      .filter(([name, value]) => isNames || !(dropped.has(name) || isNoise(name, value)))
      .map(([name, value]) => [name, slim(value, !isNames && name === "properties")]),
  );
}

const isNoise = (name: string, value: unknown): boolean =>
  (name === "additionalProperties" && (value === false || (typeof value === "object" && Object.keys(value ?? {}).length === 0))) ||
  (name === "default" && typeof value === "object" && value !== null && Object.keys(value).length === 0) ||
  (name === "maximum" && value === Number.MAX_SAFE_INTEGER);

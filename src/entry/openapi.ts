import type { Registry } from "../registry.ts";
import { operationOf, parameters, pathOf } from "./openapi/operation.ts";
import { problemResponses, problemSchemas, responsesOf } from "./openapi/problems.ts";
import { schemasOf, type Schema } from "./openapi/schemas.ts";

/**
 * The API's description: OpenAPI 3.1.0, derived from the registry like everything else of the API
 * (https://spec.openapis.org/oas/v3.1.0). It has every command, query, stream and blob, and the two paths that no entry serves.
 */
export interface OpenApi {
  openapi: "3.1.0";
  info: Schema;
  servers: Schema[];
  security: Schema[];
  tags: { name: string; description?: string }[];
  paths: Record<string, Record<string, Schema>>;
  components: { schemas: Record<string, Schema>; responses: Schema; parameters: Schema; securitySchemes: Schema };
}

/** The whole document, for a server of this version. Throws when two schemas would have the same name. */
export function openApiOf(registry: Registry, version: string): OpenApi {
  const schemas = schemasOf(registry.entries);
  const paths: OpenApi["paths"] = { ...ownPaths };
  for (const entry of registry.entries) {
    const method = entry.kind === "command" ? "post" : "get";
    paths[pathOf(entry)] = { ...paths[pathOf(entry)], [method]: operationOf(entry, schemas) };
  }
  const nouns = [...new Set(registry.entries.map(({ name }) => name.split(".")[0] ?? ""))].toSorted();
  return {
    openapi: "3.1.0",
    info: {
      title: "Tutti",
      version,
      summary: "Runs teams of AI agents on real repositories.",
      description: introduction,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "this server" }],
    security: [{ token: [] }],
    tags: [...nouns, "description"].map((name) => (nounTexts[name] ? { name, description: nounTexts[name] } : { name })),
    paths,
    components: {
      schemas: inOrder({ ...schemas.components, ...problemSchemas }),
      responses: problemResponses(),
      parameters,
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "A token of `tutti token create <name>`." } },
    },
  };
}

const inOrder = <Value>(named: Record<string, Value>): Record<string, Value> =>
  Object.fromEntries(Object.entries(named).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** The document as JSON text, made when it is asked for the first time. */
export function openApiText(registry: Registry, version: string): () => string {
  let text: string | undefined;
  return () => (text ??= JSON.stringify(openApiOf(registry, version)));
}

const introduction = `Commands (POST) change something, queries (GET) read, streams (GET, server-sent events) follow, blobs (GET) are bytes.

Every request needs \`Authorization: Bearer <token>\`, also on this machine. A token has scopes (\`x-tutti-scope\` names the one that an
operation needs). \`x-tutti-access\` says who may call it: a \`person\`, also an agent about its own \`session\`, or \`anyone\`.

Times are milliseconds since 1970 (UTC). Lists are paged: \`limit\` says how many, \`next\` of the answer is the \`cursor\` of the next page and
null at the end. Queries and blobs carry an ETag and know HEAD. A command with an \`Idempotency-Key\` can be sent again safely.

Every error is one object (\`Problem\`): its \`code\` comes from a closed list, \`fix\` says what to do. Answers may get further fields in later
versions; what is there keeps its name and meaning.`;

const nounTexts: Record<string, string> = {
  agent: "Profiles of who can do work.",
  approval: "Questions to people.",
  artifact: "Results that are too large for a row.",
  audit: "Who called which command when.",
  backup: "Everything as it was in one moment, as a folder of files.",
  breaker: "Agents and providers that keep failing are held back for a while.",
  channel: "Where notifications go.",
  "dead-letter": "Tasks that ended in vain: why, and how often each reason.",
  delivery: "Notifications that were sent, or are tried again.",
  description: "What can be had without a token: whether the server is there, and this description.",
  event: "State changes, in order, per project.",
  fleet: "All agents at once: what is at work, and what needs a look.",
  flow: "Definitions of work in several steps.",
  inbox: "What waits for a person.",
  link: "One-time links that open the dashboard.",
  live: "What happens everywhere, with the conversations that somebody looks at.",
  project: "Repositories, each with its settings.",
  provider: "Where models are.",
  run: "Executions of flows, with their steps.",
  server: "The server itself.",
  session: "Conversations with agents.",
  task: "Units of work, each for one agent.",
  runner: "What owns and drives sessions on a machine.",
  token: "Who may ask.",
};

const openPath = (operationId: string, summary: string, schema: Schema): Schema => ({
  operationId,
  tags: ["description"],
  summary,
  description: `${summary}. No token is needed.`,
  security: [],
  "x-tutti-access": "anyone",
  "x-tutti-scope": null,
  parameters: [],
  responses: {
    200: { description: "What was asked for.", content: { "application/json": { schema } } },
    // The doors stand before it, and nothing else.
    ...responsesOf(["forbidden", "internal"]),
  },
});

const health: Schema = {
  type: "object",
  properties: {
    ok: { type: "boolean", const: true },
    version: { type: "string", description: "the server's version" },
    store: { type: "string", enum: ["sqlite", "postgres"], description: "where it keeps everything" },
  },
  required: ["ok", "version", "store"],
};

const ownPaths: OpenApi["paths"] = {
  "/api/health": { get: openPath("health", "Whether the server is there", health) },
  "/api/openapi.json": { get: openPath("openapi", "This description", { type: "object" }) },
};

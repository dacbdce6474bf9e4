import type { OpenApi } from "../../src/entry/openapi.ts";
import { refTo, type Schema } from "../../src/entry/openapi/schemas.ts";
import { curlOf } from "./curl.ts";
import { code, fieldsOf, noteOf, prose, table, typeOf } from "./shape.ts";

/** docs/api.md: every operation by noun, then the shapes that they take and give. */
export interface Operation {
  operationId: string;
  tags: string[];
  description: string;
  parameters: Schema[];
  requestBody?: { content: { "application/json": { schema: Schema; example: unknown } } };
  responses: Record<string, { content?: Record<string, { schema: Schema; "x-tutti-item"?: Schema }>; headers?: Schema }>;
  "x-tutti-access": "person" | "session" | "anyone";
  "x-tutti-scope": string | null;
}

export interface Place {
  method: "get" | "post";
  path: string;
  operation: Operation;
}

/** All operations of a description, in its order. */
export const placesOf = ({ paths }: OpenApi): Place[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method as Place["method"],
      path,
      operation: operation as unknown as Operation,
    })),
  );

export function apiPage(document: OpenApi): string {
  const places = placesOf(document);
  // What a command takes stands with the command.
  const bodies = new Set(places.map(({ operation }) => bodyOf(operation)));
  return [
    "# The HTTP API",
    "Written by `npm run docs` from the API's own description, `GET /api/openapi.json` (OpenAPI 3.1): change the source, not this page.",
    String(document.info.description),
    trying,
    ...document.tags.flatMap(({ name, description }) => [
      `## ${name} operations`,
      ...(description ? [prose(description)] : []),
      ...places.filter(({ operation }) => operation.tags[0] === name).flatMap((place) => operationPart(place, document)),
    ]),
    "## Shapes",
    "What operations take and give, by name. A field with `?` may be left out.",
    ...Object.entries(document.components.schemas)
      .filter(([name]) => !bodies.has(name))
      .flatMap(([name, schema]) => shapePart(name, schema)),
    "",
  ].join("\n\n");
}

const trying = `The examples want two variables; they fit a server that has a project \`shop\` with a task, a run and so on:

\`\`\`sh
TUTTI_URL=http://127.0.0.1:7420
TUTTI_TOKEN=$(tutti token create examples --json | node -p 'JSON.parse(require("fs").readFileSync(0)).token')
\`\`\`

A typed client comes out of any generator for OpenAPI 3.1, for example:

\`\`\`sh
npx openapi-typescript http://127.0.0.1:7420/api/openapi.json --default-non-nullable=false -o tutti-api.d.ts
\`\`\``;

const accessTexts = {
  person: "people",
  session: "people, and an agent about its own session",
  anyone: "anyone, without a token",
};

function operationPart({ method, path, operation }: Place, document: OpenApi): string[] {
  const scope = operation["x-tutti-scope"];
  const inputs = inputRows(operation, document);
  return [
    `### ${operation.operationId}`,
    `\`${method.toUpperCase()} ${path}\``,
    prose(operation.description),
    `For ${accessTexts[operation["x-tutti-access"]]}${scope === null || operation["x-tutti-access"] === "anyone" ? "" : `; scope \`${scope}\``}.`,
    inputs.length > 0 ? table(["input", "type", "", "meaning"], inputs) : "No input.",
    `Answers ${answerText(operation)}`,
    `\`\`\`sh\n${curlOf({ method, path, operation })}\n\`\`\``,
  ];
}

function inputRows(operation: Operation, { components }: OpenApi): string[][] {
  const body = bodyOf(operation);
  const fields = body === null ? [] : fieldsOf(components.schemas[body] ?? {});
  const inBody = fields.map(({ name, isRequired, schema }) => row(name, schema, isRequired ? "needed" : "", schema));
  const elsewhere = operation.parameters
    .filter(({ $ref }) => $ref === undefined)
    .map((field) =>
      row(String(field.name), field.schema as Schema, field.required ? `needed${field.in === "path" ? ", in the path" : ""}` : "", {
        ...(field.schema as Schema),
        description: field.description,
      }),
    );
  const headers = operation.parameters.flatMap(({ $ref }) => (typeof $ref === "string" ? [headerOf($ref, components.parameters)] : []));
  return [
    ...elsewhere,
    ...inBody,
    ...headers.map(({ name, description }) => [code(String(name)), "`string`", "header", prose(firstSentence(String(description)))]),
  ];
}

function bodyOf({ requestBody }: Operation): string | null {
  const ref = requestBody?.content["application/json"].schema.$ref;
  return typeof ref === "string" ? ref.slice(refTo("").length) : null;
}

const row = (name: string, type: Schema, needed: string, described: Schema): string[] => [
  code(name),
  code(typeOf(type)),
  needed,
  noteOf(described),
];

const headerOf = (ref: string, all: Schema): Schema => all[ref.slice(ref.lastIndexOf("/") + 1)] as Schema;
const firstSentence = (text: string): string => text.split(". ", 1)[0]?.replace(/\.$/, "") ?? text;

function answerText({ responses }: Operation): string {
  const { content = {}, headers = {} } = responses["200"] ?? {};
  const [type = "", { schema = {}, "x-tutti-item": item } = {}] = Object.entries(content)[0] ?? [];
  const extra = Object.keys(headers).includes("Set-Cookie") ? ", and a cookie" : "";
  if (item) return `a stream of server-sent events, each with ${linked(item)}.`;
  if (type === "application/octet-stream") return "bytes; with `Range` 206 and a part of them, or 416.";
  return `${linked(schema)}${extra}.`;
}

function linked(schema: Schema): string {
  const type = typeOf(schema);
  return typeof schema.$ref === "string" ? `[\`${type}\`](#${type.toLowerCase()}-shape)` : code(type);
}

function shapePart(name: string, schema: Schema): string[] {
  const fields = fieldsOf(schema);
  const description = typeof schema.description === "string" ? [prose(schema.description)] : [];
  if (fields.length === 0) return [`### ${name} (shape)`, ...description, code(typeOf(schema))];
  const rows = fields.map((field) => [
    code(`${field.name}${field.isRequired ? "" : "?"}`),
    code(typeOf(field.schema)),
    noteOf(field.schema),
  ]);
  return [`### ${name} (shape)`, ...description, table(["field", "type", "meaning"], rows)];
}

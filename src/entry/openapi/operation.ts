import { scopeOf, type Entry } from "../../registry.ts";
import { makeInputReader } from "../http/routes.ts";
import { exampleOf } from "./examples.ts";
import { meaningOfParameter } from "./fields.ts";
import { problemsOf } from "./problems.ts";
import { pascal, type Schema, type Schemas } from "./schemas.ts";

/** Headers that several operations take, as `#/components/parameters/<name>`. */
export const parameters: Record<string, Schema> = {
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "A text of the client's own, new for each request. Sent again with the same body it gets the first answer and nothing is written; with another body it is refused (`idempotency_mismatch`).",
    schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,200}$" },
  },
  IfNoneMatch: {
    name: "If-None-Match",
    in: "header",
    description: "The ETag of what the client has. When it is still the same, the answer is 304 without a body.",
    schema: { type: "string" },
  },
  LastEventId: {
    name: "Last-Event-ID",
    in: "header",
    description: "The `id` of the last item that was seen: the stream goes on behind it, and nothing is missed.",
    schema: { type: "string" },
  },
  Range: {
    name: "Range",
    in: "header",
    description: "One range of bytes, e.g. `bytes=0-499` or `bytes=-500`. Several ranges are answered with everything.",
    schema: { type: "string" },
  },
  IfRange: {
    name: "If-Range",
    in: "header",
    description: "The ETag that the Range is meant for; when it is another one by now, everything is answered.",
    schema: { type: "string" },
  },
};

const parameter = (name: string): Schema => ({ $ref: `#/components/parameters/${name}` });
const etag = { ETag: { description: "names exactly this answer", schema: { type: "string" } } };
const notModified = { description: "It is what the client has already (If-None-Match).", headers: etag };

/** One entry as an operation of its path. */
export function operationOf(entry: Entry, schemas: Schemas): Schema {
  const name = pascal(entry.name);
  return {
    operationId: name.charAt(0).toLowerCase() + name.slice(1),
    tags: [entry.name.split(".")[0]],
    summary: summaryOf(entry.help),
    description: entry.help,
    ...(entry.access === "anyone" && { security: [] }),
    "x-tutti-access": accessOf(entry),
    "x-tutti-scope": scopeOf(entry),
    ...requestOf(entry, schemas),
    responses: { ...answersOf(entry, schemas), ...problemsOf(entry.kind) },
  };
}

const summaryOf = (help: string): string => (help.split(/(?<=[^.])[.;:] /, 1)[0] ?? help).replace(/\.$/, "");

/** "session": people, and an agent about its own session. */
const accessOf = ({ access }: Entry): "person" | "session" | "anyone" => (typeof access === "string" ? access : "session");

/** A path of the registry as OpenAPI writes it: `/tasks/:id` -> `/api/tasks/{id}`. */
export const pathOf = (entry: Entry): string =>
  entry.kind === "command" ? `/api/commands/${entry.name}` : `/api${entry.path.replaceAll(/:([A-Za-z]+)/g, "{$1}")}`;

function requestOf(entry: Entry, schemas: Schemas): Schema {
  if (entry.kind === "command") {
    const body = { schema: schemas.bodyOf(entry), example: exampleOf(entry, schemas) };
    return { parameters: [parameter("IdempotencyKey")], requestBody: { required: true, content: { "application/json": body } } };
  }
  const headers = { query: ["IfNoneMatch"], stream: ["LastEventId"], blob: ["Range", "IfRange", "IfNoneMatch"] }[entry.kind];
  return { parameters: [...fieldsOf(entry, schemas), ...headers.map(parameter)] };
}

/** The fields of an input that is read from path and query string; a list is given by naming its field again. */
function fieldsOf(entry: Exclude<Entry, { kind: "command" }>, schemas: Schemas): Schema[] {
  const { properties = {}, required = [] } = schemas.inputOf(entry) as { properties?: Record<string, Schema>; required?: string[] };
  const inPath = new Set([...entry.path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => name));
  const example = exampleOf(entry, schemas);
  const read = makeInputReader(entry);
  return Object.entries(properties).map(([name, field]) => {
    const { description: _, ...schema } = field;
    const isList = takesSeveral(read, name);
    const description = meaningOfParameter(name, field, inPath.has(name));
    return {
      name,
      in: inPath.has(name) ? "path" : "query",
      ...((inPath.has(name) || required.includes(name)) && { required: true }),
      ...(description !== null && { description }),
      ...(isList && { style: "form", explode: true }),
      schema: isList ? schema : withoutLists(schema),
      ...(Object.hasOwn(example, name) && { example: example[name] }),
    };
  });
}

type InputReader = ReturnType<typeof makeInputReader>;

/** Whether a field may be given again and again. The server's own reader is asked, so that the description cannot say another thing. */
function takesSeveral(read: InputReader, name: string): boolean {
  try {
    read({}, new URLSearchParams(["1", "2"].map((value): [string, string] => [name, value])));
    return true;
  } catch {
    return false; // It refuses a second value.
  }
}

/** A choice between a list and something else is that other thing where no list can be given. */
function withoutLists(schema: Schema): Schema {
  const { anyOf, ...rest } = schema as { anyOf?: Schema[] };
  if (!anyOf?.some(({ type }) => type === "array")) return schema;
  const left = anyOf.filter(({ type }) => type !== "array");
  return left.length === 1 ? { ...rest, ...left[0] } : { ...rest, anyOf: left };
}

function answersOf(entry: Entry, schemas: Schemas): Record<string, Schema> {
  const schema = schemas.answerOf(entry);
  switch (entry.kind) {
    case "command":
      return { 200: { description: "It is done, and stored.", ...cookieOf(entry.cookie), content: { "application/json": { schema } } } };
    case "query":
      return {
        200: { description: "What was asked for.", headers: etag, content: { "application/json": { schema } } },
        304: notModified,
      };
    case "stream":
      return { 200: { description: streamText, content: { "text/event-stream": { schema: { type: "string" }, "x-tutti-item": schema } } } };
    case "blob":
      return blobAnswers;
  }
}

const cookieOf = (cookie: string | undefined): Schema =>
  cookie === undefined ? {} : { headers: { "Set-Cookie": { description: "the browser's half of its token", schema: { type: "string" } } } };

const streamText =
  "Server-sent events. `data` is one JSON value of the shape `x-tutti-item`, `id` the place to go on from (Last-Event-ID). " +
  "Beside the items there are: `ready` (from here on nothing is missed), `reset` (the place was too old: ask for the state again), " +
  "`error` (the error object; the stream is over) and `end` (there will be no more: do not come back). Lines that begin with `:` are heartbeats.";

const bytes = { "application/octet-stream": { schema: { type: "string", contentMediaType: "application/octet-stream" } } };
const acceptRanges = { "Accept-Ranges": { description: "`bytes`", schema: { type: "string" } } };
const contentRange = (description: string): Schema => ({ "Content-Range": { description, schema: { type: "string" } } });

const blobAnswers: Record<string, Schema> = {
  200: { description: "All bytes.", headers: { ...etag, ...acceptRanges }, content: bytes },
  206: {
    description: "The bytes of the range.",
    headers: { ...etag, ...acceptRanges, ...contentRange("`bytes <first>-<last>/<size>`") },
    content: bytes,
  },
  304: notModified,
  416: { description: "The range begins behind the end. There is no body.", headers: contentRange("`bytes */<size>`") },
};

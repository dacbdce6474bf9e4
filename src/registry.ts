import { hash, randomBytes } from "node:crypto";
import { z } from "zod";
import { canonical } from "./canonical.ts";
import type { Scope } from "./access/token.ts";
import { AppError, forbidden, invalidInput, notFound } from "./errors.ts";
import { defineRows, sql, type Db, type Plan, type Reader } from "./db/plan.ts";
import { transact, type Decision } from "./db/transact.ts";
import type { Services } from "./services.ts";

/**
 * Everything enters through here. Four kinds of entry: a command writes, a query reads, a stream follows, a blob moves bytes.
 * HTTP, CLI and the typed client only translate; parsing, authorisation, idempotency and audit happen once, in this file.
 * A request passes: parse -> authorise -> decide -> commit (with its audit entry and idempotency row) -> answer.
 */

/** Who asks. The record comes from the server's own table, never from the caller. */
export interface Actor {
  kind: "person" | "agent" | "runner";
  /** The token's id. */
  token: string;
  name: string;
  /** An agent's own session; null for a person. */
  session: string | null;
  /** What the token may be used for; null: all of it. */
  scopes: readonly Scope[] | null;
}

/** Whoever comes without a token: reaches only what is open to anyone. */
export const nobody: Actor = { kind: "person", token: "nobody", name: "nobody", session: null, scopes: [] };

export interface Context extends Services {
  actor: Actor;
  read: Reader;
  /** Milliseconds since 1970, from the server's movable clock. */
  now: number;
}

/**
 * "person": people only. `session`: people, and an agent when the session that the input is about is its own (or below its
 * own). "anyone": also without a token, because the input itself is the proof (a one-time code). Default deny: an agent
 * reaches nothing that does not name a session.
 */
type Access<Input> = "person" | "anyone" | { session(input: Input, context: Context): Promise<string | null> };

/** How the CLI shows an entry: `tutti <verb> <args...> [--other-field value]`. */
interface CliVerb {
  verb: string;
  /** Input fields given by position. */
  args?: string[];
  /** Columns of a list, in order. */
  columns?: string[];
  /** Left to a hand-written verb of the same name. */
  custom?: boolean;
}

interface Common<Input extends z.ZodType> {
  /** `<noun>.<verb>`, the same everywhere. */
  name: string;
  help: string;
  input: Input;
  access: Access<z.infer<Input>>;
  /** What a token must allow; left out: "work" for commands, "read" for the others. */
  scope?: Scope;
  cli?: CliVerb;
  mcp?: { tool: string; group: string };
}

export interface Command<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> extends Common<Input> {
  kind: "command";
  output: Output;
  /** Reads and returns what to write; may run again when it was overtaken, so it must not act. */
  decide(input: z.infer<Input>, context: Context): Promise<Decision<z.infer<Output>>>;
  /** True for a command whose answer is a secret shown once: the answer is not kept for repeated requests. */
  secret?: boolean;
  /**
   * True for a command that is called very often and whose decision is cheap: whether its key was used before is not asked first. The
   * key's row stops the plan by itself, and only then, or when the decision fails, the earlier answer is looked for.
   */
  isFrequent?: boolean;
  /** The field of the answer that a browser gets as its HttpOnly cookie and nobody gets as JSON. */
  cookie?: string;
}

export interface Query<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> extends Common<Input> {
  kind: "query";
  /** Under /api; `:name` segments are input fields, the others come from the query string. */
  path: string;
  output: Output;
  run(input: z.infer<Input>, context: Context): Promise<z.infer<Output>>;
}

export interface StreamItem {
  /** The position to resume from; absent for hints that are not numbered. */
  id?: string;
  event: string;
  data: unknown;
}

export interface Stream<Input extends z.ZodType = z.ZodType, Item extends z.ZodType = z.ZodType> extends Common<Input> {
  kind: "stream";
  path: string;
  item: Item;
  /** `after` is the Last-Event-ID. Ends when the signal aborts. */
  run(input: z.infer<Input>, context: Context, after: string | null, signal: AbortSignal): AsyncIterable<StreamItem>;
}

export interface BlobBody {
  type: string;
  size: number;
  etag: string;
  /** Bytes from `start` to `end` inclusive. */
  open(start: number, end: number): AsyncIterable<Uint8Array>;
}

export interface Blob<Input extends z.ZodType = z.ZodType> extends Common<Input> {
  kind: "blob";
  path: string;
  run(input: z.infer<Input>, context: Context): Promise<BlobBody>;
}

export type Entry = Command | Query | Stream | Blob;

// The casts only forget the schema types, so that entries of different shapes fit into one list; parse() restores them.
// The name keeps its literal type: the typed client finds an entry's input and output by it.
export const command = <const N extends string, I extends z.ZodType, O extends z.ZodType>(
  entry: Omit<Command<I, O>, "kind" | "name"> & { name: N },
): Command<I, O> & { name: N } => ({ kind: "command", ...entry });
export const query = <const N extends string, I extends z.ZodType, O extends z.ZodType>(
  entry: Omit<Query<I, O>, "kind" | "name"> & { name: N },
): Query<I, O> & { name: N } => ({ kind: "query", ...entry });
export const stream = <const N extends string, I extends z.ZodType, T extends z.ZodType>(
  entry: Omit<Stream<I, T>, "kind" | "name"> & { name: N },
): Stream<I, T> & { name: N } => ({ kind: "stream", ...entry });
export const blob = <const N extends string, I extends z.ZodType>(
  entry: Omit<Blob<I>, "kind" | "name"> & { name: N },
): Blob<I> & { name: N } => ({ kind: "blob", ...entry });

export const Page = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().optional(),
});

export const listOf = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), next: z.string().nullable() });

/** Cuts one row too many off and makes the cursor of the next page. Ask the store for `limit + 1` rows. */
export function page<Item>(rows: Item[], limit: number, cursorOf: (item: Item) => string): { items: Item[]; next: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last ? cursorOf(last) : null };
}

export const hashOf = (value: unknown): string => hash("sha256", canonical(value));

/** Parses an entry's input; the error names each field that does not fit. Throws AppError invalid_input. */
export function parseInput<I extends z.ZodType>(entry: Common<I>, raw: unknown): z.infer<I> {
  const parsed = entry.input.safeParse(raw ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "input"}: ${issue.message}`);
  throw invalidInput(`${entry.name}: ${problems[0] ?? "the input does not fit"}`, problems.join("; "), [
    `tutti ${entry.name.replace(".", " ")} --help`,
  ]);
}

/** The one place that says who may do what. Throws AppError forbidden. */
async function authorise<I extends z.ZodType>(entry: Common<I>, input: z.infer<I>, context: Context): Promise<void> {
  const { actor } = context;
  if (actor.kind === "person" || entry.access === "anyone") return;
  if (entry.access === "person" || !actor.session) throw forbidden(`an agent may not call ${entry.name}`, "only a person's token may");
  const session = await entry.access.session(input, context);
  if (session !== actor.session)
    throw forbidden(`${entry.name} is outside of this agent's session`, `the token belongs to session ${actor.session}`);
}

export const scopeOf = (entry: Entry): Scope => entry.scope ?? (entry.kind === "command" ? "work" : "read");

/** Whether this caller may call the entry at all; whose session it is about shows only with its input. */
export const mayCall = (entry: Entry, actor: Actor): boolean =>
  entry.access === "anyone" ||
  (actor.kind !== "runner" &&
    (actor.kind === "person" || entry.access !== "person") &&
    (actor.scopes === null || actor.scopes.includes(scopeOf(entry))));

/** Refuses before anything of the input is looked at, so that an agent learns nothing from an entry that it may not call. */
function authoriseKind(entry: Entry, actor: Actor): void {
  if (mayCall(entry, actor)) return;
  if (actor.kind === "runner") throw forbidden(`a runner may not call ${entry.name}`, "its token opens the runners' door only");
  if (actor.kind === "agent" && entry.access === "person")
    throw forbidden(`an agent may not call ${entry.name}`, "only a person's token may");
  throw forbidden(`this token may not call ${entry.name}`, `it needs the scope "${scopeOf(entry)}"`);
}

export interface Registry {
  entries: Entry[];
  byName(name: string): Entry | undefined;
}

export function makeRegistry(entries: readonly unknown[]): Registry {
  const typed = entries as Entry[];
  const names = new Map<string, Entry>();
  for (const entry of typed) {
    if (names.has(entry.name)) throw new Error(`two registry entries are called ${entry.name}`);
    names.set(entry.name, entry);
  }
  return { entries: typed, byName: (name) => names.get(name) };
}

interface Caller {
  actor: Actor;
  services: Services;
}

const contextOf = ({ actor, services }: Caller): Context => ({ ...services, actor, read: services.db.read, now: services.clock.now() });

/**
 * Runs a command. With a key, a repeated request gets the first answer and writes nothing; the same key with another body is
 * refused (idempotency_mismatch). Throws AppError.
 */
export async function execute(registry: Registry, caller: Caller, name: string, raw: unknown, key: string | null): Promise<unknown> {
  const entry = registry.byName(name);
  if (entry?.kind !== "command") throw notFound("command", name);
  authoriseKind(entry, caller.actor);
  const input = parseInput(entry, raw);
  await authorise(entry, input, contextOf(caller));
  const { db } = caller.services;
  const inputHash = hashOf([entry.name, input]);
  const repeated = async (): Promise<Decision<unknown> | null> => {
    const earlier = key === null ? null : await earlierAnswer(db, caller.actor, key);
    return earlier && { plan: null, result: replay(earlier, inputHash) };
  };
  let asksFirst = !entry.isFrequent;
  const { result } = await transact(db, async () => {
    const earlier = asksFirst ? await repeated() : null;
    asksFirst = true;
    if (earlier) return earlier;
    try {
      return await decideCommand(entry, input, contextOf(caller), { inputHash, key });
    } catch (error) {
      const done = entry.isFrequent ? await repeated() : null;
      if (done) return done;
      throw error;
    }
  });
  return result;
}

const insertAudit = defineRows(
  "insert audit entry",
  { id: "text", at: "bigint", actor: "text", actor_kind: "text", command: "text", input_hash: "text" },
  (v) => sql`
    insert into audit (id, at, actor, actor_kind, command, input_hash)
    select ${v.id}, ${v.at}, ${v.actor}, ${v.actor_kind}, ${v.command}, ${v.input_hash} ${v.from}`,
);

const insertKey = defineRows(
  "insert idempotency key",
  { actor: "text", key: "text", command: "text", hash: "text", response: "text", at: "bigint" },
  (v) => sql`
    insert into idempotency (actor, key, command, hash, response, at)
    select ${v.actor}, ${v.key}, ${v.command}, ${v.hash}, ${v.response}, ${v.at} ${v.from}`,
);

/** The command's own plan with its audit entry and its key: all of them or none. */
async function decideCommand(
  entry: Command,
  input: unknown,
  context: Context,
  { inputHash, key }: { inputHash: string; key: string | null },
): Promise<Decision<unknown>> {
  const { actor, now } = context;
  const decision = await entry.decide(input, context);
  const answer = entry.output.parse(decision.result);
  const plan: Plan = { statements: [...(decision.plan?.statements ?? [])], events: decision.plan?.events ?? [] };
  plan.statements.push(
    insertAudit({ id: timeId(now), at: now, actor: actor.token, actor_kind: actor.kind, command: entry.name, input_hash: inputHash }),
  );
  if (key !== null) {
    const response = entry.secret ? null : JSON.stringify(answer);
    plan.statements.push(insertKey({ actor: actor.token, key, command: entry.name, hash: inputHash, response, at: now }));
  }
  return { plan, result: answer };
}

const ownIds = randomBytes(9).toString("base64url");
let madeIds = 0;

/** An id that nobody else makes, and whose order is that of time: rows with it are written behind each other. */
const timeId = (now: number): string => `${now.toString(36).padStart(9, "0")}-${ownIds}-${(madeIds += 1).toString(36)}`;

interface EarlierAnswer {
  hash: string;
  response: string | null;
}

const earlierAnswer = (db: Db, actor: Actor, key: string): Promise<EarlierAnswer | null> =>
  db.read.one<EarlierAnswer>(sql`select hash, response from idempotency where actor = ${actor.token} and key = ${key}`);

function replay(earlier: EarlierAnswer, inputHash: string): unknown {
  if (earlier.hash !== inputHash) {
    throw new AppError("idempotency_mismatch", "this Idempotency-Key was used for another request", {
      why: "a key belongs to one command with one body",
      fix: ["send the request with a new key"],
    });
  }
  if (earlier.response === null) throw new AppError("conflict", "this request was done already; its answer is a secret and is shown once");
  return JSON.parse(earlier.response);
}

/** Runs a query. Throws AppError. */
export async function ask(entry: Query, caller: Caller, raw: unknown): Promise<unknown> {
  authoriseKind(entry, caller.actor);
  const input = parseInput(entry, raw);
  const context = contextOf(caller);
  await authorise(entry, input, context);
  return entry.output.parse(await entry.run(input, context));
}

/** Opens a stream: errors in the request are thrown here, before the first item. */
export async function follow(
  entry: Stream,
  caller: Caller,
  raw: unknown,
  after: string | null,
  signal: AbortSignal,
): Promise<AsyncIterable<StreamItem>> {
  authoriseKind(entry, caller.actor);
  const input = parseInput(entry, raw);
  const context = contextOf(caller);
  await authorise(entry, input, context);
  return entry.run(input, context, after, signal);
}

export async function openBlob(entry: Blob, caller: Caller, raw: unknown): Promise<BlobBody> {
  authoriseKind(entry, caller.actor);
  const input = parseInput(entry, raw);
  const context = contextOf(caller);
  await authorise(entry, input, context);
  return entry.run(input, context);
}

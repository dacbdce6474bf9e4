import type { z } from "zod";
import { AppError, errorFromBody, type ErrorBody } from "../errors.ts";
import type { Blob, Command, Entry, Query, Stream } from "../registry.ts";
import { readServerSentEvents, type ServerSentEvent } from "./http/sse-reader.ts";

/**
 * The typed client: names, inputs and answers come from the registry's own entries, so nothing is written twice.
 * `makeClient({ url, token, entries })` with `entries` the list of `commands.ts`.
 */
type Of<Entries extends readonly Entry[], Kind extends Entry["kind"]> = Extract<Entries[number], { kind: Kind }>;
type Named<Entries extends readonly Entry[], Kind extends Entry["kind"], Name> = Extract<Of<Entries, Kind>, { name: Name }>;
type InputOf<E> = E extends { input: infer I extends z.ZodType } ? z.input<I> : never;
type OutputOf<E> = E extends { output: infer O extends z.ZodType } ? z.output<O> : never;
type ItemOf<E> = E extends { item: infer I extends z.ZodType } ? z.output<I> : never;

export interface Followed<Item> {
  /** Give it as `after` to go on behind this item; null for hints that are not numbered. */
  id: string | null;
  event: string;
  data: Item;
}

interface FollowOptions {
  after?: string | null;
  signal?: AbortSignal;
  /** The position was older than what the server keeps: ask for the state again. */
  onReset?: () => void;
  /** How long to try again after the connection was lost, ms (default 60,000). The first connection is tried once. */
  patienceMs?: number;
  /** The stream has begun: state that is asked for from now on misses nothing. */
  onReady?: (position: string | null) => void;
  /** The connection was lost; we try again. */
  onLost?: () => void;
  /** Take the connection for lost when nothing came for so long, ms: the server sends a heartbeat every 15 s. */
  silenceMs?: number;
}

export interface BlobAnswer {
  type: string;
  size: number;
  body: AsyncIterable<Uint8Array>;
}

export interface Client<Entries extends readonly Entry[]> {
  /** With a `key` (at most 200 characters) a repeated call gets the first answer and writes nothing. */
  command<Name extends Of<Entries, "command">["name"]>(
    name: Name,
    input: InputOf<Named<Entries, "command", Name>>,
    options?: { key?: string; signal?: AbortSignal },
  ): Promise<OutputOf<Named<Entries, "command", Name>>>;
  query<Name extends Of<Entries, "query">["name"]>(
    name: Name,
    input: InputOf<Named<Entries, "query", Name>>,
    options?: { signal?: AbortSignal },
  ): Promise<OutputOf<Named<Entries, "query", Name>>>;
  /** Goes on by itself after a lost connection; ends when the server says that there will be no more, or the signal aborts. */
  follow<Name extends Of<Entries, "stream">["name"]>(
    name: Name,
    input: InputOf<Named<Entries, "stream", Name>>,
    options?: FollowOptions,
  ): AsyncGenerator<Followed<ItemOf<Named<Entries, "stream", Name>>>, void>;
  blob<Name extends Of<Entries, "blob">["name"]>(
    name: Name,
    input: InputOf<Named<Entries, "blob", Name>>,
    options?: { signal?: AbortSignal; range?: { start: number; end: number } },
  ): Promise<BlobAnswer>;
}

/** The same without types, for what is derived from the registry at run time (verbs of the command line). */
export interface OpenClient {
  command(name: string, input: unknown, options?: { key?: string; signal?: AbortSignal }): Promise<unknown>;
  query(name: string, input: unknown, options?: { signal?: AbortSignal }): Promise<unknown>;
  follow(name: string, input: unknown, options?: FollowOptions): AsyncGenerator<Followed<unknown>, void>;
  blob(name: string, input: unknown, options?: { signal?: AbortSignal; range?: { start: number; end: number } }): Promise<BlobAnswer>;
}

export interface ClientOptions<Entries extends readonly Entry[]> {
  url: string;
  /** null in a browser, whose cookie and key (a header of its own) say who it is. */
  token: string | null;
  headers?: Record<string, string>;
  entries: Entries;
  fetch?: typeof fetch;
}

interface Sending {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** A server that is too busy for now is asked again, as it wishes, but nobody waits longer for it than this. */
const busyPatienceMs = 30_000;
const firstPauseMs = 250;
const longestPauseMs = 5_000;

/** All calls throw AppError: the server's own error object, or `unreachable` when nobody listens at the address. */
export function makeClient<const Entries extends readonly Entry[]>(options: ClientOptions<Entries>): Client<Entries> {
  // The implementation knows entries by name only at run time; the interface restores what each name means.
  return makeOpenClient(options) as Client<Entries>;
}

/** As makeClient, for names that are known at run time only. */
export function makeOpenClient(options: ClientOptions<readonly Entry[]>): OpenClient {
  const byName = new Map<string, Entry>(options.entries.map((entry) => [entry.name, entry]));

  function entryOf<Kind extends Entry["kind"]>(kind: Kind, name: string): Extract<Entry, { kind: Kind }> {
    const entry = byName.get(name);
    if (entry?.kind !== kind) throw new AppError("not_found", `there is no ${kind} called ${name}`);
    return entry as Extract<Entry, { kind: Kind }>;
  }

  async function send(path: string, init: Sending): Promise<Response> {
    const headers: Record<string, string> = { ...options.headers, ...init.headers };
    if (options.token !== null) headers.authorization = `Bearer ${options.token}`;
    const response = await reach(
      () => (options.fetch ?? fetch)(new URL(path, options.url), { ...init, headers }),
      options.url,
      init.signal,
    );
    if (!response.ok) throw await errorOf(response, options.url);
    return response;
  }

  /** `again`: it may be sent twice. What the door refused was not begun, so that may be sent again whatever it is. */
  async function sendPatiently(path: string, init: Sending, again: boolean): Promise<Response> {
    const giveUpAt = Date.now() + busyPatienceMs;
    for (;;) {
      try {
        return await send(path, init);
      } catch (error) {
        const waitMs = waitOf(error, again);
        if (waitMs === null || Date.now() + waitMs > giveUpAt) throw error;
        await pause(waitMs, init.signal);
        init.signal?.throwIfAborted();
      }
    }
  }

  return {
    async command(name, input, { key, signal } = {}) {
      const entry: Command = entryOf("command", name);
      const headers: Record<string, string> = { "content-type": "application/json" };
      if (key !== undefined) headers["idempotency-key"] = key;
      const body = JSON.stringify(input ?? {});
      const response = await sendPatiently(`/api/commands/${entry.name}`, { method: "POST", headers, body, signal }, key !== undefined);
      return await reach((): Promise<unknown> => response.json(), options.url, signal);
    },

    async query(name, input, { signal } = {}) {
      const entry: Query = entryOf("query", name);
      const response = await sendPatiently(addressOf(entry, input), { signal }, true);
      return await reach((): Promise<unknown> => response.json(), options.url, signal);
    },

    async *follow(name, input, follow = {}) {
      const address = addressOf(entryOf("stream", name), input);
      yield* followFrom(options.url, (headers, signal) => sendPatiently(address, { headers, signal }, true), follow);
    },

    async blob(name, input, { signal, range } = {}) {
      const entry: Blob = entryOf("blob", name);
      const headers: Record<string, string> = range ? { range: `bytes=${range.start}-${range.end}` } : {};
      const response = await sendPatiently(addressOf(entry, input), { headers, signal }, true);
      return {
        type: response.headers.get("content-type") ?? "application/octet-stream",
        size: Number(response.headers.get("content-length") ?? 0),
        body: bodyOf(response, options.url, signal),
      };
    },
  };
}

/**
 * How long to wait before the same is sent again, ms: as long as the server says, and up to half a second more, so that all who were
 * refused do not come back at once. null: it is not sent again.
 */
function waitOf(error: unknown, again: boolean): number | null {
  if (!(error instanceof AppError) || error.retryAfterMs === null) return null;
  if (error.code !== "rate_limited" && !(error.code === "busy" && again)) return null;
  return error.retryAfterMs + Math.random() * 500;
}

/** A connection that is lost half-way is an error of its own kind, not a shorter body. */
async function* bodyOf(response: Response, url: string, signal?: AbortSignal, silenceMs?: number): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reach(() => within(reader.read(), silenceMs), url, signal);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // It may be broken already.
  }
}

/** Rejects when the promise takes longer. */
async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<T> {
  if (ms === undefined) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${ms / 1_000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A stream ends with `end` (no more) or `error`; anything else is a lost connection, and we go on behind the last id. */
async function* followFrom(
  url: string,
  connect: (headers: Record<string, string>, signal: AbortSignal | undefined) => Promise<Response>,
  { after = null, signal, onReset, onReady, onLost, patienceMs = 60_000, silenceMs = 45_000 }: FollowOptions,
): AsyncGenerator<Followed<never>, void> {
  let position = after;
  let connectedOnce = false;
  let lostAt: number | null = null;
  let pauseMs = firstPauseMs;
  while (!signal?.aborted) {
    try {
      const response = await connect(position === null ? {} : { "last-event-id": position }, signal);
      connectedOnce = true;
      for await (const item of readServerSentEvents(bodyOf(response, url, signal, silenceMs))) {
        lostAt = null;
        pauseMs = firstPauseMs;
        if (item.id !== null) position = item.id;
        if (item.event === "end") return;
        if (item.event === "error") throw errorFromBody(JSON.parse(item.data) as Partial<ErrorBody>);
        if (item.event === "ready" || item.event === "reset") onReady?.(position);
        if (item.event === "reset") onReset?.();
        else if (item.event !== "ready") yield followed(item);
      }
    } catch (error) {
      if (signal?.aborted) return;
      // Only a lost connection is worth another try; what the server refuses it will refuse again.
      if (!(error instanceof AppError) || !error.retryable || !connectedOnce) throw error;
      lostAt ??= Date.now();
      if (Date.now() - lostAt > patienceMs) throw error;
    }
    onLost?.();
    await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

// The data was parsed by the server's schema; parsing it again would only cost.
const followed = ({ id, event, data }: ServerSentEvent): Followed<never> => ({ id, event, data: JSON.parse(data) as never });

/** The entry's path with the input's fields in it; the fields that the path does not name go into the query string. */
export function addressOf(entry: Query | Stream | Blob, input: unknown): string {
  const fields = new Map(Object.entries((input ?? {}) as Record<string, unknown>));
  const path = `/api${entry.path}`.replaceAll(/:([A-Za-z]+)/g, (_, field: string) => {
    const value = fields.get(field);
    fields.delete(field);
    const text = textOf(value);
    // Dots alone would be read as steps in the path.
    if (text === "" || text === "." || text === "..") throw new AppError("invalid_input", `${entry.name}: ${field} is missing`);
    return encodeURIComponent(text);
  });
  const search = new URLSearchParams();
  for (const [field, value] of fields) {
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined && item !== null) search.append(field, textOf(item));
  }
  return search.size > 0 ? `${path}?${search.toString()}` : path;
}

const textOf = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";

async function reach<T>(act: () => Promise<T>, url: string, signal: AbortSignal | null | undefined): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unreachable(url, error);
  }
}

function unreachable(url: string, cause: unknown): AppError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new AppError("unreachable", `no Tutti server answers at ${url}`, {
    why: inner instanceof Error ? inner.message || inner.name : String(inner),
    fix: ["tutti up"],
    cause,
  });
}

async function errorOf(response: Response, url: string): Promise<AppError> {
  const text = await response.text().catch(() => "");
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    return errorFromBody(JSON.parse(text) as Partial<ErrorBody>, Number.isFinite(seconds) ? seconds * 1_000 : undefined);
  }
  return new AppError("unreachable", `what answers at ${url} is not a Tutti server`, {
    why: `it answered ${response.status}`,
    fix: ["tutti up"],
  });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish, { once: true });
    if (signal?.aborted) finish();
  });
}

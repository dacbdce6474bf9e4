import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { hideSecret } from "./hide-secret.ts";
import { watchUsage, type CallUsage } from "./watch-usage.ts";

/**
 * The key broker: a door on loopback through which sessions reach a provider without ever having its key. A session opens it
 * with its own token; the broker puts the key in its place, sets the model, and lets nothing through that contains the key.
 */
export interface BrokerOptions {
  /** Default: any free one. */
  port?: number;
  /** What a session's token opens; null: nothing. */
  resolve(token: string): Promise<{ baseUrl: string; key: string | null; model: string } | null>;
  onUsage?(token: string, usage: CallUsage): void;
  log: { warn(details: object, message: string): void };
  limits?: Partial<BrokerLimits>;
}

export interface BrokerLimits {
  bodyBytes: number;
  /** Nothing heard from the provider (or nothing taken by the session) for so long: cut. */
  idleMs: number;
}

export interface Broker {
  /** http://127.0.0.1:port; the API is under /v1. */
  url: string;
  /** Cuts what is under way. Harmless twice. */
  close(): Promise<void>;
}

const usualLimits: BrokerLimits = { bodyBytes: 32 * 1024 * 1024, idleMs: 600_000 };

/** All that is passed on; with the method that it takes. */
const paths: Record<string, "GET" | "POST"> = {
  "/v1/chat/completions": "POST",
  "/v1/responses": "POST",
  "/v1/embeddings": "POST",
  "/v1/models": "GET",
};

const requestHeaders = ["accept", "content-type", "openai-beta"];
const responseHeader = /^(content-type|cache-control|retry-after(-ms)?|x-request-id|x-ratelimit-[\w-]+)$/;

/** Listens on 127.0.0.1. Rejects when the port is taken. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const limits = { ...usualLimits, ...options.limits };
  const server = createServer((incoming, response) => {
    serve(incoming, response, options, limits).catch((error: unknown) => {
      // Only what we say ourselves: an unknown error could have anything in it.
      options.log.warn(
        { path: pathOf(incoming), error: error instanceof Error ? error.name : typeof error },
        "the broker could not pass a request on",
      );
      refuse(response, new Refusal(502, "the broker could not pass the request on"));
    });
  });
  server.requestTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What is answered in our own name, in the shape that programs know from providers. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function refuse(response: ServerResponse, { status, message }: Refusal): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.writeHead(status, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify({ error: { message, type: "tutti_broker", code: null, param: null } }));
}

const pathOf = (incoming: IncomingMessage): string => (incoming.url ?? "/").split("?", 1)[0] ?? "/";

async function serve(incoming: IncomingMessage, response: ServerResponse, options: BrokerOptions, limits: BrokerLimits): Promise<void> {
  try {
    checkDoor(incoming);
    const token = /^Bearer (\S+)$/i.exec(incoming.headers.authorization ?? "")?.[1];
    const target = token === undefined ? null : await options.resolve(token);
    if (token === undefined || !target) throw new Refusal(401, "the session's token is missing or opens nothing here");
    const body = incoming.method === "POST" ? withModel(await readBody(incoming, limits.bodyBytes), target.model) : null;
    await passOn({ incoming, response, target, body, idleMs: limits.idleMs, onUsage: (usage) => options.onUsage?.(token, usage) });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(response, error);
  }
}

/** Whoever is no program on this machine that means us: browsers (they send an Origin), other names for this address, other paths. */
function checkDoor(incoming: IncomingMessage): void {
  const host = (incoming.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (!["127.0.0.1", "localhost", "[::1]"].includes(host)) throw new Refusal(403, "this address is called by another name");
  if (incoming.headers.origin !== undefined) throw new Refusal(403, "browsers are not served here");
  const path = pathOf(incoming);
  const method = Object.hasOwn(paths, path) ? paths[path] : undefined;
  if (!method) throw new Refusal(404, `nothing is served at ${path.slice(0, 200)}`);
  if (incoming.method !== method) throw new Refusal(405, `${path} takes ${method}`);
}

/** Listens by itself: a broken-off `for await` would destroy the connection, and with it the answer that says why. */
function readBody(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let bytes = 0;
  incoming.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes <= limit) parts.push(part);
    else reject(new Refusal(413, `the request is larger than ${limit} bytes`));
  });
  incoming.once("end", () => resolve(Buffer.concat(parts)));
  incoming.once("error", () => reject(new Refusal(400, "the request broke off")));
  incoming.once("close", () => reject(new Refusal(400, "the request broke off")));
  return promise;
}

/** The model is the agent's, whatever the program asks for. */
function withModel(body: Buffer, model: string): Buffer {
  const value = parse(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Refusal(400, "the request is no JSON object");
  return Buffer.from(JSON.stringify({ ...value, model }));
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    // Refused by the caller like any other body that is no object.
    return undefined;
  }
}

interface Passage {
  incoming: IncomingMessage;
  response: ServerResponse;
  target: { baseUrl: string; key: string | null };
  body: Buffer | null;
  idleMs: number;
  onUsage: (usage: CallUsage) => void;
}

async function passOn({ incoming, response, target, body, idleMs, onUsage }: Passage): Promise<void> {
  const url = new URL(`${target.baseUrl.replace(/\/+$/, "")}${pathOf(incoming).slice("/v1".length)}`);
  const gone = new AbortController();
  // The session went away, or was ended: the provider need not go on.
  response.once("close", () => gone.abort());
  const answered = await ask(url, {
    method: incoming.method ?? "POST",
    headers: headersFor(incoming.headers, target.key, body),
    body,
    idleMs,
    signal: gone.signal,
  });
  const status = answered.statusCode ?? 502;
  const encoding = answered.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") {
    answered.destroy();
    throw new Refusal(502, "the provider packs its answer though it was asked not to; it cannot be searched for the key");
  }
  // A redirect would carry the key to another server.
  if (status >= 300 && status < 400) {
    answered.destroy();
    throw new Refusal(502, `the provider answered ${status}, a redirect, which is not followed`);
  }
  response.setTimeout(idleMs, () => response.destroy());
  response.writeHead(status, headersBack(answered.headers, target.key));
  try {
    await pipeline(answered, hideSecret(target.key), watchUsage(answered.headers["content-type"] ?? "", onUsage), response);
  } catch {
    // One of the two went away in the middle: the other one sees a broken connection, which is the truth.
    response.destroy();
    answered.destroy();
  }
}

function headersFor(given: IncomingHttpHeaders, key: string | null, body: Buffer | null): Record<string, string> {
  const kept = requestHeaders.flatMap((name): [string, string][] => (typeof given[name] === "string" ? [[name, given[name]]] : []));
  return {
    ...Object.fromEntries(kept),
    // Readable, so that the key can be looked for and the usage found.
    "accept-encoding": "identity",
    "user-agent": "tutti",
    ...(body ? { "content-length": String(body.length) } : {}),
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  };
}

const headersBack = (headers: IncomingHttpHeaders, key: string | null): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      responseHeader.test(name) && typeof value === "string" ? [[name, key === null ? value : value.replaceAll(key, "[key]")]] : [],
    ),
  );

interface Ask {
  method: string;
  headers: Record<string, string>;
  body: Buffer | null;
  idleMs: number;
  signal: AbortSignal;
}

/** Rejects with a Refusal in our own words: the system's error could name what it was called with. */
function ask(url: URL, { method, headers, body, idleMs, signal }: Ask): Promise<IncomingMessage> {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers, signal });
    request.setTimeout(idleMs, () => request.destroy(new Refusal(504, `the provider said nothing for ${idleMs} ms`)));
    request.once("error", (error: NodeJS.ErrnoException) => {
      reject(error instanceof Refusal ? error : new Refusal(502, `the provider cannot be reached (${error.code ?? "no answer"})`));
    });
    request.once("response", resolve);
    request.end(body ?? undefined);
  });
}

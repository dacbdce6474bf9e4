import { request as httpRequest, Agent, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { AppError, errorFromBody, type ErrorBody } from "../../errors.ts";

/**
 * The way from a runner to its servers: requests go to the one that answered last, and on to the next when it does not. The list is
 * read again each time, so a server that comes back at another address is found.
 */
export interface Line {
  /** A JSON value for a JSON text. Throws the server's AppError, or AppError unreachable when it did not answer in time. */
  ask(path: string, text: string, options: { timeoutMs: number; signal?: AbortSignal }): Promise<unknown>;
  /** An answer's head, whose body is still to be read. `timeoutMs` is for the head. Throws as `ask`. */
  open(options: OpenRequest): Promise<IncomingMessage>;
  /** Where the next request goes; null: no server is known now. */
  server(): Promise<string | null>;
  /** The next request goes to another server, if there is one. */
  moveOn(from: string): void;
  close(): void;
}

export interface OpenRequest {
  method: "GET" | "HEAD" | "PUT" | "POST";
  path: string;
  body?: AsyncIterable<Uint8Array> | string;
  timeoutMs: number;
  signal?: AbortSignal;
}

interface LineOptions {
  /** The servers' addresses, the preferred one first. */
  urls(): Promise<readonly string[]>;
  token: string;
}

/** Sockets that are kept open are closed by us first: a server closes an idle one after 30 s. */
const keepOpenMs = 20_000;

export function openLine({ urls, token }: LineOptions): Line {
  const agents = { "http:": new Agent({ keepAlive: true, timeout: keepOpenMs }), "https:": new TlsAgent({ keepAlive: true }) };
  let current: string | null = null;
  let known: readonly string[] = [];
  let next = 0;

  async function server(): Promise<string | null> {
    known = await urls();
    if (current === null || !known.includes(current)) current = known[next % Math.max(known.length, 1)] ?? null;
    return current;
  }
  function moveOn(from: string): void {
    if (current !== from) return; // Another request found out first.
    next = known.indexOf(from) + 1;
    current = null;
  }

  async function open({ method, path, body, timeoutMs, signal }: OpenRequest): Promise<IncomingMessage> {
    const url = await server();
    if (url === null) throw noAnswer("no server is running that this runner knows", null);
    const at = new URL(path, url);
    const isText = typeof body === "string";
    const request = (at.protocol === "https:" ? httpsRequest : httpRequest)(at, {
      method,
      agent: at.protocol === "https:" ? agents["https:"] : agents["http:"],
      headers: {
        authorization: `Bearer ${token}`,
        ...(isText ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) } : {}),
      },
      signal,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.once("error", reject);
      request.once("close", () => reject(new Error("the connection was closed")));
    });
    answered.catch(() => undefined); // Looked at below, after the body was sent.
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      request.setNoDelay(true);
      if (body === undefined || isText) request.end(body);
      else await pipeline(body, request);
      return await answered;
    } catch (error) {
      if (signal?.aborted) throw noAnswer("the request was given up", error);
      moveOn(url);
      throw noAnswer(`the server at ${url} does not answer`, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async function ask(path: string, text: string, options: { timeoutMs: number; signal?: AbortSignal }): Promise<unknown> {
    const limit = AbortSignal.timeout(options.timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    const response = await open({ method: "POST", path, body: text, timeoutMs: options.timeoutMs, signal });
    return JSON.parse(await textOf(response));
  }

  return {
    ask,
    async open(options) {
      const response = await open(options);
      // Without a body nothing tells more than the status does.
      if ((response.statusCode ?? 0) >= 400 && options.method !== "HEAD") await textOf(response); // It throws.
      return response;
    },
    server,
    moveOn,
    close() {
      agents["http:"].destroy();
      agents["https:"].destroy();
    },
  };
}

/** The whole body. Throws the AppError that it holds when the answer is a refusal. */
async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch (error) {
    throw noAnswer("the server's answer broke off", error);
  }
  const text = Buffer.concat(parts).toString("utf8");
  if ((response.statusCode ?? 0) < 400) return text;
  throw errorFromBody(problemIn(text, response.statusCode ?? 0));
}

function problemIn(text: string, status: number): Partial<ErrorBody> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "code" in value) return value as Partial<ErrorBody>;
  } catch {
    // No server of ours answered: said below.
  }
  return { code: "unreachable", message: `what answers there is no Tutti server (HTTP ${status})`, retryable: true };
}

const noAnswer = (message: string, cause: unknown): AppError =>
  new AppError("unreachable", message, {
    why: cause instanceof Error ? cause.message : undefined,
    fix: ["tutti up"],
    cause: cause ?? undefined,
  });

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { choose, noToken, tokenOf } from "./choose.ts";
import { endOfCall, mayGoElsewhere, retryAfter, tellingOf, type CallEnd, type Miss } from "./failover.ts";
import { headersBack, headersFor } from "./headers.ts";
import { hideSecret } from "./hide-secret.ts";
import { findPath, protocolOf, urlAt, type Path } from "./paths.ts";
import type { Target } from "./provider.ts";
import { Refusal, refusalBody } from "./refusal.ts";
import { ask, firstByte, shortBody } from "./upstream.ts";
import { watchUsage, type CallUsage } from "./watch-usage.ts";

/**
 * The key broker: a door on loopback through which sessions reach providers without ever having their keys. A session opens it
 * with its own token; the broker puts the key in its place, sets the model, and lets nothing through that contains the key. Where
 * a session has several providers of one protocol, the next one is asked when the first cannot answer and nothing was heard yet.
 */
export interface BrokerOptions {
  /** Default: any free one. */
  port?: number;
  /** The models that a session's token opens, in the order in which they are asked; none: nothing. */
  resolve(token: string): Promise<readonly Target[]>;
  onUsage?(token: string, usage: CallUsage & { provider: string }): void;
  /** Providers that keep failing are passed over for a time. Left out: each is asked whatever it did before. */
  breakers?: ProviderBreakers;
  log: { warn(details: object, message: string): void };
  limits?: Partial<BrokerLimits>;
}

export interface ProviderBreakers {
  /** "trial": by one call at a time. Providers without trouble are not in the answer. */
  look(providers: readonly string[]): Promise<ReadonlyMap<string, "yes" | "trial" | "no">>;
  /** Makes a call the provider's one trial; null when another is faster. */
  begin(provider: string): Promise<string | null>;
  end(provider: string, trial: string | null, ended: CallEnd, reason: string): Promise<void>;
}

export interface BrokerLimits {
  bodyBytes: number;
  /** To have a connection to a provider at all. */
  connectMs: number;
  /** Nothing heard from the provider (or nothing taken by the session) for so long: cut. */
  idleMs: number;
}

export interface Broker {
  /** http://127.0.0.1:port; OpenAI's API is under /v1, Anthropic's under /v1/messages, Google's under /v1beta. */
  url: string;
  /** Cuts what is under way. Harmless twice. */
  close(): Promise<void>;
}

const usualLimits: BrokerLimits = { bodyBytes: 32 * 1024 * 1024, connectMs: 15_000, idleMs: 600_000 };

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
      refuse(incoming, response, new Refusal(502, "the broker could not pass the request on"));
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

/** In the caller's own language. */
function refuse(incoming: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.writeHead(refusal.status, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify(refusalBody(refusal, protocolOf(pathOf(incoming), incoming.headers))));
}

/** As it was sent: what a URL would make of dots in it is no path of ours. */
const pathOf = (incoming: IncomingMessage): string => (incoming.url ?? "/").split("?", 1)[0] ?? "/";
const queryOf = (incoming: IncomingMessage): URLSearchParams => new URLSearchParams((incoming.url ?? "").split("?").slice(1).join("?"));

async function serve(incoming: IncomingMessage, response: ServerResponse, options: BrokerOptions, limits: BrokerLimits): Promise<void> {
  try {
    const path = checkDoor(incoming);
    const token = tokenOf(incoming.headers, queryOf(incoming), path);
    if (token === null) throw noToken();
    const targets = choose(await options.resolve(token), path, incoming.headers);
    const body = path.method === "POST" ? parsed(await readBody(incoming, limits.bodyBytes)) : null;
    const onUsage = (provider: string, usage: CallUsage): void => options.onUsage?.(token, { ...usage, provider });
    await passOn({ incoming, response, path, body, limits, onUsage, log: options.log, breakers: options.breakers }, targets);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(incoming, response, error);
  }
}

/** Whoever is no program on this machine that means us: browsers (they send an Origin), other names for this address, other paths. */
function checkDoor(incoming: IncomingMessage): Path {
  const host = (incoming.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (!["127.0.0.1", "localhost", "[::1]"].includes(host)) throw new Refusal(403, "this address is called by another name");
  if (incoming.headers.origin !== undefined) throw new Refusal(403, "browsers are not served here");
  const path = findPath(pathOf(incoming));
  if (!path) throw new Refusal(404, `nothing is served at ${pathOf(incoming).slice(0, 200)}`);
  if (incoming.method !== path.method) throw new Refusal(405, `${pathOf(incoming)} takes ${path.method}`);
  return path;
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

type Body = Record<string, unknown>;

function parsed(body: Buffer): Body {
  const value = parse(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Refusal(400, "the request is no JSON object");
  return value as Body;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    // Refused by the caller like any other body that is no object.
    return undefined;
  }
}

/** The model is the agent's, whatever the program asks for. Google's stands in the address, and once more inside when tokens are counted. */
function withModel(value: Body, { protocol, model }: Target): Body {
  if (protocol !== "google") return { ...value, model };
  const { model: _asked, generateContentRequest: inner, ...rest } = value;
  if (typeof inner !== "object" || inner === null) return rest;
  return { ...rest, generateContentRequest: { ...inner, model: `models/${model.replace(/^models\//, "")}` } };
}

interface Passage {
  incoming: IncomingMessage;
  response: ServerResponse;
  path: Path;
  body: Body | null;
  limits: BrokerLimits;
  onUsage: (provider: string, usage: CallUsage) => void;
  log: BrokerOptions["log"];
  breakers: ProviderBreakers | undefined;
}

/** A provider that could not answer: what we say of it ourselves, or what it said, to be told when nobody else can. */
type Failed = Miss & { kind: "failed"; target: Target } & ({ refusal: Refusal } | { headers: IncomingHttpHeaders; said: Buffer });

/**
 * One after the other until one answers. As soon as something of an answer was heard it is this one's, also when it breaks off. Those
 * that keep failing are asked last: a refusal of ours would help nobody.
 */
async function passOn(passage: Passage, targets: [Target, ...Target[]]): Promise<void> {
  const { response, log, breakers } = passage;
  const gone = new AbortController();
  // The session went away, or was ended: the provider need not go on.
  response.once("close", () => gone.abort());
  const failures: Failed[] = [];
  const order = await orderOf(passage, targets);
  for (const [index, { target, look }] of order.entries()) {
    const trial = look === "trial" ? ((await breakers?.begin(target.provider)) ?? null) : null;
    if (look === "trial" && trial === null) {
      // Another call tries it out just now.
      order.push({ target, look: "no" });
      continue;
    }
    const tried = await reach(passage, target, gone.signal, { alone: targets.length === 1, last: index === order.length - 1 });
    const status = tried.kind === "answer" ? (tried.answered.statusCode ?? null) : tried.status;
    void tellBreaker(passage, target, trial, { gone: gone.signal.aborted, status });
    if (tried.kind === "answer") return await answer(passage, target, tried.answered);
    if (gone.signal.aborted) return void response.destroy();
    failures.push(tried);
    if (targets.length > 1) log.warn({ provider: target.provider, status: tried.status }, "a provider could not answer a session");
  }
  const [first, ...others] = failures;
  if (first) await tell(passage, tellingOf([first, ...others]));
}

interface Looked {
  target: Target;
  look: "yes" | "trial" | "no";
}

/** In the session's own order, those that are held back behind the others. */
async function orderOf({ breakers }: Passage, targets: [Target, ...Target[]]): Promise<Looked[]> {
  const looks = await breakers?.look(targets.map(({ provider }) => provider));
  const looked = targets.map((target) => ({ target, look: looks?.get(target.provider) ?? "yes" }));
  return [...looked.filter(({ look }) => look !== "no"), ...looked.filter(({ look }) => look === "no")];
}

/** The session does not wait for it, and a store that does not answer costs it nothing. */
async function tellBreaker(
  { breakers, log }: Passage,
  { provider }: Target,
  trial: string | null,
  { gone, status }: { gone: boolean; status: number | null },
): Promise<void> {
  const end = gone ? "unclear" : endOfCall(status);
  try {
    await breakers?.end(provider, trial, end, status === null ? "it did not answer" : `it answered ${status}`);
  } catch (error) {
    log.warn({ provider, error: error instanceof Error ? error.name : typeof error }, "a provider's breaker could not be told of a call");
  }
}

/** A provider's answer, or how it failed in a way that another one might not. */
async function reach(
  { incoming, path, body, limits }: Passage,
  target: Target,
  signal: AbortSignal,
  { alone, last }: { alone: boolean; last: boolean },
): Promise<{ kind: "answer"; answered: IncomingMessage } | Failed> {
  const content = body && Buffer.from(JSON.stringify(withModel(body, target)));
  try {
    const answered = await ask(urlAt(target, path, queryOf(incoming)), {
      method: path.method,
      headers: headersFor(incoming.headers, target, content),
      body: content,
      connectMs: limits.connectMs,
      idleMs: limits.idleMs,
      signal,
    });
    checkAnswer(answered);
    const status = answered.statusCode ?? 502;
    if (!alone && mayGoElsewhere(status)) {
      const said = await shortBody(answered);
      const retryAfterMs = retryAfter(answered.headers, said.toString("utf8"), Date.now());
      return { kind: "failed", target, status, retryAfterMs, headers: answered.headers, said };
    }
    if (!last) await firstByte(answered);
    return { kind: "answer", answered };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { kind: "failed", target, status: null, retryAfterMs: null, refusal: error };
  }
}

function checkAnswer(answered: IncomingMessage): void {
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
}

async function answer({ response, limits, path, onUsage }: Passage, target: Target, answered: IncomingMessage): Promise<void> {
  response.setTimeout(limits.idleMs, () => response.destroy());
  response.writeHead(answered.statusCode ?? 502, headersBack(answered.headers, target.key));
  const type = answered.headers["content-type"] ?? "";
  const watch = watchUsage(type, path.protocol, (usage) => onUsage(target.provider, usage));
  try {
    await pipeline(answered, hideSecret(target.key), watch, response);
  } catch {
    // One of the two went away in the middle: the other one sees a broken connection, which is the truth.
    response.destroy();
    answered.destroy();
  }
}

/** The failure that is told, as the one provider said it: its key is looked for in it like in any answer. */
async function tell({ response }: Passage, failed: Failed): Promise<void> {
  if ("refusal" in failed) throw failed.refusal;
  response.writeHead(failed.status ?? 502, headersBack(failed.headers, failed.target.key));
  await pipeline(Readable.from([failed.said]), hideSecret(failed.target.key), response);
}

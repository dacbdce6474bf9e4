import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { makeAuthenticate, type Authenticate } from "../access/authenticate.ts";
import type { DoorLimits } from "../config.ts";
import { AppError, forbidden, invalidInput, toAppError } from "../errors.ts";
import { ask, execute, follow, nobody, openBlob, type Actor, type Registry } from "../registry.ts";
import type { Services } from "../services.ts";
import { answerJson, answerProblem, answerTagged, problemOf } from "./http/answer.ts";
import { sendBlob } from "./http/blob.ts";
import { credentialOf, setCookie } from "./http/browser.ts";
import { readJson } from "./http/body.ts";
import { refusalAtDoors } from "./http/doors.ts";
import { isPagePath, type Pages } from "./http/pages.ts";
import { makeLimits, type Limits, type Visit } from "./http/limit.ts";
import { idempotencyKey, makeInputReader, makeRouter, routesOf, type Router } from "./http/routes.ts";
import { sendStream, streamLimits, type StreamLimits } from "./http/sse.ts";

/**
 * HTTP is a translation and nothing more: doors, token, route, then the registry. Every route is derived from an entry. Beside
 * them stand the mounts (/mcp), and for those without a token the pages, GET /api/health and the API's own description.
 */
export interface HttpLog {
  error(fields: object, message: string): void;
}

/** Another protocol at a path of its own. It is called behind the doors, with who asks. */
export interface Mount {
  path: string;
  /** It answers for the paths below its own too. */
  below?: boolean;
  /** It is for runners' tokens, which open nothing else and which nobody else has. */
  runners?: boolean;
  handle(request: IncomingMessage, response: ServerResponse, actor: Actor): Promise<void>;
}

export interface HttpOptions {
  registry: Registry;
  services: Services;
  log: HttpLog;
  /** Names beside the local ones under which this server may be reached. */
  hosts?: readonly string[];
  mounts?: readonly Mount[];
  pages?: Pages;
  /** The API's description (OpenAPI), as JSON text. */
  description?: () => string;
  streams?: Partial<StreamLimits>;
  /** What the door takes; left out: the usual. */
  limits?: DoorLimits;
}

interface ServeOptions extends HttpOptions {
  host: string;
  /** null: 7420, or the next free one of twenty. 0: any free one. Another number: that one or an error. */
  port: number | null;
  /** How long `close` waits for open requests, ms (default 10,000). */
  graceMs?: number;
}

export interface HttpServer {
  url: string;
  port: number;
  /** Stops accepting, ends the streams, finishes requests (bounded). Finished when it returns; harmless twice. */
  close(): Promise<void>;
}

interface Handling extends Omit<HttpOptions, "limits"> {
  authenticate: Authenticate;
  limits: Limits;
  router: Router;
  inputs: Map<string, ReturnType<typeof makeInputReader>>;
  /** Aborts when the server closes. */
  closing: AbortSignal;
}

const firstPort = 7420;
const portsToTry = 20;
const maxConnections = 2_048;

/** Starts to listen. Throws AppError invalid_input (a host beyond loopback without names for it) or already_running (no free port). */
export async function serveHttp({ host, port, graceMs = 10_000, ...options }: ServeOptions): Promise<HttpServer> {
  if (!isLoopback(host) && (options.hosts ?? []).length === 0) {
    throw invalidInput(`listening on ${host} would open this server to other machines`, "no name is given under which it may be reached", [
      "TUTTI_HOSTS=<name> tutti up",
    ]);
  }
  const closing = new AbortController();
  const server = makeServer(options, closing.signal);
  const actualPort = await listen(server, host, port ?? firstPort, port === null ? portsToTry : 1);
  let closed: Promise<void> | null = null;
  return {
    url: `http://${urlHost(host)}:${actualPort}`,
    port: actualPort,
    close: () => (closed ??= closeServer(server, closing, graceMs)),
  };
}

function makeServer(options: HttpOptions, closing: AbortSignal): Server {
  const routes = routesOf(options.registry);
  const handling: Handling = {
    ...options,
    hosts: (options.hosts ?? []).map((name) => name.toLowerCase()),
    authenticate: makeAuthenticate(options.services.db),
    limits: makeLimits(options.limits),
    router: makeRouter(routes),
    inputs: new Map(routes.map(({ entry }) => [entry.name, makeInputReader(entry)])),
    closing,
  };
  const server = createServer({
    headersTimeout: 15_000,
    requestTimeout: 60_000,
    keepAliveTimeout: 30_000,
    connectionsCheckingInterval: 5_000,
    // A Last-Event-ID names the place in every project's stream.
    maxHeaderSize: 64 * 1024,
  });
  server.maxConnections = maxConnections;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => void handle(handling, request, response);
  server.on("request", onRequest);
  // Node would answer these by itself, without our doors.
  server.on("checkExpectation", onRequest);
  const onUpgrade = (request: IncomingMessage, socket: Duplex): void => void refuseUpgrade(handling, request, socket);
  server.on("upgrade", onUpgrade);
  server.on("connect", onUpgrade);
  return server;
}

/** Answers one request. Never rejects: whatever goes wrong becomes the one error object. */
async function handle(handling: Handling, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let visit: Visit | null = null;
  try {
    visit = handling.limits.enter();
    const actor = await enter(handling, request);
    visit.admit(actor);
    if (handling.pages?.answer(request, response, addressOf(request).path)) return;
    await dispatch(handling, request, response, actor, visit);
  } catch (error) {
    const problem = toAppError(error);
    if (problem.code === "internal" && !response.destroyed) {
      handling.log.error(
        { err: problem.cause, method: request.method, path: addressOf(request).path },
        "a request failed inside the server",
      );
    }
    if (response.headersSent) response.destroy();
    // What is left of a body is not read: the connection cannot carry another request.
    else answerProblem(response, problem, { ...allowHeader(error), ...(isUnread(request) ? { connection: "close" } : {}) });
  } finally {
    visit?.leave();
  }
}

/** Whether a part of its body has not come. A request without one is over with its head, though Node says so a moment later. */
const isUnread = ({ complete, headers }: IncomingMessage): boolean =>
  !complete && (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0);

/** What may be had without a token: nothing of the person is in it, or its input is the proof. */
function isOpen(handling: Handling, request: IncomingMessage): boolean {
  if (request.headers.upgrade !== undefined) return false;
  const { path } = addressOf(request);
  const method = request.method ?? "";
  if (method === "GET" && (path === "/api/health" || path === "/api/openapi.json")) return true;
  if (isPage(handling, request)) return true;
  const found = handling.router(method, path);
  return found !== null && "entry" in found && found.entry.access === "anyone";
}

const isPage = ({ pages }: Handling, request: IncomingMessage): boolean =>
  pages !== undefined && isPagePath(addressOf(request).path) && (request.method === "GET" || request.method === "HEAD");

/** All doors, in order, before anything else of the request is looked at. Throws AppError. */
async function enter(handling: Handling, request: IncomingMessage): Promise<Actor> {
  const refusal = refusalAtDoors(request, handling.hosts ?? [], { isPage: isPage(handling, request) });
  if (refusal) throw refusal;
  if (isOpen(handling, request)) return nobody;
  const credential = credentialOf(request);
  const actor = await handling.authenticate(credential);
  if (actor) return actor;
  const given = credential !== undefined;
  throw new AppError("unauthenticated", given ? "the token is not good" : "a token is needed", {
    why: given ? "it is unknown or was revoked" : "every request needs Authorization: Bearer <token>, also on this machine",
    fix: ["tutti token create <name>"],
  });
}

async function dispatch(handling: Handling, request: IncomingMessage, response: ServerResponse, actor: Actor, visit: Visit): Promise<void> {
  const { registry, services, router, inputs, closing } = handling;
  const { path, search } = addressOf(request);
  if (path === "/api/health" && request.method === "GET")
    return answerJson(response, { ok: true, version: services.version, store: services.db.kind });
  if (path === "/api/openapi.json" && request.method === "GET" && handling.description)
    return answerTagged(request, response, handling.description());
  const mount = handling.mounts?.find((one) => one.path === path || (one.below && path.startsWith(`${one.path}/`)));
  if ((actor.kind === "runner") !== (mount?.runners ?? false)) throw notForThisToken(actor);
  if (mount) {
    visit.rest();
    return await mount.handle(request, response, actor);
  }
  const found = router(request.method ?? "", path);
  if (!found) throw new AppError("not_found", `there is nothing at ${path.slice(0, 200)}`);
  if ("allow" in found) throw new MethodNotAllowed(found.allow, request.method ?? "");
  const { entry, fields } = found;
  const caller = { actor, services };
  if (entry.kind === "command") {
    const key = idempotencyKey(request.headers["idempotency-key"]);
    const answer = await execute(registry, caller, entry.name, await readJson(request), key);
    return entry.cookie === undefined ? answerJson(response, answer) : answerWithCookie(request, response, answer, entry.cookie);
  }
  const input = inputs.get(entry.name)?.(fields, search);
  if (entry.kind === "query") return answerTagged(request, response, await ask(entry, caller, input));
  if (entry.kind === "blob") return await sendBlob(request, response, await openBlob(entry, caller, input));
  const after = lastEventId(request);
  visit.follow();
  const credential = credentialOf(request);
  return await sendStream({
    response,
    open: (signal) => follow(entry, caller, input, after, signal),
    allowed: async () => (await handling.authenticate(credential, { fresh: true })) !== null,
    closing,
    limits: { ...streamLimits, ...handling.streams },
  });
}

const notForThisToken = ({ kind }: Actor): AppError =>
  kind === "runner"
    ? forbidden("a runner's token opens the runners' door only")
    : forbidden("only runners come in here", "the token is of another kind");

/** One field of the answer becomes the browser's cookie; no script reads it. */
function answerWithCookie(request: IncomingMessage, response: ServerResponse, answer: unknown, field: string): void {
  const { [field]: cookie, ...rest } = answer as Record<string, unknown>;
  const isSecure = request.headers.origin?.startsWith("https:") ?? false;
  response.setHeader("set-cookie", setCookie(request.socket.localPort ?? 0, String(cookie), isSecure));
  answerJson(response, rest);
}

class MethodNotAllowed extends AppError {
  readonly allow: readonly string[];

  constructor(allow: readonly string[], method: string) {
    super("method_not_allowed", `${method.slice(0, 20)} is not allowed here`, { fix: [`use ${allow.join(" or ")}`] });
    this.allow = allow;
  }
}

const allowHeader = (error: unknown): Record<string, string> =>
  error instanceof MethodNotAllowed ? { allow: error.allow.join(", ") } : {};

function addressOf(request: IncomingMessage): { path: string; search: URLSearchParams } {
  const url = request.url ?? "";
  const mark = url.indexOf("?");
  return mark < 0
    ? { path: url, search: new URLSearchParams() }
    : { path: url.slice(0, mark), search: new URLSearchParams(url.slice(mark + 1)) };
}

/** Throws AppError invalid_input: a position is one of ours, and ours fit into a header. */
function lastEventId(request: IncomingMessage): string | null {
  const id = request.headers["last-event-id"];
  if (id === undefined || id === "") return null;
  if (typeof id !== "string") throw invalidInput("the Last-Event-ID is given twice");
  return id;
}

/** No entry speaks another protocol: without a token 401 like everywhere, else there is nothing to upgrade to. */
async function refuseUpgrade(handling: Handling, request: IncomingMessage, socket: Duplex): Promise<void> {
  // The client may be gone already; then there is nobody left to tell.
  socket.on("error", () => socket.destroy());
  const refusal = await enter(handling, request).then(() => new AppError("not_found", "there is nothing to upgrade to"), toAppError);
  const { status, headers, body } = problemOf(refusal);
  const lines = Object.entries({ ...headers, connection: "close", "x-content-type-options": "nosniff" }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.end(`HTTP/1.1 ${status} ${refusal.code}\r\n${lines.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

/** An address that stands for every interface is no name to call; the local one reaches it. */
function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** Takes the first free port of `tries` in a row. */
async function listen(server: Server, host: string, port: number, tries: number): Promise<number> {
  for (let offset = 0; offset < tries; offset += 1) {
    try {
      return await listenOn(server, host, port + offset);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
  throw new AppError(
    "already_running",
    tries === 1 ? `port ${port} is in use` : `the ports from ${port} to ${port + tries - 1} are in use`,
    {
      why: "another program listens there",
      fix: ["TUTTI_PORT=<another port> npm start"],
    },
  );
}

function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}

async function closeServer(server: Server, closing: AbortController, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  closing.abort();
  // A connection becomes idle when its last answer is sent; it would stay open for its keep-alive time.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

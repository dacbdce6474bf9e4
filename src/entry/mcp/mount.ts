import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { toWebRequest } from "@modelcontextprotocol/node";
import { createMcpHandler, type McpRequestContext, type Server, type ServerEventBus } from "@modelcontextprotocol/server";
import { findLiveToken } from "../../access/store.ts";
import { AppError, invalidInput } from "../../errors.ts";
import type { Actor } from "../../registry.ts";
import type { Services } from "../../services.ts";
import { answerProblem, writeHead } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import type { Asking } from "./catalogue.ts";
import type { McpLog } from "./tool.ts";

/**
 * Streamable HTTP (revision 2026-07-28, and the revisions of 2025 without sessions): one POST is one request, and a server of
 * its own answers it, so that nothing of one client can reach another. Doors, token and actor come from http.ts; nothing that
 * a client sends says who it is.
 */
export interface MountOptions {
  services: Pick<Services, "db" | "clock">;
  /** A fresh server for one request. */
  serve(asking: Asking, era: McpRequestContext["era"]): Server;
  /** Which of these may the caller be told about? */
  followable(uris: readonly string[], asking: Asking): Promise<string[]>;
  changes: { bus: ServerEventBus; watch(uris: readonly string[]): Promise<() => void>; close(): Promise<void> };
  log: McpLog;
  tokenCheckMs?: number;
}

export interface McpMount {
  path: "/mcp";
  handle(request: IncomingMessage, response: ServerResponse, actor: Actor): Promise<void>;
  /** Ends what is open. Harmless twice. */
  close(): Promise<void>;
}

/** What a client has not taken within this is not taken any more. */
const stallMs = 10_000;
/** A stream outlives its door: its token is looked at again this often. */
const tokenCheckMs = 4_000;
const maxFollowed = 200;

export function makeMount(options: MountOptions): McpMount {
  const { services, serve, changes, log } = options;
  const closing = new AbortController();
  // The request is our own object, made here: whatever a client sends, it finds only what its own door said.
  const askings = new WeakMap<Request, Asking>();
  const handler = createMcpHandler(
    ({ requestInfo, era }) => {
      const asking = requestInfo && askings.get(requestInfo);
      if (!asking) throw new Error("an MCP request came without its door");
      try {
        return serve(asking, era);
      } catch (error) {
        log.error({ err: error }, "an MCP server could not be made");
        throw error;
      }
    },
    // What is told there beside our own faults are requests that break the protocol; their senders have the answer.
    { bus: changes.bus, onerror: () => undefined },
  );

  async function handle(request: IncomingMessage, response: ServerResponse, actor: Actor): Promise<void> {
    if (request.method !== "POST") return answerProblem(response, onlyPost(request.method ?? ""), { allow: "POST" });
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, closing.signal]);
    response.once("close", () => over.abort());
    const asking: Asking = { actor, groups: groupsOf(request.url ?? ""), signal };
    const listening = await narrow(await readJson(request), asking, options);
    const end = listening.uris && (await changes.watch(listening.uris));
    const check = setInterval(() => void recheck(), options.tokenCheckMs ?? tokenCheckMs);
    const recheck = async (): Promise<void> => {
      // A store that does not answer proves nothing against the caller; the next check asks again.
      if (!(await isLive(services, actor).catch(() => true))) over.abort();
    };
    try {
      const asked = await toWebRequest(request, listening.body, { signal });
      askings.set(asked, asking);
      await send(await handler.fetch(asked, { parsedBody: listening.body }), response, signal);
    } finally {
      clearInterval(check);
      end?.();
    }
  }

  return {
    path: "/mcp",
    handle,
    async close() {
      closing.abort();
      await handler.close();
      await changes.close();
    },
  };
}

const onlyPost = (method: string): AppError =>
  new AppError("method_not_allowed", `${method.slice(0, 20)} is not allowed here`, {
    why: "each message comes as a POST of its own, and changes come on the answer to subscriptions/listen",
    fix: ["use POST"],
  });

async function isLive({ db, clock }: MountOptions["services"], actor: Actor): Promise<boolean> {
  const found = await findLiveToken(db.read, actor.token);
  return found !== null && (found.token.expiresAt === null || found.token.expiresAt > clock.now());
}

/** `?groups=all`, `?groups=agents,events`; without it the default ones. */
function groupsOf(url: string): Asking["groups"] {
  const text = new URL(url, "http://localhost").searchParams.get("groups");
  if (text === null) return "default";
  return text === "all" ? "all" : text.split(",").filter(Boolean);
}

interface Listening {
  body: unknown;
  /** What is to be followed; null for every other request. */
  uris: string[] | null;
}

/**
 * A request for changes is cut down to what its caller may know of; the protocol's acknowledgement then names only that.
 * Throws AppError invalid_input for more than one request should ask.
 */
async function narrow(body: unknown, asking: Asking, { followable }: MountOptions): Promise<Listening> {
  const message = isObject(body) && body.method === "subscriptions/listen" && isObject(body.params) ? body : null;
  const params = message && isObject(message.params) ? message.params : null;
  const wanted = params && isObject(params.notifications) ? params.notifications : null;
  if (!wanted) return { body, uris: null };
  const named = Array.isArray(wanted.resourceSubscriptions) ? wanted.resourceSubscriptions : [];
  if (named.length > maxFollowed)
    throw invalidInput(`a subscription names at most ${maxFollowed} resources`, `this one names ${named.length}`);
  const uris = await followable(
    named.filter((uri) => typeof uri === "string"),
    asking,
  );
  const { resourceSubscriptions: _, resourcesListChanged, ...others } = wanted;
  const notifications = {
    ...others,
    ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}),
    // What there is changes for people only: an agent has its one session.
    ...(asking.actor.kind === "person" && resourcesListChanged !== undefined ? { resourcesListChanged } : {}),
  };
  return { body: { ...message, params: { ...params, notifications } }, uris };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Writes the answer as it comes, with the headers that every answer has. A client that takes nothing is cut. */
async function send(answer: Response, response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (response.destroyed) return;
  writeHead(response, answer.status, Object.fromEntries(answer.headers));
  response.socket?.setNoDelay(true);
  response.flushHeaders();
  if (answer.body) {
    const reader = answer.body.getReader();
    const stop = (): void => void reader.cancel().catch(() => undefined); // it is over anyway
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (let next = await reader.read(); !next.done && !signal.aborted; next = await reader.read()) {
        if (response.write(next.value) || (await taken(response, signal))) continue;
        stop();
        response.destroy();
        return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
  response.end();
}

/** Resolves to true when the client has taken what was written (or it is over), to false when it took nothing for a while. */
async function taken(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  let sent = -1;
  while (!signal.aborted && !response.destroyed && response.writableNeedDrain) {
    const now = response.socket?.bytesWritten ?? 0;
    if (now === sent) return false;
    sent = now;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(stallMs)]);
    await once(response, "drain", { signal: limit }).catch(() => undefined); // looked at again above
  }
  return true;
}

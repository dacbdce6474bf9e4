// A scripted model server for tests, on loopback: it speaks OpenAI Chat Completions, OpenAI Responses, Anthropic Messages and Gemini,
// obeys what prompts say ("WRITE file.txt: hello"), follows rules, and keeps every request. Real agents believe that it is a model.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { asObject, isObject, newestPrompt, transcript, type Conversation, type Json } from "./conversation.ts";
import { anthropic, chat, responses, type Dialect } from "./dialects.ts";
import { gemini, geminiPath } from "./gemini.ts";
import { fits, replyOf, type Rule } from "./script.ts";

export type { Rule } from "./script.ts";

export interface LoggedRequest {
  /** Counted from 0 in the order of arrival. */
  number: number;
  method: string;
  path: string;
  /** The authorization header, or the key as Anthropic (x-api-key) or Gemini (x-goog-api-key, ?key=) takes it, as it came. */
  authorization: string | null;
  headers: Record<string, string>;
  body: unknown;
  /** The newest words of the user, and everything that was said, as rules see it. "" for requests that are no model call. */
  newest: string;
  conversation: string;
  /** Names of the tools that the client offered. */
  tools: string[];
  /** The name or the position of the rule that answered; null when none did. */
  rule: string | null;
  /** open while the answer is under way; cut when the client went away before its end. */
  state: "open" | "answered" | "cut";
}

export interface ModelServer {
  /** http://127.0.0.1:port, without /v1. */
  url: string;
  port: number;
  requests: LoggedRequest[];
  rules: Rule[];
  /** Replaces all rules; their counts begin anew. */
  setRules(rules: Rule[]): void;
  /** Lets requests go on that wait "until released": those of the rule with this name, or all. Returns how many. */
  release(name?: string): number;
  /** The first request, past or future, that fits; rejects after `timeoutMs` (default 15 s). A request changes when it ends: poll `state` by another call. */
  waitFor(predicate: (request: LoggedRequest) => boolean, timeoutMs?: number): Promise<LoggedRequest>;
  /** Ends every open answer and the server; harmless twice. */
  close(): Promise<void>;
}

export interface ModelServerOptions {
  port?: number;
  /** Requests must carry exactly this key (in any of the ways of `authorization`), else 401. */
  key?: string;
}

interface Waiting {
  predicate: (request: LoggedRequest) => boolean;
  resolve: (request: LoggedRequest) => void;
}

const dialects: Record<string, Dialect> = { "/chat/completions": chat, "/responses": responses, "/messages": anthropic };
const modelNames = ["mock-model", "gpt-5.5", "claude-sonnet-4-5", "gemini-2.5-pro"];

/** Starts the server on 127.0.0.1. */
export async function startModelServer(rules: Rule[] = [], options: ModelServerOptions = {}): Promise<ModelServer> {
  const requests: LoggedRequest[] = [];
  const waiting = new Set<Waiting>();
  const held = new Set<{ rule: string | null; go: () => void }>();
  const uses = new Map<Rule, number>();

  const tell = (request: LoggedRequest): void => {
    for (const one of waiting) if (one.predicate(request)) one.resolve(request);
  };

  const chooseRule = (conversation: Conversation): Rule | undefined => {
    const rule = handle.rules.find((each) => (uses.get(each) ?? 0) < (each.times ?? Infinity) && fits(each, conversation));
    if (rule) uses.set(rule, (uses.get(rule) ?? 0) + 1);
    return rule;
  };

  const hold = (rule: string | null, response: ServerResponse): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        held.delete(one);
        resolve();
      };
      const one = { rule, go };
      held.add(one);
      response.once("close", one.go);
    });

  const answer = async (request: LoggedRequest, body: Json, dialect: Dialect, response: ServerResponse): Promise<void> => {
    const conversation = dialect.read(body);
    const rule = chooseRule(conversation);
    request.newest = newestPrompt(conversation).text;
    request.conversation = transcript(conversation);
    request.tools = conversation.tools.map(({ name }) => name);
    request.rule = rule ? (rule.name ?? String(handle.rules.indexOf(rule))) : null;
    tell(request);
    if (rule?.delay === "until released") await hold(request.rule, response);
    else if (rule?.delay) await new Promise((resolve) => setTimeout(resolve, Number(rule.delay)));
    if (response.destroyed) return;
    if (rule?.error) {
      const { status, message = `scripted error ${status}`, retryAfterSeconds } = rule.error;
      if (retryAfterSeconds !== undefined) response.setHeader("retry-after", String(retryAfterSeconds));
      return sendJson(response, status, dialect.error(status, message));
    }
    const reply = replyOf(conversation, rule);
    if (!conversation.stream && rule?.stream === undefined) return sendJson(response, 200, dialect.whole(conversation, reply));
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    const [first = "", ...rest] = dialect.stream(conversation, reply);
    response.write(first);
    if (rule?.stream === "silent") return hold(request.rule, response).then(() => void response.destroy());
    if (rule?.stream === "broken") return void setImmediate(() => response.destroy());
    response.end(rest.join(""));
  };

  const handleRequest = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(incoming.url ?? "/", "http://127.0.0.1");
    const path = url.pathname;
    const google = geminiPath(path);
    const given = parse(await readAll(incoming));
    const body = google && isObject(given) ? { ...given, model: google.model, stream: google.method.startsWith("stream") } : given;
    if (path.startsWith("/control/")) return control(handle, path, body, response);
    const request = logged(requests.length, incoming, url, given);
    requests.push(request);
    response.once("close", () => {
      request.state = response.writableFinished ? "answered" : "cut";
      tell(request);
    });
    const endpoint = path.replace(/^\/v1(?=\/)/, "");
    const dialect =
      incoming.method !== "POST" ? undefined : google && /^(streamG|g)enerateContent$/.test(google.method) ? gemini : dialects[endpoint];
    if (!dialect) tell(request);
    if (options.key !== undefined && request.authorization?.replace(/^Bearer /i, "") !== options.key) {
      tell(request);
      return sendJson(response, 401, (dialect ?? chat).error(401, "the key is wrong"));
    }
    if (dialect) return answer(request, asObject(body), dialect, response);
    if (google?.method === "countTokens") return sendJson(response, 200, { totalTokens: Math.ceil(JSON.stringify(given).length / 4) });
    if (endpoint === "/models") return sendJson(response, 200, modelList());
    if (endpoint === "/messages/count_tokens") return sendJson(response, 200, { input_tokens: Math.ceil(JSON.stringify(body).length / 4) });
    return sendJson(response, 404, chat.error(404, `nothing is served at ${incoming.method} ${path}`));
  };

  const server = createServer((incoming, response) => {
    handleRequest(incoming, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, chat.error(500, `the model server failed: ${String(error)}`));
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", () => resolve());
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;

  const handle: ModelServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    rules: [...rules],
    setRules(next) {
      uses.clear();
      handle.rules = [...next];
    },
    release(name) {
      const going = [...held].filter((one) => name === undefined || one.rule === name);
      for (const one of going) one.go();
      return going.length;
    },
    waitFor(predicate, timeoutMs = 15_000) {
      const known = requests.find(predicate);
      if (known) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        const one: Waiting = { predicate, resolve: (request) => (finish(), resolve(request)) };
        const timer = setTimeout(() => {
          finish();
          reject(
            new Error(
              `no request fitted within ${timeoutMs} ms; seen: ${JSON.stringify(requests.map(({ path, newest }) => [path, newest]))}`,
            ),
          );
        }, timeoutMs);
        const finish = (): void => {
          clearTimeout(timer);
          waiting.delete(one);
        };
        waiting.add(one);
      });
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      handle.release();
      server.closeAllConnections();
      await closed;
    },
  };
  return handle;
}

function logged(number: number, incoming: IncomingMessage, { pathname: path, searchParams }: URL, body: unknown): LoggedRequest {
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  const authorization = headers.authorization ?? headers["x-api-key"] ?? headers["x-goog-api-key"] ?? searchParams.get("key");
  const nothing = { newest: "", conversation: "", tools: [], rule: null };
  return { number, method: incoming.method ?? "", path, authorization, headers, body, ...nothing, state: "open" };
}

/** For tests in another process: read the log, replace the rules, let held requests go. */
function control(server: ModelServer, path: string, body: unknown, response: ServerResponse): void {
  if (path === "/control/requests") return sendJson(response, 200, { requests: server.requests });
  if (path === "/control/rules" && isObject(body) && Array.isArray(body.rules)) {
    server.setRules(body.rules as Rule[]);
    return sendJson(response, 200, { rules: server.rules.length });
  }
  if (path === "/control/release")
    return sendJson(response, 200, { released: server.release(isObject(body) ? (body.name as string) : undefined) });
  return sendJson(response, 404, { error: "GET /control/requests, POST /control/rules {rules}, POST /control/release {name?}" });
}

const modelList = (): Json => ({
  object: "list",
  data: modelNames.map((id) => ({ id, object: "model", type: "model", display_name: id, created: 1_700_000_000, owned_by: "tests" })),
});

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

/** Not JSON is kept as text: the log must show what came. */
function parse(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { AppError, errorFromBody, toAppError, type ErrorBody } from "../../errors.ts";
import { readServerSentEvents } from "../http/sse-reader.ts";

/**
 * MCP over stdio: each line is one JSON-RPC message, and each is passed on to the running server as the HTTP request that it
 * stands for (MCP 2026-07-28, transports). Nothing is decided here. The server is looked for with every message, so that
 * one that was started again is found again; while there is none, each request is answered with what to do about it.
 */
export interface BridgeOptions {
  input: Readable;
  output: Writable;
  /** Where the server is and with what token. Throws AppError. */
  locate(): Promise<{ url: string; token: string }>;
  /** Groups of tools to ask for; null: the default ones. */
  groups: string | null;
}

const maxLineChars = 8 * 1024 * 1024;
/** After the end of the input, short requests may still be answered (`echo ... | tutti mcp`). */
const graceMs = 1_000;

const Id = z.union([z.string(), z.number()]);
const Message = z.looseObject({ method: z.string().optional(), id: Id.optional(), params: z.looseObject({}).optional() });
type Message = z.infer<typeof Message>;
type Id = z.infer<typeof Id>;

/** Resolves when the input has ended and nothing of it is left. */
export async function bridge({ input, output, locate, groups }: BridgeOptions): Promise<void> {
  const open = new Map<Id, { over: AbortController; listening: boolean }>();
  const running = new Set<Promise<void>>();
  const ended = new AbortController();
  /** What a client of 2025 agreed on with the server; those of 2026 say it in every message. */
  let agreed: string | null = null;

  const write = async (message: unknown): Promise<void> => {
    if (output.write(`${JSON.stringify(message)}\n`)) return;
    await once(output, "drain", { signal: ended.signal }).catch(() => undefined); // nobody reads any more
  };

  async function pass(message: Message): Promise<void> {
    const { id, method = "" } = message;
    const over = new AbortController();
    if (id !== undefined) open.set(id, { over, listening: method === "subscriptions/listen" });
    try {
      let isAnswered = false;
      for await (const answer of ask(message, AbortSignal.any([over.signal, ended.signal]))) {
        if (id !== undefined && answer.id === id && answer.method === undefined) {
          isAnswered = true;
          if (method === "initialize") agreed = Agreed.safeParse(answer).data?.result.protocolVersion ?? null;
        }
        await write(answer);
      }
      if (id !== undefined && !isAnswered)
        throw new AppError("unreachable", "the connection to the Tutti server was lost", { fix: ["try again"] });
    } catch (error) {
      if (id !== undefined && !over.signal.aborted && !ended.signal.aborted) await write(refusal(id, toAppError(error)));
    } finally {
      if (id !== undefined) open.delete(id);
    }
  }

  async function* ask(message: Message, signal: AbortSignal): AsyncGenerator<Message> {
    const { url, token } = await locate();
    const answer = await send(new URL(groups === null ? "/mcp" : `/mcp?groups=${encodeURIComponent(groups)}`, url), {
      method: "POST",
      redirect: "error",
      signal,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headersOf(message, agreed),
      },
      body: JSON.stringify(message),
    });
    const type = answer.headers.get("content-type") ?? "";
    if (answer.body && type.startsWith("text/event-stream")) {
      for await (const { data } of readServerSentEvents(answer.body)) yield Message.parse(JSON.parse(data));
      return;
    }
    const text = await answer.text();
    if (text === "") return;
    const body = JSON.parse(text) as object;
    if (!("jsonrpc" in body)) throw errorFromBody(body as Partial<ErrorBody>);
    yield Message.parse(body);
  }

  const lines = createInterface({ input, crlfDelay: Infinity });
  lines.on("line", (line) => {
    if (line.trim() === "") return;
    const message = line.length > maxLineChars ? null : parse(line);
    if (!message) return void write({ jsonrpc: "2.0", id: null, error: { code: -32700, message: "this line is no JSON-RPC message" } });
    const { method, params, id } = message;
    // Answers to questions that the server did not ask.
    if (method === undefined) return;
    if (method === "notifications/cancelled") {
      // Over HTTP a request is cancelled by leaving it.
      const cancelled = Id.safeParse(params?.requestId);
      if (cancelled.success) open.get(cancelled.data)?.over.abort();
      return;
    }
    if (id !== undefined && open.has(id)) return void write(refusal(id, new AppError("conflict", `there is a request ${id} already`)));
    const passing = pass(message);
    running.add(passing);
    void passing.finally(() => running.delete(passing));
  });
  await once(lines, "close");
  for (const { over, listening } of open.values()) if (listening) over.abort();
  await Promise.race([Promise.allSettled(running), wait(graceMs, undefined, { ref: false })]);
  ended.abort();
  await Promise.allSettled(running);
}

const Agreed = z.object({ result: z.object({ protocolVersion: z.string() }) });

function parse(line: string): Message | null {
  try {
    return Message.parse(JSON.parse(line));
  } catch {
    return null; // The other side is told.
  }
}

/** Throws AppError unreachable. */
async function send(url: URL, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, request);
  } catch (error) {
    throw new AppError("unreachable", "the Tutti server does not answer", {
      why: `it should be at ${url.origin}`,
      fix: ["tutti up"],
      cause: error,
    });
  }
}

const versionKey = "io.modelcontextprotocol/protocolVersion";
/** Which field of its params a message is about; the header repeats it (SEP-2243). */
const nameOf: Record<string, string> = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

function headersOf({ method = "", params }: Message, agreed: string | null): Record<string, string> {
  const meta = z.looseObject({ [versionKey]: z.string() }).safeParse(params?._meta);
  if (!meta.success) return agreed === null || method === "initialize" ? {} : { "mcp-protocol-version": agreed };
  const field = Object.hasOwn(nameOf, method) ? nameOf[method] : undefined;
  const name = field === undefined ? undefined : params?.[field];
  return {
    "mcp-protocol-version": headerText(String(meta.data[versionKey])),
    "mcp-method": headerText(method),
    ...(typeof name === "string" ? { "mcp-name": headerText(name) } : {}),
  };
}

/** As it is, or as Base64 when a header could not hold it or would change it. */
function headerText(value: string): string {
  const plain = /^[\t\x20-\x7e]+$/.test(value) && value === value.trim() && !/^=\?base64\?.*\?=$/.test(value);
  return plain ? value : `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

const refusal = (id: Id, error: AppError): object => ({
  jsonrpc: "2.0",
  id,
  error: {
    code: -32603,
    message: [error.message, error.why, ...error.fix.map((fix) => `try: ${fix}`)].filter(Boolean).join("; "),
    data: error.toJSON(),
  },
});

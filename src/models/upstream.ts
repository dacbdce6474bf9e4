import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Protocol } from "./model.ts";
import { Refusal } from "./refusal.ts";

/** How each vendor takes its key. */
export function keyHeaders(protocol: Protocol, key: string | null): Record<string, string> {
  if (key === null) return {};
  switch (protocol) {
    case "openai":
      return { authorization: `Bearer ${key}` };
    case "anthropic":
      return { "x-api-key": key };
    case "google":
      return { "x-goog-api-key": key };
  }
}

export interface Ask {
  method: string;
  headers: Record<string, string>;
  body: Buffer | null;
  /** To have a connection at all. */
  connectMs: number;
  /** Nothing heard for so long: cut. */
  idleMs: number;
  signal: AbortSignal;
}

/**
 * Asks a provider and follows nothing: a redirect is an answer like any other. Rejects with a Refusal in our own words: the
 * system's error could name what it was called with.
 */
export function ask(url: URL, { method, headers, body, connectMs, idleMs, signal }: Ask): Promise<IncomingMessage> {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers, signal });
    const late = setTimeout(
      () => request.destroy(new Refusal(504, `there was no connection to the provider within ${connectMs} ms`)),
      connectMs,
    );
    request.setTimeout(idleMs, () => request.destroy(new Refusal(504, `the provider said nothing for ${idleMs} ms`)));
    request.once("socket", (socket) => {
      const connected = (): void => clearTimeout(late);
      if (socket.connecting) socket.once(url.protocol === "https:" ? "secureConnect" : "connect", connected);
      else connected();
    });
    request.once("close", () => clearTimeout(late));
    request.on("error", (error: NodeJS.ErrnoException) => {
      reject(error instanceof Refusal ? error : new Refusal(502, `the provider cannot be reached (${error.code ?? "no answer"})`));
    });
    request.once("response", resolve);
    request.end(body ?? undefined);
  });
}

const longestBody = 64 * 1024;

/**
 * A short answer, whole; empty when it is longer than 64 KB or breaks off. Never a part of one: it could end in the middle of a
 * key, and would not be known for it.
 */
export async function shortBody(answered: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of answered as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (bytes > longestBody) return Buffer.alloc(0);
    }
  } catch {
    // It broke off: its status says enough.
    return Buffer.alloc(0);
  }
  return Buffer.concat(parts);
}

/** Until something of an answer is there, or its end. Rejects with a Refusal when it breaks off before. */
export function firstByte(answered: IncomingMessage): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const broken = (error: unknown): void => reject(error instanceof Refusal ? error : new Refusal(502, "the provider's answer broke off"));
  answered.once("readable", resolve);
  answered.once("end", resolve);
  answered.once("error", broken);
  answered.once("close", broken);
  return promise;
}

import type { Readable, Writable } from "node:stream";
import type { AnyMessage, Stream } from "@agentclientprotocol/sdk";
import { LineTooLong, linesOf } from "./lines.ts";

/** The program said something that is no ACP message: there is no way on with it. */
export class BrokenProtocol extends Error {
  override readonly name = "BrokenProtocol";
}

type Message = Record<string, unknown>;

/**
 * ACP over a program's stdin and stdout: one JSON object a line. Unlike the SDK's own stream it ends at the first line that is none
 * (with a BrokenProtocol), and it shows every message to `onMessage` first, in order: session updates are taken there, because the
 * SDK does not promise to run their handlers before it answers the prompt that they belong to.
 * Only what the SDK can use is passed on to it: requests, and answers to what it asked.
 */
export function acpStream(options: {
  stdin: Writable;
  stdout: Readable;
  /** The longest line that is read, in bytes. */
  lineLimit: number;
  /** Returns true when the message is dealt with. */
  onMessage(message: Message): boolean;
  /** Awaited between pieces of output: a reader that is slow makes the program wait. */
  room(): Promise<void>;
}): Stream {
  const { stdin, stdout, lineLimit, onMessage, room } = options;
  const asked = new Set<unknown>();
  const readable = new ReadableStream<AnyMessage>({
    async start(controller) {
      try {
        for await (const line of linesOf(stdout, lineLimit, room)) {
          const message = parseMessage(line);
          if (onMessage(message) || !isForUs(message, asked)) continue;
          controller.enqueue(message as unknown as AnyMessage);
        }
        controller.close();
      } catch (error) {
        controller.error(error instanceof LineTooLong ? new BrokenProtocol(error.message, { cause: error }) : error);
      }
    },
  });
  const writable = new WritableStream<AnyMessage>({
    async write(message) {
      if ("method" in message && "id" in message) asked.add(message.id);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
      await promise;
    },
  });
  return { readable, writable };
}

function isForUs(message: Message, asked: Set<unknown>): boolean {
  if (typeof message.method === "string") return "id" in message || message.method.startsWith("$/");
  return asked.delete(message.id);
}

/** An empty line says nothing and harms nothing: the empty object is what nobody takes. */
function parseMessage(line: string): Message {
  const text = line.trim();
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BrokenProtocol(`it printed something that is no message: ${JSON.stringify(text.slice(0, 120))}`, { cause: error });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Message;
  throw new BrokenProtocol(`it printed something that is no message: ${text.slice(0, 120)}`);
}

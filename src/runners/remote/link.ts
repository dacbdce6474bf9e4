import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import { errorFromBody, isErrorCode, toAppError } from "../../errors.ts";
import type { RunnerLease } from "../lease.ts";
import type { RunnerEnd } from "../link.ts";
import { ToRunner, type FromRunner } from "../message.ts";
import { batchBytes, mostMessages, silenceMs, TellAnswer, type Told } from "./protocol.ts";
import type { Line } from "./line.ts";

/**
 * The runner's end of a link over HTTP, for one life of the runner. What is told goes out in its order, many messages in one request
 * and one request at a time, and is told again until a server has answered or the lease is over. Messages to the runner come on one
 * long answer that is opened again when it ends.
 */
export interface RemoteLink extends RunnerEnd {
  /** Nothing is told or heard any more; what waits is answered as refused. Harmless twice. */
  close(): void;
}

interface Waiting {
  /** `<task>#<attempt>` */
  of: string;
  text: string;
  resolve(taken: boolean): void;
  reject(error: Error): void;
}

const againMs = { first: 50, most: 1_000 };
const tellMs = 10_000;
/** Live text that waits for its turn: above this the oldest is dropped. */
const mostHints = mostMessages;

export function openRemoteLink({ line, lease, log }: { line: Line; lease: RunnerLease; log: Logger }): RemoteLink {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, lease.lost]);
  let waiting: Waiting[] = [];
  let hints: string[] = [];
  let isSending = false;

  signal.addEventListener("abort", () => refuse(waiting.splice(0)), { once: true });

  async function send(): Promise<void> {
    if (isSending) return;
    isSending = true;
    let pauseMs = againMs.first;
    while (!signal.aborted && waiting.length + hints.length > 0) {
      const batch = takeBatch(waiting);
      const told = hints;
      hints = [];
      try {
        const again = settle(batch, await tellAll([...told, ...batch.map(({ text }) => text)], told.length));
        pauseMs = again.length > 0 ? againMs.most : againMs.first;
        waiting = [...again, ...waiting];
        if (again.length > 0) await pause(pauseMs);
      } catch (error) {
        // Nobody knows whether it was taken: it is told again, and the server knows it by its number.
        waiting = [...batch, ...waiting];
        const { code, message, why } = toAppError(error);
        if (code !== "unreachable") log.warn({ code, message, why }, "the server did not take what the runner told");
        await pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, againMs.most);
      }
    }
    isSending = false;
    if (signal.aborted) refuse(waiting.splice(0));
  }

  /** The answers for the messages behind the first `skipped`. */
  async function tellAll(texts: string[], skipped: number): Promise<Told[]> {
    const text = `{"messages":[${texts.join(",")}]}`;
    const { answers } = TellAnswer.parse(await line.ask("/runner/tell", text, { timeoutMs: tellMs, signal }));
    return answers.slice(skipped);
  }

  const pause = (ms: number): Promise<void> => wait(ms, undefined, { signal }).catch(() => undefined); // It is over: seen by the loop.

  async function listen(handler: (message: ToRunner) => void): Promise<void> {
    let pauseMs = againMs.first;
    while (!signal.aborted) {
      const server = await line.server();
      try {
        for await (const text of readLines(line, lease.epoch, signal)) {
          if (text !== "" && !signal.aborted) handler(ToRunner.parse(JSON.parse(text)));
          pauseMs = againMs.first;
        }
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = toAppError(error);
        if (code !== "unreachable") log.warn({ code, message, err: error }, "the server's messages broke off");
      }
      // Whichever way it ended, a server that is going away must not be asked first.
      if (server !== null) line.moveOn(server);
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, againMs.most);
    }
  }

  return {
    tell(message) {
      if (signal.aborted) return Promise.resolve(false);
      const text = JSON.stringify(message);
      if (message.kind === "delta") {
        hints = [...hints.slice(1 - mostHints), text];
        void send();
        return Promise.resolve(true);
      }
      return new Promise((resolve, reject) => {
        waiting.push({ of: keyOf(message), text, resolve, reject });
        void send();
      });
    },
    receive: (handler) => void listen(handler),
    close: () => over.abort(),
  };
}

const keyOf = (message: FromRunner): string => `${message.task}#${message.attempt}`;
const refuse = (given: Waiting[]): void => given.forEach(({ resolve }) => resolve(false));

/** The first of those that wait, at least one, as many as fit into a request. */
function takeBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  const fits = waiting.findIndex(({ text }, index) => index === mostMessages || ((bytes += text.length) > batchBytes && index > 0));
  return waiting.splice(0, fits === -1 ? waiting.length : fits);
}

/** Resolves what was answered; answers what has to be told again, in its order. */
function settle(batch: Waiting[], answers: Told[]): Waiting[] {
  return batch.filter((one, index) => {
    const answer = answers[index];
    switch (answer?.kind) {
      case "accepted":
      case "refused":
        one.resolve(answer.kind === "accepted");
        return false;
      case "failed":
        if (answer.error.retryable) return true;
        one.reject(errorFromBody({ ...answer.error, code: isErrorCode(answer.error.code) ? answer.error.code : "internal" }));
        return false;
      case "later":
      case undefined:
        return true;
    }
  });
}

/** The lines of one connection, empty ones too, until it ends. Throws AppError; an error, too, when nothing is heard for a while. */
async function* readLines(line: Line, epoch: number, signal: AbortSignal): AsyncGenerator<string> {
  const silence = new AbortController();
  const response = await line.open({
    method: "GET",
    path: `/runner/messages?epoch=${epoch}`,
    timeoutMs: silenceMs,
    signal: AbortSignal.any([signal, silence.signal]),
  });
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of response) {
      timer.refresh();
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

import type { FromRunner, RunnerLink, ToRunner } from "./message.ts";

/** Both ends of a link inside one process. Everything passes as JSON, as it would between two machines. */
export interface LocalLink {
  /** The server's end. */
  server: { send(message: ToRunner): void; receive(handler: (message: FromRunner) => Promise<boolean>): void };
  /** The runner's end. */
  runner: RunnerLink & { receive(handler: (message: ToRunner) => void): void };
}

const copy = <T>(message: T): T => JSON.parse(JSON.stringify(message)) as T;

export function makeLocalLink(): LocalLink {
  let toServer: ((message: FromRunner) => Promise<boolean>) | null = null;
  let toRunner: ((message: ToRunner) => void) | null = null;
  return {
    server: {
      send: (message) => toRunner?.(copy(message)),
      receive: (handler) => {
        toServer = handler;
      },
    },
    runner: {
      tell: async (message) => (toServer ? await toServer(copy(message)) : false),
      receive: (handler) => {
        toRunner = handler;
      },
    },
  };
}

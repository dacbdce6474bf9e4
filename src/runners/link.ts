import type { FromRunner, RunnerLink, ToRunner } from "./message.ts";

/** The runner's end of a link, in this process or over HTTP. */
export interface RunnerEnd extends RunnerLink {
  receive(handler: (message: ToRunner) => void): void;
}

/**
 * Both ends of a link inside one process. Only plain data passes, as it would between two machines, and the messages of one attempt one
 * after the other, because their numbers are taken in their order. Nothing is copied: whoever sends a message has made it for that, and
 * neither end changes what it was told (the remote link's tests hold both to JSON).
 */
export interface LocalLink {
  /** The server's end. */
  server: { send(message: ToRunner): void; receive(handler: (message: FromRunner) => Promise<boolean>): void };
  runner: RunnerEnd;
}

export function makeLocalLink(): LocalLink {
  let toServer: ((message: FromRunner) => Promise<boolean>) | null = null;
  let toRunner: ((message: ToRunner) => void) | null = null;
  const lanes = new Map<string, Promise<unknown>>();

  function inOrder(message: FromRunner): Promise<boolean> {
    const pass = async (): Promise<boolean> => (toServer ? await toServer(message) : false);
    if (message.kind === "delta") return pass();
    const key = `${message.task}#${message.attempt}`;
    const told = (lanes.get(key) ?? Promise.resolve()).then(pass);
    const settled = told.catch(() => undefined); // Whoever told it hears of it.
    lanes.set(key, settled);
    void settled.then(() => lanes.get(key) === settled && lanes.delete(key));
    return told;
  }

  return {
    server: {
      send: (message) => toRunner?.(message),
      receive: (handler) => {
        toServer = handler;
      },
    },
    runner: {
      tell: inOrder,
      receive: (handler) => {
        toRunner = handler;
      },
    },
  };
}

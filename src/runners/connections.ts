import type { ToRunner } from "./message.ts";

/** A runner that this server can speak to: its own, or a process that is connected to it. */
export interface Connection {
  readonly runner: string;
  readonly epoch: number;
  send(message: ToRunner): void;
  /** Another connection of the same runner took its place. */
  close(): void;
}

/**
 * The runners that listen to this server. What is sent to one that does not is lost, and that is harmless: whoever connects is told
 * everything again that it must know, made from rows.
 */
export interface Connections {
  /** Answers what takes it out again. */
  add(connection: Connection): () => void;
  find(runner: string): Connection | null;
  all(): Connection[];
  send(runner: string, message: ToRunner): void;
  onConnect(listener: (connection: Connection) => void): () => void;
}

export function makeConnections(): Connections {
  const connected = new Map<string, Connection>();
  const listeners = new Set<(connection: Connection) => void>();
  return {
    add(connection) {
      connected.get(connection.runner)?.close();
      connected.set(connection.runner, connection);
      for (const listener of listeners) listener(connection);
      return () => {
        if (connected.get(connection.runner) === connection) connected.delete(connection.runner);
      };
    },
    find: (runner) => connected.get(runner) ?? null,
    all: () => [...connected.values()],
    send: (runner, message) => connected.get(runner)?.send(message),
    onConnect(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

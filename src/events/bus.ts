import { EventEmitter } from "node:events";
import type { StoredEvent } from "../db/plan.ts";

/** A piece of an agent's answer as it is written: shown live, never stored, dropped for slow readers. */
export interface Delta {
  session: string;
  turn: number;
  kind: "text" | "thought" | "tool";
  text: string;
}

/** Wake-ups inside one server. Hints only: whoever listens also polls, and reads the store for what is true. */
export interface Bus {
  /** After a commit: its events, and the streams that have news (also from other servers, then without events). */
  wake(news: { streams: string[]; events: StoredEvent[] }): void;
  onWake(listener: (news: { streams: string[]; events: StoredEvent[] }) => void): () => void;
  delta(delta: Delta): void;
  onDelta(session: string, listener: (delta: Delta) => void): () => void;
}

export function makeBus(): Bus {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  const on = <T>(name: string, listener: (value: T) => void): (() => void) => {
    emitter.on(name, listener);
    return () => emitter.off(name, listener);
  };
  return {
    wake: (news) => void emitter.emit("wake", news),
    onWake: (listener) => on("wake", listener),
    delta: (delta) => void emitter.emit(`delta:${delta.session}`, delta),
    onDelta: (session, listener) => on(`delta:${session}`, listener),
  };
}

import type { StoredEvent } from "./plan.ts";

interface Wake {
  streams: string[];
  events: StoredEvent[];
}

/** Who is told after a commit. */
export interface CommitListeners {
  add(listener: (wake: Wake) => void): () => void;
  tell(wake: Wake): void;
  /** The events of one commit, if there are any, with the streams they belong to. */
  tellEvents(events: StoredEvent[]): void;
}

export function makeCommitListeners(): CommitListeners {
  const listeners = new Set<(wake: Wake) => void>();
  // Each in a microtask of its own: a listener that throws is a bug that rises by itself and takes no other listener or commit along.
  const tell = (wake: Wake): void => {
    for (const listener of listeners) queueMicrotask(() => listener(wake));
  };
  return {
    add(listener) {
      const own = (wake: Wake): void => listener(wake);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    tell,
    tellEvents(events) {
      if (events.length > 0) tell({ streams: [...new Set(events.map((event) => event.stream))], events });
    },
  };
}

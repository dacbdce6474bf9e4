import { setTimeout as wait } from "node:timers/promises";
import type { ServerEvent, ServerEventBus } from "@modelcontextprotocol/server";
import type { StoredEvent } from "../../db/plan.ts";
import { followEvents } from "../../events/follow.ts";
import type { Services } from "../../services.ts";
import { addressOf, inboxUri, uriOf } from "./resources.ts";

/**
 * Subscriptions: which resources an event changes, told to those who follow them. One reader of the events serves all
 * subscribers and runs only while there are any; who may follow what is decided before (mount.ts). A resource that changes
 * often is told at once and then at most twice a second, the last change always.
 */
export interface Changes {
  /** What the protocol's subscriptions listen to. */
  bus: ServerEventBus;
  /** Resolves when changes from now on are told; what it answers ends that. */
  watch(uris: readonly string[]): Promise<() => void>;
  close(): Promise<void>;
}

const restMs = 500;

export function makeChanges({ db, bus: wakes }: Pick<Services, "db" | "bus">, { onError }: { onError(error: unknown): void }): Changes {
  const listeners = new Set<(event: ServerEvent) => void>();
  const publish = (event: ServerEvent): void => listeners.forEach((listener) => listener(event));
  const told = makeRests((key) =>
    publish(key === listChanged ? { kind: "resources_list_changed" } : { kind: "resource_updated", uri: key }),
  );
  let watchers = 0;
  let reader: Reader | null = null;

  return {
    bus: {
      publish,
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    async watch(uris) {
      watchers += 1;
      reader ??= readEvents({ read: db.read, wakes, onEvent: (event) => changedBy(event).forEach((key) => told.touch(key)), onError });
      // What an agent says is stored a moment later, without an event of its own.
      const offs = sessionsIn(uris).map((id) => wakes.onDelta(id, () => told.touch(uriOf("sessions", id))));
      let over = false;
      const end = (): void => {
        if (over) return;
        over = true;
        for (const off of offs) off();
        watchers -= 1;
        if (watchers > 0) return;
        void reader?.stop();
        reader = null;
      };
      try {
        await reader.ready;
      } catch (error) {
        end();
        throw error;
      }
      return end;
    },
    async close() {
      told.close();
      await reader?.stop();
    },
  };
}

const listChanged = "list";

const sessionsIn = (uris: readonly string[]): string[] =>
  uris.flatMap((uri) => {
    const address = addressOf(uri);
    return address?.kind === "sessions" ? [address.id] : [];
  });

const makesSomething = new Set(["task.created", "run.created", "session.created"]);
/** What can change what waits for a person. */
const changesInbox = /^(approval|inbox)\.|^task\.(needs-you|resumed|settled|requeued|stop-requested)$|^run\.(settled|retried)$/;

/** The resources that an event changes; `list` for what there is. */
export function changedBy({ type, task, run, session }: Pick<StoredEvent, "type" | "task" | "run" | "session">): string[] {
  return [
    ...(task ? [uriOf("tasks", task)] : []),
    ...(run ? [uriOf("runs", run)] : []),
    ...(session ? [uriOf("sessions", session)] : []),
    ...(changesInbox.test(type) ? [inboxUri] : []),
    ...(makesSomething.has(type) ? [listChanged] : []),
  ];
}

interface Reader {
  ready: Promise<void>;
  stop(): Promise<void>;
}

interface ReadOptions {
  read: Services["db"]["read"];
  wakes: Services["bus"];
  onEvent(event: StoredEvent): void;
  onError(error: unknown): void;
}

const againMs = 1_000;

/** Follows all events until it is stopped. A store that fails later is asked again from where it was; at the start it is told. */
function readEvents({ read, wakes, onEvent, onError }: ReadOptions): Reader {
  const over = new AbortController();
  const ready = Promise.withResolvers<void>();
  let after: string | null = null;
  const follow = async (): Promise<void> => {
    for await (const item of followEvents({ read, bus: wakes, stream: null, after, from: "now", signal: over.signal })) {
      after = item.id;
      if (item.event === "event") onEvent(item.data);
      else ready.resolve();
    }
  };
  const done = (async () => {
    while (!over.signal.aborted) {
      try {
        await follow();
      } catch (error) {
        onError(error);
        if (after === null) return ready.reject(error);
        await wait(againMs, undefined, { signal: over.signal }).catch(() => undefined); // stopped meanwhile
      }
    }
  })();
  return {
    ready: ready.promise,
    async stop() {
      over.abort();
      ready.resolve();
      await done;
    },
  };
}

/** Tells a key at once when it has rested, else when its rest is over; many touches in between are one. */
function makeRests(tell: (key: string) => void): { touch(key: string): void; close(): void } {
  const resting = new Map<string, { again: boolean; timer: NodeJS.Timeout }>();
  const begin = (key: string): void => {
    tell(key);
    const timer = setTimeout(() => {
      const again = resting.get(key)?.again ?? false;
      resting.delete(key);
      if (again) begin(key);
    }, restMs);
    timer.unref();
    resting.set(key, { again: false, timer });
  };
  return {
    touch(key) {
      const rest = resting.get(key);
      if (rest) rest.again = true;
      else begin(key);
    },
    close() {
      for (const { timer } of resting.values()) clearTimeout(timer);
      resting.clear();
    },
  };
}

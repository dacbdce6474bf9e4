import type { Reader } from "../db/plan.ts";
import type { Bus, Delta } from "../events/bus.ts";
import { followEvents, type EventItem } from "../events/follow.ts";

/** A hint that a conversation has grown is told at most this often for each. */
const hintEveryMs = 250;
const idleMs = 15_000;
/** Live text that a slow reader has not taken is dropped above this: the transcript has it all. */
const maxWaitingDeltas = 500;

interface LiveOptions {
  read: Reader;
  bus: Bus;
  /** Conversations that somebody has open: their live text comes along, and hints that they have grown. */
  sessions: readonly string[];
  /** Last-Event-ID: a place in the events. What was said meanwhile is asked for by the transcript's own cursor. */
  after: string | null;
  signal: AbortSignal;
}

export type LiveItem = EventItem | { event: "delta"; data: Delta } | { event: "transcript"; data: { session: string } };

/**
 * All that one browser wants to hear, in one stream: the events of every project (numbered, none is missed), and for some
 * sessions their live text. Text is no state: after a gap the reader goes on in the transcript from where it was.
 */
export async function* followLive({ read, bus, sessions, after, signal }: LiveOptions): AsyncGenerator<LiveItem, void> {
  let deltas: Delta[] = [];
  const grown = new Set(sessions);
  let hintAt = 0;
  let wake = (): void => undefined;
  const offs = sessions.map((session) =>
    bus.onDelta(session, (delta) => {
      if (deltas.length < maxWaitingDeltas) deltas.push(delta);
      grown.add(session);
      wake();
    }),
  );
  const events = followEvents({ read, bus, stream: null, after, from: "now", signal });
  let next = events.next();
  try {
    while (!signal.aborted) {
      const live = deltas;
      deltas = [];
      for (const data of live) yield { event: "delta", data };
      if (grown.size > 0 && performance.now() >= hintAt) {
        for (const session of grown) yield { event: "transcript", data: { session } };
        grown.clear();
        hintAt = performance.now() + hintEveryMs;
      }
      if (deltas.length > 0) continue;
      const woken = new Promise<null>((resolve) => {
        const timer = setTimeout(() => wake(), grown.size > 0 ? Math.max(1, hintAt - performance.now()) : idleMs);
        wake = () => {
          clearTimeout(timer);
          resolve(null);
        };
      });
      const came = await Promise.race([next, woken]);
      wake();
      if (came === null) continue;
      if (came.done) return;
      const item = came.value;
      if (item.event === "event" && item.data.session !== null && sessions.includes(item.data.session)) grown.add(item.data.session);
      yield item;
      next = events.next();
    }
  } finally {
    for (const off of offs) off();
    await events.return();
  }
}

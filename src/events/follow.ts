import { z } from "zod";
import { jsonOf } from "../cursor.ts";
import type { Reader, StoredEvent } from "../db/plan.ts";
import { makeAlarm } from "./alarm.ts";
import type { Bus } from "./bus.ts";
import { listEventsOfStream, listHeads } from "./store.ts";

/**
 * Following events: gapless and in order within each stream. The store is what is true; the bus only wakes. Because a
 * stream's numbers are dense, events that the bus brings can be used as they are when they begin right behind our cursor,
 * which saves every follower a read for every commit; with the smallest gap we read the store instead.
 */
const pollMs = 2_000;
const batch = 200;
/** What the bus brought and was not taken yet; above this we forget it and read the store. */
const maxWaiting = 1_000;

/** The place in all streams: stream -> the number of the last event that was seen. A stream that is not named is new. */
export type Cursor = Map<string, number>;

const CursorText = z.record(z.string().max(100), z.int().min(0));

export const cursorText = (cursor: Cursor): string => Buffer.from(JSON.stringify(Object.fromEntries(cursor))).toString("base64url");

/** null for a text that is no cursor of ours. */
export function cursorOfText(text: string): Cursor | null {
  const parsed = CursorText.safeParse(jsonOf(text));
  return parsed.success ? new Map(Object.entries(parsed.data)) : null;
}

interface FollowOptions {
  read: Reader;
  bus: Bus;
  /** One stream; null for all, also those that are made later. */
  stream: string | null;
  /** Last-Event-ID; null: `from` says where to begin. */
  after: string | null;
  from: "now" | "start";
  signal: AbortSignal;
}

export type EventItem = { id: string; event: "event"; data: StoredEvent } | { id: string; event: "ready" | "reset"; data: object };

/**
 * First `ready` with the place where it begins: state that is asked for afterwards misses nothing. `reset` says that the
 * place is older than what is kept (or of another store): the caller asks for the state again and goes on from here.
 */
export async function* followEvents({ read, bus, stream, after, from, signal }: FollowOptions): AsyncGenerator<EventItem, void> {
  const alarm = makeAlarm(signal);
  let brought: StoredEvent[] = [];
  /** Streams that have news; all of them at first and when the bus was quiet for a while. */
  let news: Set<string> | "all" = "all";
  const off = bus.onWake(({ streams, events }) => {
    const ours = stream === null ? streams : streams.filter((id) => id === stream);
    if (ours.length === 0) return;
    if (news !== "all") for (const id of ours) news.add(id);
    if (brought.length + events.length > maxWaiting) {
      brought = [];
      news = "all";
    } else brought.push(...(stream === null ? events : events.filter((event) => event.stream === stream)));
    alarm.ring();
  });
  try {
    const { cursor, reset } = await startAt(read, { stream, after, from });
    yield { id: cursorText(cursor), event: reset ? "reset" : "ready", data: {} };
    while (!signal.aborted) {
      const [events, named] = [brought, news];
      brought = [];
      news = new Set();
      for (const event of events) {
        if (event.seq === seqOf(cursor, event.stream) + 1) yield advance(cursor, event);
      }
      for (const id of await streamsToRead(read, cursor, { stream, named, events })) yield* readStream(read, cursor, id, signal);
      // A quiet bus proves nothing: other servers' wake-ups may be lost.
      if (!(await alarm.wait(pollMs))) news = "all";
    }
  } finally {
    off();
  }
}

const seqOf = (cursor: Cursor, stream: string): number => cursor.get(stream) ?? 0;

function advance(cursor: Cursor, event: StoredEvent): EventItem {
  cursor.set(event.stream, event.seq);
  return { id: cursorText(cursor), event: "event", data: event };
}

/** Streams whose news did not come with the bus, or only behind a gap. */
async function streamsToRead(
  read: Reader,
  cursor: Cursor,
  { stream, named, events }: { stream: string | null; named: Set<string> | "all"; events: StoredEvent[] },
): Promise<string[]> {
  if (named === "all") {
    const heads = await listHeads(read, stream);
    return heads.filter(({ id, seq }) => seq > seqOf(cursor, id)).map(({ id }) => id);
  }
  const newest = new Map(events.map((event) => [event.stream, event.seq]));
  return [...named].filter((id) => (newest.get(id) ?? Infinity) > seqOf(cursor, id));
}

/** Everything behind the cursor. Numbers are dense: where some are missing they are no longer kept. */
async function* readStream(read: Reader, cursor: Cursor, stream: string, signal: AbortSignal): AsyncGenerator<EventItem, void> {
  for (;;) {
    const after = seqOf(cursor, stream);
    const events = await listEventsOfStream(read, { stream, after, limit: batch });
    for (const event of events) {
      if (signal.aborted) return;
      if (event.seq !== seqOf(cursor, stream) + 1) {
        cursor.set(stream, event.seq - 1);
        yield { id: cursorText(cursor), event: "reset", data: { stream } };
      }
      yield advance(cursor, event);
    }
    if (events.length < batch) return;
  }
}

async function startAt(
  read: Reader,
  { stream, after, from }: { stream: string | null; after: string | null; from: "now" | "start" },
): Promise<{ cursor: Cursor; reset: boolean }> {
  const heads = new Map((await listHeads(read, stream)).map(({ id, seq }) => [id, seq]));
  if (after === null) return { cursor: from === "now" ? heads : new Map(), reset: false };
  const known = cursorOfText(after);
  if (!known || [...known].some(([id, seq]) => (stream === null || id === stream) && seq > (heads.get(id) ?? 0))) {
    return { cursor: heads, reset: true };
  }
  return { cursor: new Map([...known].filter(([id]) => stream === null || id === stream)), reset: false };
}

import type { Db, Reader, Statement, StoredEvent } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import { listEventsOfStream } from "../events/store.ts";
import { noticeOf, topicOf } from "./describe.ts";
import type { Notice } from "./notification.ts";
import { deliveryId, insertDelivery, listListening, movePosition, type Listening } from "./store.ts";

/**
 * From events to deliveries, each exactly once: a channel's place in a stream moves in the plan that writes the deliveries before
 * it, from the place that was read. Events that tell nobody anything move it in memory only; after a restart they are read again
 * and tell nobody anything again.
 */
export interface Follower {
  /** Looks at everything new in a stream. */
  follow(stream: string, signal: AbortSignal): Promise<void>;
}

const batch = 200;
/** So many events are read again at most after a restart. */
const maxBehind = 500;

export function makeFollower(db: Db): Follower {
  /** By channel and stream: the last event that was looked at. */
  const seen = new Map<string, number>();
  const keyOf = (channel: string, stream: string): string => `${channel} ${stream}`;
  const placeOf = ({ channel, seq }: Listening, stream: string): number => Math.max(seq, seen.get(keyOf(channel, stream)) ?? 0);

  async function decide(stream: string) {
    const before = await listListening(db.read, stream);
    if (before.length === 0) return { plan: null, result: null };
    const after = Math.min(...before.map((listening) => placeOf(listening, stream)));
    const events = await listEventsOfStream(db.read, { stream, after, limit: batch });
    const end = events.at(-1)?.seq;
    if (end === undefined) return { plan: null, result: null };
    // Asked for once more behind the events: a channel that is older than one of them is among these.
    const channels = await listListening(db.read, stream);
    const notices = await noticesOf(db.read, events, channels);
    const statements = channels.flatMap((channel) => {
      const told = notices.filter(({ event, notice }) => event.seq > placeOf(channel, stream) && channel.topics.includes(notice.topic));
      return told.length > 0 || end - channel.seq >= maxBehind ? writeDown(channel, { stream, end, told }) : [];
    });
    return {
      plan: statements.length > 0 ? { statements, events: [] } : null,
      result: { channels: channels.map(({ channel }) => channel), end, more: events.length === batch },
    };
  }

  return {
    async follow(stream, signal) {
      while (!signal.aborted) {
        const { result } = await transact(db, () => decide(stream));
        if (!result) return;
        for (const channel of result.channels) {
          const key = keyOf(channel, stream);
          seen.set(key, Math.max(result.end, seen.get(key) ?? 0));
        }
        if (!result.more) return;
      }
    },
  };
}

interface Told {
  event: StoredEvent;
  notice: Notice;
}

const writeDown = (channel: Listening, { stream, end, told }: { stream: string; end: number; told: Told[] }): Statement[] => [
  movePosition(channel, stream, end),
  ...told.map(({ event, notice }) => insertDelivery(deliveryId(event, channel.channel), channel.channel, notice)),
];

async function noticesOf(read: Reader, events: StoredEvent[], channels: Listening[]): Promise<Told[]> {
  const told: Told[] = [];
  for (const event of events) {
    const topic = topicOf(event);
    if (topic === null || !channels.some(({ topics, seq }) => topics.includes(topic) && event.seq > seq)) continue;
    const notice = await noticeOf(read, event, topic);
    if (notice) told.push({ event, notice });
  }
  return told;
}

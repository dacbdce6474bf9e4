import { createHash } from "node:crypto";
import { join, list, onlyPostgres, sql, statement, type Reader, type Sql, type Statement } from "../db/plan.ts";
import type { Channel, Delivery, Notice, Topic } from "./notification.ts";

export interface ChannelRow {
  name: string;
  kind: Channel["kind"];
  url: string;
  key_name: string | null;
  topics: string;
  enabled: number;
  message: string | null;
  created_at: number;
}

const channelColumns = sql`name, kind, url, key_name, topics, enabled, message, created_at`;

export const toChannel = (row: ChannelRow): Channel => ({
  name: row.name,
  kind: row.kind,
  url: row.url,
  topics: JSON.parse(row.topics) as Topic[],
  enabled: row.enabled === 1,
  hasSecret: row.key_name !== null,
  message: row.message,
  createdAt: row.created_at,
});

export const findChannel = (read: Reader, name: string): Promise<ChannelRow | null> =>
  read.one<ChannelRow>(sql`select ${channelColumns} from channels where name = ${name}`);

/** In the order of their names, behind `after`. */
export const listChannels = (read: Reader, { after, limit }: { after: string; limit: number }): Promise<ChannelRow[]> =>
  read.all<ChannelRow>(sql`select ${channelColumns} from channels where name > ${after} order by name limit ${limit}`);

export async function listKeyNames(read: Reader): Promise<string[]> {
  const rows = await read.all<{ key_name: string }>(sql`select key_name from channels where key_name is not null`);
  return rows.map(({ key_name: keyName }) => keyName);
}

export async function countChannels(read: Reader): Promise<number> {
  return Number((await read.one<{ count: number }>(sql`select count(*) as count from channels`))?.count ?? 0);
}

export const insertChannel = (row: ChannelRow): Statement =>
  statement(sql`
    insert into channels (${channelColumns})
    values (${row.name}, ${row.kind}, ${row.url}, ${row.key_name}, ${row.topics}, ${row.enabled}, ${row.message}, ${row.created_at})`);

/** Only while it is as it was read: a secret was given for one address. */
export const updateChannel = (row: ChannelRow, old: ChannelRow): Statement =>
  statement(sql`
    update channels set kind = ${row.kind}, url = ${row.url}, key_name = ${row.key_name}, topics = ${row.topics}, enabled = ${row.enabled},
           message = ${row.message}
     where name = ${old.name} and kind = ${old.kind} and url = ${old.url} and coalesce(key_name, '') = ${old.key_name ?? ""}
       and topics = ${old.topics} and enabled = ${old.enabled}`);

export const disableChannel = (name: string, message: string): Statement =>
  statement(sql`update channels set enabled = 0, message = ${message} where name = ${name} and enabled = 1`);

export const deleteChannel = (name: string): Statement => statement(sql`delete from channels where name = ${name}`);

/** The channel hears of nothing that has happened so far, in any stream. */
export const startFromNow = (name: string): Statement[] => [
  forgetPositions(name),
  statement(sql`insert into notified (channel, stream, seq) select ${name}, id, seq from streams`, "any"),
];

/** A channel that is not enabled, or gone, has no place in any stream: who decides by an old place is overtaken. */
const forgetPositions = (name: string): Statement => statement(sql`delete from notified where channel = ${name}`, "any");

/**
 * What a channel that sends no more leaves behind. After the statement that changes the channel itself: that one waits for a follower
 * that is writing deliveries for it (`movePosition`), and these then see them.
 */
export const endDeliveries = (name: string, message: string, except = ""): Statement[] => [
  forgetPositions(name),
  statement(
    sql`update deliveries set state = 'failed', message = ${message}, updated_at = tutti_now()
         where channel = ${name} and state = 'queued' and id <> ${except}`,
    "any",
  ),
];

/** A channel that is enabled, and the last event of one stream that it was told of (or needed not be). */
export interface Listening {
  channel: string;
  topics: Topic[];
  seq: number;
}

export async function listListening(read: Reader, stream: string): Promise<Listening[]> {
  const rows = await read.all<{ name: string; topics: string; seq: number | null }>(sql`
    select c.name, c.topics, n.seq from channels c left join notified n on n.channel = c.name and n.stream = ${stream}
     where c.enabled = 1 order by c.name`);
  return rows.map(({ name, topics, seq }) => ({ channel: name, topics: JSON.parse(topics) as Topic[], seq: seq ?? 0 }));
}

export const isAnyEnabled = async (read: Reader): Promise<boolean> =>
  (await read.one(sql`select 1 as found from channels where enabled = 1 limit 1`)) !== null;

/**
 * Moves a channel's place from where it was read: the fence that lets one of several followers write the deliveries between.
 * On PostgreSQL the first place in a stream holds the channel's row, so that it is not disabled meanwhile.
 */
export const movePosition = ({ channel, seq }: Listening, stream: string, to: number): Statement =>
  seq === 0
    ? statement(sql`
        insert into notified (channel, stream, seq)
        select name, ${stream}, cast(${to} as bigint) from channels where name = ${channel} and enabled = 1 ${onlyPostgres("for share")}`)
    : statement(sql`update notified set seq = ${to} where channel = ${channel} and stream = ${stream} and seq = ${seq}`);

/** Of the event and the channel alone, so that the same notification has one id, whoever makes it and however often. */
export const deliveryId = (event: { stream: string; seq: number }, channel: string): string =>
  `ntf_${createHash("sha256")
    .update(JSON.stringify([event.stream, event.seq, channel]))
    .digest("hex")
    .slice(0, 32)}`;

export const insertDelivery = (id: string, channel: string, notice: Notice): Statement =>
  statement(
    sql`insert into deliveries (id, channel, topic, payload, state, attempts, next_at, created_at, updated_at)
        values (${id}, ${channel}, ${notice.topic}, ${JSON.stringify(notice)}, 'queued', 0, tutti_now(), ${notice.at}, ${notice.at})
        on conflict (id) do nothing`,
    "any",
  );

export interface DeliveryRow {
  id: string;
  channel: string;
  payload: string;
  state: Delivery["state"];
  attempts: number;
  next_at: number;
  message: string | null;
  created_at: number;
  updated_at: number;
}

const deliveryColumns = sql`id, channel, payload, state, attempts, next_at, message, created_at, updated_at`;

export function toDelivery(row: DeliveryRow): Delivery {
  const { at: _at, ...notice } = JSON.parse(row.payload) as Notice;
  return {
    id: row.id,
    channel: row.channel,
    state: row.state,
    attempts: row.attempts,
    message: row.message,
    ...notice,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    nextAt: row.state === "queued" ? row.next_at : null,
  };
}

/** The newest first. */
export function listDeliveries(
  read: Reader,
  filter: { state?: Delivery["state"]; channel?: string; before: { at: number; id: string } | null; limit: number },
): Promise<DeliveryRow[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.state) conditions.push(sql`state = ${filter.state}`);
  if (filter.channel) conditions.push(sql`channel = ${filter.channel}`);
  if (filter.before) {
    const { at, id } = filter.before;
    conditions.push(sql`(created_at < ${at} or (created_at = ${at} and id < ${id}))`);
  }
  return read.all<DeliveryRow>(sql`
    select ${deliveryColumns} from deliveries where ${join(conditions, " and ")} order by created_at desc, id desc limit ${filter.limit}`);
}

/** Channels that are enabled and have something to send now. */
export const listDueChannels = (read: Reader): Promise<ChannelRow[]> =>
  read.all<ChannelRow>(sql`
    select ${channelColumns} from channels c
     where enabled = 1 and exists (select 1 from deliveries d where d.channel = c.name and d.state = 'queued' and d.next_at <= tutti_now())
     order by name`);

/** What a channel sends next; `lateMs`: only what nobody took for so long. */
export const findDue = (read: Reader, channel: string, lateMs: number): Promise<DeliveryRow | null> =>
  read.one<DeliveryRow>(sql`
    select ${deliveryColumns} from deliveries
     where channel = ${channel} and state = 'queued' and next_at <= tutti_now() - ${lateMs} order by next_at, created_at, id limit 1`);

/** Takes it for one attempt. When that is not settled by then (this server was killed), it is due again. */
export const claimDelivery = ({ id, attempts, next_at: nextAt }: DeliveryRow, leaseMs: number): Statement =>
  statement(sql`
    update deliveries set attempts = attempts + 1, next_at = tutti_now() + ${leaseMs}, updated_at = tutti_now()
     where id = ${id} and state = 'queued' and attempts = ${attempts} and next_at = ${nextAt} and next_at <= tutti_now()
       and exists (select 1 from channels c where c.name = deliveries.channel and c.enabled = 1)`);

/** `attempt` is the fence: whoever took it later has another number. */
export const settleDelivery = (
  { id, attempt }: { id: string; attempt: number },
  end: { state: Delivery["state"]; waitMs: number; message: string },
): Statement =>
  statement(sql`
    update deliveries set state = ${end.state}, next_at = tutti_now() + ${end.waitMs}, message = ${end.message}, updated_at = tutti_now()
     where id = ${id} and state = 'queued' and attempts = ${attempt}`);

/** An attempt that was broken off because this server stops: due at once, and not counted. */
export const giveBack = ({ id, attempt }: { id: string; attempt: number }): Statement =>
  statement(
    sql`update deliveries set attempts = attempts - 1, next_at = tutti_now() where id = ${id} and state = 'queued' and attempts = ${attempt}`,
    "any",
  );

/** Deliveries that are over are kept for so long; what makes them exist once is the position, not the row. */
export const forgetDeliveries = (olderThanMs: number): Statement =>
  statement(
    sql`delete from deliveries where id in (
          select id from deliveries where state in (${list(["sent", "failed"])}) and created_at < tutti_now() - ${olderThanMs} limit 1000)`,
    "any",
  );

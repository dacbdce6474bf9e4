import { join, sql, type Reader, type Sql, type StoredEvent } from "../db/plan.ts";

interface EventRow {
  stream: string;
  seq: number;
  type: string;
  at: number;
  task: string | null;
  run: string | null;
  session: string | null;
  data: string;
}

const columns = sql`stream, seq, type, at, task, run, session, data`;

const toEvent = (row: EventRow): StoredEvent => ({
  stream: row.stream,
  seq: row.seq,
  type: row.type,
  at: row.at,
  task: row.task,
  run: row.run,
  session: row.session,
  // A payload that was erased leaves the event, without its data.
  data: row.data === "" ? {} : (JSON.parse(row.data) as Record<string, unknown>),
});

export interface EventPosition {
  at: number;
  stream: string;
  seq: number;
}

/** In the order of their time (within a stream: of their numbers), behind `behind`. */
export async function listEvents(
  read: Reader,
  filter: { stream?: string; task?: string; run?: string; after?: number; behind: EventPosition | null; limit: number },
): Promise<StoredEvent[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.stream !== undefined) conditions.push(sql`stream = ${filter.stream}`);
  if (filter.task !== undefined) conditions.push(sql`task = ${filter.task}`);
  if (filter.run !== undefined) conditions.push(sql`run = ${filter.run}`);
  if (filter.after !== undefined) conditions.push(sql`seq > ${filter.after}`);
  if (filter.behind) conditions.push(isBehind(filter.behind, filter.stream !== undefined));
  // Of one stream the number is the order, also when the clock went backwards.
  const order = filter.stream === undefined ? sql`at, stream, seq` : sql`seq`;
  const rows = await read.all<EventRow>(sql`
    select ${columns} from events where ${join(conditions, " and ")} order by ${order} limit ${filter.limit}`);
  return rows.map(toEvent);
}

const isBehind = ({ at, stream, seq }: EventPosition, oneStream: boolean): Sql =>
  oneStream ? sql`seq > ${seq}` : sql`(at > ${at} or (at = ${at} and (stream > ${stream} or (stream = ${stream} and seq > ${seq}))))`;

/** One stream's events behind a number, in order. */
export async function listEventsOfStream(
  read: Reader,
  { stream, after, limit }: { stream: string; after: number; limit: number },
): Promise<StoredEvent[]> {
  const rows = await read.all<EventRow>(sql`
    select ${columns} from events where stream = ${stream} and seq > ${after} order by seq limit ${limit}`);
  return rows.map(toEvent);
}

/** Each stream with the number of its newest event. */
export function listHeads(read: Reader, stream: string | null): Promise<{ id: string; seq: number }[]> {
  const condition = stream === null ? sql`1 = 1` : sql`id = ${stream}`;
  return read.all<{ id: string; seq: number }>(sql`select id, seq from streams where ${condition} order by id`);
}

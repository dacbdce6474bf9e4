import { hash } from "node:crypto";
import { type Reader, sql } from "./plan.ts";

/**
 * Every stream of events is a chain: each hash covers the one before it and the hash of its own data, so a lost, changed or
 * swapped event shows, and data can be erased without breaking the chain. The newest hash (head) stands in the stream's row.
 */
export interface Head {
  seq: number;
  head: string;
}

export const emptyHead: Head = { seq: 0, head: "" };

export const sha256 = (text: string): string => hash("sha256", text);

/** The head after one more event. Lines keep the fields apart: stream "a1" with number 2 is not stream "a" with number 12. */
export function nextHead(before: Head, event: { stream: string; type: string }, payloadHash: string): Head {
  const seq = before.seq + 1;
  return { seq, head: sha256(`${before.head}\n${payloadHash}\n${event.stream}\n${seq}\n${event.type}`) };
}

interface ChainRow {
  seq: number;
  type: string;
  data: string;
  payload_hash: string;
  hash: string;
}

const pageSize = 500;

/**
 * Follows a stream's chain from its first event to its head. Answers the number of the first event that is missing or does not
 * fit (the one after the last, when events are missing at the end), or null when all is well. Erased data ("") is not held against it.
 */
export async function firstBrokenEvent(read: Reader, stream: string): Promise<number | null> {
  let last = emptyHead;
  for (;;) {
    const rows = await read.all<ChainRow>(sql`
      select seq, type, data, payload_hash, hash from events where stream = ${stream} and seq > ${last.seq} order by seq limit ${pageSize}`);
    for (const row of rows) {
      const next = nextHead(last, { stream, type: row.type }, row.payload_hash);
      const dataFits = row.data === "" || sha256(row.data) === row.payload_hash;
      if (row.seq !== next.seq || row.hash !== next.head || !dataFits) return next.seq;
      last = next;
    }
    if (rows.length < pageSize) break;
  }
  const stored = await read.one<Head>(sql`select seq, head from streams where id = ${stream}`);
  return (stored ?? emptyHead).seq === last.seq && (stored ?? emptyHead).head === last.head ? null : last.seq + 1;
}

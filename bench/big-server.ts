import { entries } from "../src/commands.ts";
import { sql, statement } from "../src/db/plan.ts";
import { openPages } from "../src/entry/http/pages.ts";
import { openServer } from "../test/support/server.ts";
import { fillStore, type Filled } from "./fill.ts";
import { changes, newTask, play } from "./play.ts";

/**
 * A server of its own process with a filled store, for whoever measures what stands before it. It is told what to do by messages
 * of its parent and answers each with its number. Nothing assigns work here: what goes on is played.
 */
export type Order =
  /** Answers when it is over. */
  | { number: number; kind: "play"; events: number; perSecond: number }
  | { number: number; kind: "pause" }
  /** A new task with this title; answers when it was committed, ms. */
  | { number: number; kind: "task"; title: string }
  /** So many new entries in the long conversation, with their live text before. */
  | { number: number; kind: "speak"; entries: number }
  | { number: number; kind: "stop" };

export interface Ready {
  url: string;
  /** A person's. */
  token: string;
  filled: Filled;
  seconds: number;
}

const [dashboard = ""] = process.argv.slice(2);
const server = await openServer({ entries, pages: openPages(dashboard) });
const { db, bus, home } = server.services;
const began = performance.now();
const filled = await fillStore(db, home);
const next = changes();
let pausing = new AbortController();
let made = 0;
let spoken = 0;

const tell = (message: unknown): void => void process.send?.(message);
process.on("message", (order: Order) => void obey(order).then((answer) => tell({ number: order.number, answer })));
process.on("disconnect", () => process.exit(0));
const seconds = (performance.now() - began) / 1_000;
tell({ number: 0, answer: { url: server.url, token: server.tokens.person, filled, seconds } satisfies Ready });

async function obey(order: Order): Promise<unknown> {
  switch (order.kind) {
    case "play":
      pausing = new AbortController();
      return await play(db, next, order.events, order.perSecond, pausing.signal);
    case "pause":
      pausing.abort();
      return null;
    case "task": {
      made += 1;
      await db.commit(newTask(`T-${300_000 + made}`, "shop-01", order.title, Date.now()));
      return Date.now();
    }
    case "speak": {
      const { session } = filled.talkative;
      for (let entry = 0; entry < order.entries; entry += 1) {
        spoken += 1;
        const text = `Spoken sentence number ${spoken}. `;
        bus.delta({ session, turn: 2, kind: "text", text });
        const data = JSON.stringify({ turn: 2, at: Date.now(), kind: "text", text });
        const insert = sql`insert into transcript_segments (session, turn, part, data) values (${session}, 2, ${100_000 + spoken}, ${data})`;
        await db.commit({ statements: [statement(insert)], events: [] });
      }
      return spoken;
    }
    case "stop":
      await server.close();
      process.disconnect();
      return null;
  }
}

import { entries } from "../src/commands.ts";
import { usualDoorLimits } from "../src/config.ts";
import { openServer } from "../test/support/server.ts";

/** The door with the store, in a process of its own; its parent has the clients. Events are committed as fast as the clients take them. */
export type Told =
  /** Commit so many events; `taken` tells how far the clients are. */
  { kind: "publish"; events: number } | { kind: "taken"; events: number } | { kind: "memory" } | { kind: "stop" };

export type Answer =
  | { kind: "ready"; url: string; token: string }
  | { kind: "published"; last: number }
  /** In use after a collection, bytes. */
  | { kind: "memory"; bytes: number };

/** Events in one transaction, and how far the store may be ahead of the clients: what a busy team is, not a flood. */
const batch = 10;
const ahead = 500;
const stream = "shop";

// The clients share a token here; two hundred people would have their own.
const limits = { ...usualDoorLimits, streams: 1_000 };
const server = await openServer({ entries, limits, databaseUrl: process.env["BENCH_DATABASE_URL"] });
const { db } = server.services;
const say = (answer: Answer): void => void process.send?.(answer);
let taken = 0;
let published = 0;
let wake = (): void => {};

async function publish(events: number): Promise<void> {
  let last = 0;
  const until = published + events;
  while (published < until) {
    if (published - taken > ahead) {
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    const count = Math.min(batch, until - published);
    const committed = await db.commit({
      statements: [],
      events: Array.from({ length: count }, () => ({ stream, type: "task.settled", task: "T-1", session: "S-1", data: settled })),
    });
    if (committed.kind !== "committed") throw new Error("the events were refused");
    published += count;
    last = committed.events.at(-1)?.seq ?? last;
  }
  say({ kind: "published", last });
}

const settled = { id: "T-1", state: "done", reason: null, attempt: 1, verified: true };

process.on("message", (told: Told) => void obey(told));
process.on("disconnect", () => process.exit(0));

async function obey(told: Told): Promise<void> {
  switch (told.kind) {
    case "publish":
      return await publish(told.events);
    case "taken":
      taken = told.events;
      return wake();
    case "memory": {
      globalThis.gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return say({ kind: "memory", bytes: heapUsed + external });
    }
    case "stop":
      await server.close();
      process.disconnect();
  }
}

say({ kind: "ready", url: server.url, token: server.tokens.person });

import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { connectionConfig } from "./postgres-connection.ts";
import { channel } from "./postgres-writer.ts";

interface NewsOptions {
  url: string;
  /** This server's name in notifications; its own are passed over. */
  server: string;
  onNews: (streams: string[]) => void;
}

interface Listening {
  client: Client;
  over: Promise<void>;
}

const firstDelayMs = 50;
const longestDelayMs = 5_000;

/**
 * Tells of the streams in which other servers wrote, until `stop`, over as many connections as that takes. These are hints:
 * what was sent while the connection was away is lost, so after each gap every stream is named once. Rejects when the first
 * connection cannot be made.
 */
export async function listenForNews(options: NewsOptions): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  let current: Listening | null = await listen(options);
  const done = keepListening();

  async function keepListening(): Promise<void> {
    while (current) {
      await Promise.race([current.over, stopped]);
      if (stopping.signal.aborted) await current.client.end();
      current = await listenAgain(options, stopping.signal);
    }
  }

  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

async function listen({ url, server, onNews }: NewsOptions): Promise<Listening> {
  const client = new Client(connectionConfig(url, "tutti listener"));
  const over = new Promise<void>((resolve) => client.on("end", () => resolve()));
  // Without a listener a backend that is terminated would end this process; "end" follows and is acted on.
  client.on("error", () => undefined);
  client.on("notification", ({ payload }) => {
    const [sender, ...streams] = JSON.parse(payload ?? "[]") as string[];
    if (sender !== server && streams.length > 0) onNews(streams);
  });
  await client.connect();
  await client.query(`listen ${channel}`);
  return { client, over };
}

/** Tries until it listens again or is stopped (then null). */
async function listenAgain(options: NewsOptions, signal: AbortSignal): Promise<Listening | null> {
  for (let delayMs = firstDelayMs; !signal.aborted; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    try {
      const listening = await listen(options);
      const { rows } = await listening.client.query<{ id: string }>("select id from streams");
      if (rows.length > 0) options.onNews(rows.map(({ id }) => id));
      return listening;
    } catch {
      // Still down: whoever polls carries on meanwhile. Servers that lost it together do not all come back in the same instant.
      await sleep(delayMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }
  return null;
}

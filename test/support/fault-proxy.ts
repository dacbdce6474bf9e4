// A TCP proxy on loopback that breaks connections in the ways that networks do, when a test says so.
import { createServer, connect, type Server, type Socket } from "node:net";

export interface FaultProxy {
  host: "127.0.0.1";
  port: number;
  /** Connections that are open now. */
  connections(): number;
  /** Resets every open connection; new ones are accepted. Returns how many it cut. */
  cut(): number;
  /** Nothing passes (in one direction: a black hole one way); connections stay open, new ones are accepted and wait. */
  pause(direction?: Direction): void;
  resume(): void;
  /** Everything arrives so many milliseconds later, and up to `jitterMs` more, in order. 0: at once. */
  delay(ms: number, jitterMs?: number): void;
  /** Once: the next thing to the server with these words in it arrives there, and its connection is reset before any answer. null: no more. */
  cutAfter(words: string | null): void;
  /** How many connections `cutAfter` has cut. */
  cutAfterWords(): number;
  /** Bytes that have passed, both ways together. */
  passed(): number;
  /** New connections are refused by the system (nothing listens), open ones stay. */
  refuse(): Promise<void>;
  /** Listens again on the same port. */
  accept(): Promise<void>;
  /** Every connection is reset as soon as it has passed on so many bytes from now on, both ways together. null: no limit. */
  limit(bytes: number | null): void;
  close(): Promise<void>;
}

type Direction = "both" | "to server" | "to client";

interface Gate {
  closed: Direction;
  opened: Promise<void>;
  open: () => void;
}

interface Pair {
  client: Socket;
  upstream: Socket;
  passed: number;
  /** What is on its way, one after the other, for each direction. */
  queues: Map<Socket, Promise<void>>;
}

const mostQueued = 1024 * 1024;

/** Starts a proxy to `to`, which must be on this machine. `random` spreads the jitter: numbers in [0, 1). */
export async function startFaultProxy(options: { to: { host: string; port: number }; random?: () => number }): Promise<FaultProxy> {
  const { to, random = Math.random } = options;
  if (!/^(127\.\d+\.\d+\.\d+|localhost|::1)$/.test(to.host)) throw new Error(`the proxy serves loopback only, not ${to.host}`);
  const pairs = new Set<Pair>();
  let delayMs = 0;
  let byteLimit: number | null = null;
  let jitterMs = 0;
  let passedBytes = 0;
  let lastWords: Buffer | null = null;
  let cutsAfterWords = 0;
  let gate: Gate | null = null;

  const reset = (pair: Pair): void => {
    pairs.delete(pair);
    for (const socket of [pair.client, pair.upstream]) if (!socket.destroyed) socket.resetAndDestroy();
  };

  /** In order, whatever the delay was when it came; held back as long as the gate is closed. */
  const pass = (pair: Pair, from: Socket, to: Socket, act: () => void | Promise<void>): void => {
    const readyAt = performance.now() + delayMs + jitterMs * random();
    const direction = from === pair.client ? "to server" : "to client";
    const isHeld = (): boolean => gate !== null && (gate.closed === "both" || gate.closed === direction);
    const before = pair.queues.get(from) ?? Promise.resolve();
    const after = before.then(async () => {
      const wait = readyAt - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      while (isHeld()) await gate?.opened;
      if (!to.destroyed) await act();
    });
    pair.queues.set(from, after);
  };

  /** The server has what it was sent and goes on with it; the client never hears of it. */
  const leaveUnanswered = (pair: Pair): void => {
    pairs.delete(pair);
    cutsAfterWords += 1;
    pair.upstream.removeAllListeners("data").resume().end();
    pair.client.resetAndDestroy();
  };

  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    let queued = 0;
    from.on("data", (chunk) => {
      queued += chunk.length;
      // As a network would: whoever sends into a pause is held back after a while.
      if (queued > mostQueued) from.pause();
      pass(pair, from, to, async () => {
        const room = byteLimit === null ? chunk.length : Math.max(0, byteLimit - pair.passed);
        const isLast = lastWords !== null && to === pair.upstream && chunk.includes(lastWords);
        if (isLast) lastWords = null;
        pair.passed += chunk.length;
        passedBytes += Math.min(room, chunk.length);
        await new Promise<void>((resolve) => to.write(chunk.subarray(0, room), () => resolve()));
        if (isLast) return leaveUnanswered(pair);
        queued -= chunk.length;
        from.resume();
        if (byteLimit !== null && pair.passed >= byteLimit) reset(pair);
      });
    });
    from.on("end", () => pass(pair, from, to, () => void to.end()));
    from.on("error", () => reset(pair));
    from.on("close", () => {
      pairs.delete(pair);
      pass(pair, from, to, () => void to.end());
    });
  };

  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const upstream = connect({ ...to, allowHalfOpen: true });
    const pair: Pair = { client, upstream, passed: 0, queues: new Map() };
    pairs.add(pair);
    forward(pair, client, upstream);
    forward(pair, upstream, client);
    client.resume();
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  await listen(0);
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;

  // `server.close` calls back when the last connection has ended, but stops listening at once.
  const refuse = async (): Promise<void> => {
    if (server.listening) server.close();
  };
  const resume = (): void => {
    const before = gate;
    gate = null;
    before?.open();
  };

  return {
    host: "127.0.0.1",
    port,
    connections: () => pairs.size,
    cut() {
      const open = [...pairs];
      open.forEach(reset);
      return open.length;
    },
    pause(direction = "both") {
      // Whoever waits at the old gate looks whether the new one is closed for it too.
      resume();
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = { closed: direction, opened: promise, open: resolve };
    },
    resume,
    delay(ms, jitter = 0) {
      delayMs = ms;
      jitterMs = jitter;
    },
    cutAfter(words) {
      lastWords = words === null ? null : Buffer.from(words);
    },
    cutAfterWords: () => cutsAfterWords,
    passed: () => passedBytes,
    refuse,
    accept: () => (server.listening ? Promise.resolve() : listen(port)),
    limit(bytes) {
      byteLimit = bytes;
      for (const pair of pairs) pair.passed = 0;
    },
    async close() {
      await refuse();
      [...pairs].forEach(reset);
      resume();
    },
  };
}

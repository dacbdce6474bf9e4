import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Answer, Told } from "./sse-server.ts";

/**
 * Two hundred clients follow one project's events over HTTP; events arrive as fast as the slowest of them takes them. Every client must
 * get every event once. Then fifty more connect and read nothing, and the memory of the server says what one of them costs.
 */
const { values } = parseArgs({
  strict: false,
  options: { home: { type: "string" }, url: { type: "string" }, clients: { type: "string" } },
});
const home = String(values.home);
const clients = Number(values.clients ?? 200);
const warmUp = 500;
const events = 10_000;
const stalledClients = 50;
/** More than the kernel keeps for a connection. */
const stalledEvents = 60_000;
const stalledParts = 12;

/** Stands once in each event, and in nothing else. */
const mark = Buffer.from("\nevent: event\n");

mkdirSync(home, { recursive: true });
const server = fork(join(import.meta.dirname, "sse-server.ts"), [], {
  execArgv: ["--disable-warning=ExperimentalWarning", "--expose-gc"],
  // The test server's store lies in the temporary directory.
  env: { ...process.env, TMPDIR: home, ...(typeof values.url === "string" && { BENCH_DATABASE_URL: values.url }) },
});
const { url, token } = await answerOf("ready");
const readers = await Promise.all(Array.from({ length: clients }, () => follow(url, token)));
const telling = setInterval(() => tell({ kind: "taken", events: slowest() }), 2);
await published(warmUp);
const began = performance.now();
await published(events);
const seconds = (performance.now() - began) / 1_000;
const wrong = readers.map(({ count }) => count() - warmUp - events);
for (const { socket } of readers) socket.destroy();
clearInterval(telling);

tell({ kind: "taken", events: Number.MAX_SAFE_INTEGER });
await wait(500);
const before = await memory();
const stalled = await Promise.all(Array.from({ length: stalledClients }, () => follow(url, token)));
for (const { socket } of stalled) socket.pause();
// A client that takes nothing is cut after a while, so its cost is the most that was seen on the way.
let after = before;
for (let at = 0; at < stalledParts; at += 1) {
  tell({ kind: "publish", events: stalledEvents / stalledParts });
  await answerOf("published");
  after = Math.max(after, await memory());
}
for (const { socket } of stalled) socket.destroy();
tell({ kind: "stop" });
await once(server, "exit");
console.log(
  JSON.stringify({
    events_per_second: (events * clients) / seconds,
    seconds,
    clients,
    stalled_mib: (after - before) / stalledClients / 2 ** 20,
    lost: sum(wrong.filter((count) => count < 0).map((count) => -count)),
    doubled: sum(wrong.filter((count) => count > 0)),
  }),
);
process.exit(0);

function tell(told: Told): void {
  server.send(told);
}

/** The next answer of this kind. */
function answerOf<Kind extends Answer["kind"]>(kind: Kind): Promise<Extract<Answer, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      server.off("message", onAnswer);
      server.off("exit", onExit);
    };
    const onAnswer = (answer: Answer): void => {
      if (answer.kind !== kind) return;
      stop();
      resolve(answer as Extract<Answer, { kind: Kind }>);
    };
    const onExit = (code: number | null): void => {
      stop();
      reject(new Error(`the server ended with ${code}`));
    };
    server.on("message", onAnswer);
    server.on("exit", onExit);
  });
}

async function memory(): Promise<number> {
  tell({ kind: "memory" });
  return (await answerOf("memory")).bytes;
}

/** Resolves when so many more events were committed and every client has them. */
async function published(count: number): Promise<void> {
  const wanted = slowest() + count;
  tell({ kind: "publish", events: count });
  await answerOf("published");
  for (const limit = performance.now() + 60_000; slowest() < wanted;) {
    if (performance.now() > limit) throw new Error(`the slowest client has ${slowest()} of ${wanted} events after a minute`);
    await wait(1);
  }
}

function slowest(): number {
  return Math.min(...readers.map(({ count }) => count()));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** A client that counts the events it gets. It reads the bare connection: what Node's client costs is not the server's. */
async function follow(address: string, bearer: string): Promise<{ socket: Socket; count(): number }> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  let got = 0;
  let rest = Buffer.alloc(0);
  const opened = Promise.withResolvers<void>();
  socket.once("data", (head: Buffer) => {
    if (head.toString("latin1", 0, 15).startsWith("HTTP/1.1 200 ")) opened.resolve();
    else opened.reject(new Error(`the stream was refused: ${head.toString("latin1", 0, 500)}`));
  });
  socket.on("data", (chunk: Buffer) => {
    // A mark may be cut in two.
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) got += 1;
    rest = Buffer.from(text.subarray(Math.max(0, text.length - mark.length + 1)));
  });
  socket.on("error", (error) => opened.reject(error));
  socket.write(
    `GET /api/events?stream=shop HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${bearer}\r\nAccept: text/event-stream\r\n\r\n`,
  );
  await opened.promise;
  return { socket, count: () => got };
}

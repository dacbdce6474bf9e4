import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { suite, test, type TestContext } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { openServer, type Answer, type TestServer } from "../../../test/support/server.ts";
import { usualDoorLimits, type DoorLimits } from "../../config.ts";
import { sql } from "../../db/plan.ts";
import { AppError } from "../../errors.ts";
import { followEventsStream } from "../../events/commands.ts";
import { command, query, stream, type Actor } from "../../registry.ts";
import { admit, makeLimits } from "./limit.ts";
import type { StreamLimits } from "./sse.ts";

const ann: Actor = { kind: "person", token: "ann", name: "ann", session: null, scopes: null };
const bob: Actor = { ...ann, token: "bob", name: "bob" };
const agent: Actor = { kind: "agent", token: "S-1", name: "ada", session: "S-1", scopes: null };

const small: DoorLimits = { person: { perSecond: 10, burst: 20 }, agent: { perSecond: 1, burst: 2 }, requests: 4, streams: 2 };

const codeOf = (act: () => void): string | null => {
  try {
    act();
    return null;
  } catch (error) {
    assert.ok(error instanceof AppError);
    assert.ok(error.retryable && (error.retryAfterMs ?? 0) > 0, "it says when to come back");
    return error.code;
  }
};

suite("the bucket", () => {
  test("never lets more through than its burst and its rate, however the requests come", () => {
    const rates = fc.record({ perSecond: fc.integer({ min: 1, max: 5_000 }), burst: fc.integer({ min: 1, max: 10_000 }) });
    fc.assert(
      fc.property(rates, fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { maxLength: 500 }), (rate, gaps) => {
        let [at, fullAt, admitted] = [1_000, 0, 0];
        const began = at;
        for (const gap of gaps) {
          at += gap;
          const asked = admit(fullAt, at, rate);
          if (asked.waitMs === 0) admitted += 1;
          fullAt = asked.fullAt;
          assert.ok(admitted <= rate.burst + ((at - began) / 1_000) * rate.perSecond + 1e-6);
        }
      }),
    );
  });

  test("lets whoever waits as long as it says through", () => {
    const rate = { perSecond: 10, burst: 2 };
    let fullAt = 0;
    for (const at of [0, 0]) fullAt = admit(fullAt, at, rate).fullAt;
    const refused = admit(fullAt, 0, rate);
    assert.equal(refused.waitMs, 100);
    assert.equal(admit(refused.fullAt, 99, rate).waitMs, 1);
    assert.equal(admit(refused.fullAt, 100, rate).waitMs, 0);
  });
});

suite("the limits", () => {
  test("each token has a bucket of its own, an agent's a smaller one, and it fills again", () => {
    let at = 1_000;
    const limits = makeLimits(small, () => at);
    const ask = (actor: Actor): string | null => {
      const visit = limits.enter();
      const code = codeOf(() => visit.admit(actor));
      visit.leave();
      return code;
    };
    for (let count = 0; count < 20; count += 1) assert.equal(ask(ann), null);
    assert.equal(ask(ann), "rate_limited");
    assert.equal(ask(bob), null);
    assert.deepEqual([ask(agent), ask(agent), ask(agent)], [null, null, "rate_limited"]);
    at += 100;
    assert.deepEqual([ask(ann), ask(ann)], [null, "rate_limited"]);
  });

  test("so many requests are in work at once, half of them one token's, and leaving makes room, once", () => {
    const limits = makeLimits(small);
    const first = limits.enter();
    first.admit(ann);
    const second = limits.enter();
    second.admit(ann);
    const third = limits.enter();
    assert.equal(
      codeOf(() => third.admit(ann)),
      "busy",
      "half of all",
    );
    third.leave();
    const others = [limits.enter(), limits.enter()];
    for (const visit of others) visit.admit(bob);
    assert.equal(
      codeOf(() => limits.enter()),
      "busy",
    );
    first.leave();
    first.leave();
    limits.enter().admit(ann);
    assert.equal(
      codeOf(() => limits.enter()),
      "busy",
      "leaving twice makes room once",
    );
  });

  test("streams and waiting mounts are no work; each token has so many streams", () => {
    const limits = makeLimits(small);
    const open = (actor: Actor) => {
      const visit = limits.enter();
      visit.admit(actor);
      return visit;
    };
    const streams = [open(ann), open(ann)];
    for (const visit of streams) visit.follow();
    for (let count = 0; count < 10; count += 1) open(bob).rest();
    const third = open(ann);
    assert.equal(
      codeOf(() => third.follow()),
      "rate_limited",
    );
    third.leave();
    streams[0]?.leave();
    open(ann).follow();
  });

  test("what is remembered of tokens is bounded: whoever asks no more is forgotten", () => {
    let at = 1_000;
    const limits = makeLimits({ ...small, requests: 1_000 }, () => at);
    const ask = (token: string): void => {
      const visit = limits.enter();
      visit.admit({ ...ann, token });
      visit.leave();
    };
    let most = 0;
    for (let token = 0; token < 100_000; token += 1) {
      if (token % 1_000 === 0) at += 200;
      ask(`token-${token}`);
      most = Math.max(most, limits.remembered());
    }
    // 10,000, and those that come until the next look.
    assert.ok(most <= 15_000, String(most));
  });

  test("cost less than 2 µs a request", () => {
    const limits = makeLimits(usualDoorLimits, () => 1e12 + performance.now() * 1e6);
    const measure = (): number => {
      const began = performance.now();
      for (let count = 0; count < 100_000; count += 1) {
        const visit = limits.enter();
        visit.admit(ann);
        visit.leave();
      }
      return ((performance.now() - began) / 100_000) * 1_000;
    };
    // The best of five: what else runs on the machine is not the limits' cost.
    const best = Math.min(...Array.from({ length: 5 }, measure));
    assert.ok(best < 2, `${best.toFixed(3)} µs`);
  });
});

let release: () => void = () => undefined;
let onFloodOver: () => void = () => undefined;
type Nothing = Record<string, never>;
const flood = "x".repeat(64 * 1024);

const entries = [
  followEventsStream,
  command({
    name: "note.keep",
    help: "One durable event.",
    input: z.strictObject({ number: z.int() }),
    output: z.object({}),
    access: "person",
    decide: async ({ number }) => ({
      plan: { statements: [], events: [{ stream: "shop", type: "project.updated", data: { number } }] },
      result: {},
    }),
  }),
  query({
    name: "note.wait",
    help: "Until the test lets it go.",
    path: "/wait",
    input: z.object({}),
    output: z.object({}),
    access: "person",
    run: () => new Promise<Nothing>((resolve) => (release = () => resolve({}))),
  }),
  query({
    name: "note.now",
    help: "At once.",
    path: "/now",
    input: z.object({}),
    output: z.object({}),
    access: "person",
    run: async () => ({}),
  }),
  stream({
    name: "note.flood",
    help: "Without end.",
    path: "/flood",
    input: z.object({}),
    item: z.unknown(),
    access: "person",
    async *run(_input, _context, _after, signal) {
      try {
        while (!signal.aborted) yield { event: "drop", data: flood };
      } finally {
        onFloodOver();
      }
    },
  }),
];

async function open(t: TestContext, limits: DoorLimits, streams: Partial<StreamLimits> = {}): Promise<TestServer> {
  const server = await openServer({ entries, limits, streams });
  t.after(() => server.close());
  return server;
}

const keep = (server: TestServer, number: number): Promise<Answer> =>
  server.send("/api/commands/note.keep", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ number }),
  });

const kept = async ({ services }: TestServer): Promise<number> =>
  (await services.db.read.all(sql`select seq from events where stream = 'shop'`)).length;

interface Followed {
  socket: Socket;
  /** All that came, as far as the socket is read. */
  text(): string;
  /** The end of it: all of it is long. */
  tail(): string;
}

/** A stream that is read by hand, from its answer's head on. */
async function follow(server: TestServer, path: string, headers: Record<string, string> = {}): Promise<Followed> {
  const socket = connect(server.port, "127.0.0.1");
  const pieces: string[] = [];
  let tail = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    pieces.push(chunk);
    tail = (tail + chunk).slice(-8_192);
  });
  socket.on("error", () => socket.destroy());
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.tokens.person}\r\n${more.join("")}\r\n`);
  await once(socket, "data");
  return { socket, text: () => pieces.join(""), tail: () => tail };
}

suite("over HTTP", () => {
  test("of a burst of ten times what is taken, all that is accepted is done, and the rest is told when to come back", async (t) => {
    const limits = { ...small, person: { perSecond: 50, burst: 100 }, requests: 40 };
    const server = await open(t, limits);
    const before = await kept(server);
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 10 * limits.person.burst }, (_, number) => keep(server, number)));
    const seconds = (performance.now() - began) / 1_000;
    const of = (status: number): Answer[] => answers.filter((answer) => answer.status === status);
    const accepted = of(200).length;
    assert.equal((await kept(server)) - before, accepted);
    assert.ok(accepted > 0 && accepted <= limits.person.burst + seconds * limits.person.perSecond + 1, `${accepted} in ${seconds} s`);
    assert.equal(accepted + of(429).length + of(503).length, answers.length);
    for (const { headers, text } of [...of(429), ...of(503)]) {
      assert.ok(Number(headers["retry-after"]) >= 1);
      assert.match(String(headers["content-type"]), /^application\/problem\+json/);
      assert.match(text, /"code":"(rate_limited|busy)".*"retryable":true/);
    }
    t.diagnostic(`${answers.length} sent, ${accepted} accepted and done, ${of(429).length} x 429, ${of(503).length} x 503`);
  });

  test("a hundred thousand refused requests leave nothing behind", async (t) => {
    const server = await open(t, { ...usualDoorLimits, person: { perSecond: 1, burst: 1 } });
    const request = `GET /api/now HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.tokens.person}\r\n\r\n`;
    /** Pipelined by one connection, a hundred at a time, each hundred when the one before it is answered. */
    const send = async (hundreds: number): Promise<void> => {
      const socket = connect(server.port, "127.0.0.1");
      for (let round = 0; round < hundreds; round += 1) {
        socket.write(request.repeat(100));
        let answers = 0;
        while (answers < 100) {
          const [chunk] = (await once(socket, "data")) as [Buffer];
          answers += chunk.toString("latin1").split("HTTP/1.1 ").length - 1;
        }
      }
      socket.destroy();
    };
    const resident: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([send(100), send(100)]);
      resident.push(process.memoryUsage().rss / 1024 / 1024);
    }
    const [, first = 0] = resident;
    const grown = (resident.at(-1) ?? 0) - first;
    t.diagnostic(`${grown.toFixed(1)} MiB more resident after 60,000 further requests`);
    assert.ok(grown < 32, resident.join(" "));
  });

  test("while it has as much in work as it takes it says so at once, and goes on when there is room", async (t) => {
    const server = await open(t, { ...small, requests: 1 });
    const slow = server.send("/api/wait");
    // It is in work as soon as nothing else is let in.
    while ((await server.send("/api/now")).status === 200);
    const refused = await server.send("/api/now");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
    assert.equal((await server.send("/api/health", { token: null })).status, 503, "whoever asks");
    release();
    assert.equal((await slow).status, 200);
    assert.equal((await server.send("/api/now")).status, 200);
  });

  test("a token's streams are counted until they are over", async (t) => {
    const server = await open(t, small);
    const first = await follow(server, "/api/events");
    const second = await follow(server, "/api/events");
    const refused = await follow(server, "/api/events");
    assert.match(refused.text(), /^HTTP\/1\.1 429 [\s\S]*retry-after: 5\r\n/);
    first.socket.destroy();
    let third = await follow(server, "/api/events");
    // The server hears of the end a moment later.
    while (!third.text().includes("200 OK")) third = await follow(server, "/api/events");
    for (const { socket } of [second, refused, third]) socket.destroy();
  });

  test("a reader that stalls costs at most 2 MiB and is cut", async (t) => {
    const readers = 30;
    const server = await open(t, usualDoorLimits, { stallMs: 300 });
    const stall = async (): Promise<Socket> => {
      const { socket } = await follow(server, "/api/flood");
      return socket.pause();
    };
    /** Resolves when the server has cut so many. */
    const cut = (count: number): Promise<void> => {
      let left = count;
      return new Promise((resolve) => (onFloodOver = () => void ((left -= 1) === 0 && resolve())));
    };
    // What the first ones need (code that is compiled, a heap that grows) is no reader's cost.
    const warm = cut(10);
    const sockets = await Promise.all(Array.from({ length: 10 }, stall));
    await warm;
    const before = process.memoryUsage().rss;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss - before)), 10);
    const all = cut(readers);
    sockets.push(...(await Promise.all(Array.from({ length: readers }, stall))));
    await all;
    clearInterval(watch);
    for (const socket of sockets) socket.destroy();
    const each = most / readers / 1024 / 1024;
    t.diagnostic(`${each.toFixed(2)} MiB more resident for each of ${readers} stalled readers, both ends together`);
    assert.ok(each <= 2, `${each} MiB`);
  });

  test("who was cut goes on behind the last event that came: nothing is missed, nothing comes twice", async (t) => {
    const server = await open(t, { ...usualDoorLimits, streams: 1 }, { stallMs: 100 });
    const count = 3_000;
    const filler = "y".repeat(3_500);
    const reader = await follow(server, "/api/events?stream=shop");
    reader.socket.pause();
    const closed = once(reader.socket, "close");
    for (let first = 0; first < count; first += 100) {
      await server.services.db.commit({
        statements: [],
        events: Array.from({ length: 100 }, (_, index) => ({
          stream: "shop",
          type: "project.updated",
          data: { filler, number: first + index },
        })),
      });
    }
    // The token may have one stream: when another is let in, the first was cut.
    for (let cut = false; !cut;) {
      const other = await follow(server, "/api/events?stream=shop");
      cut = other.text().includes("200 OK");
      const over = once(other.socket, "close");
      other.socket.destroy();
      await over;
    }
    reader.socket.resume();
    await closed;
    const numbersOf = (text: string): { id: string; number: number }[] =>
      [...text.matchAll(/id: ([^\n]+)\nevent: [^\n]+\ndata: ([^\n]*"number":(\d+)[^\n]*)\n\n/g)].map(([, id = "", , number]) => ({
        id,
        number: Number(number),
      }));
    const before = numbersOf(reader.text());
    assert.ok(before.length > 0 && before.length < count, `it was cut in the middle: ${before.length}`);
    const place = { "Last-Event-ID": before.at(-1)?.id ?? "" };
    let again = await follow(server, "/api/events?stream=shop", place);
    while (!again.text().includes("200 OK")) again = await follow(server, "/api/events?stream=shop", place);
    while (!again.tail().includes(`"number":${count - 1}}`)) await once(again.socket, "data");
    again.socket.destroy();
    const all = [...before, ...numbersOf(again.text())].map(({ number }) => number);
    assert.deepEqual(
      all,
      Array.from({ length: count }, (_, number) => number),
    );
  });
});

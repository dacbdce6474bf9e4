import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { revokeToken } from "../access/store.ts";
import { AppError } from "../errors.ts";
import { blob, command, makeRegistry, query, stream, type StreamItem } from "../registry.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { serveHttp } from "./http.ts";
import { maxBodyBytes } from "./http/body.ts";

const bytes = Buffer.from("0123456789");

/** A stream that the tests drive: items are pushed, and its end is seen. */
function makeFeed() {
  const waiting: StreamItem[] = [];
  let wake: () => void = () => undefined;
  const feed = {
    left: Promise.resolve(),
    taken: 0,
    push(item: StreamItem) {
      waiting.push(item);
      wake();
    },
    async *run(signal: AbortSignal): AsyncGenerator<StreamItem> {
      let leave: () => void = () => undefined;
      feed.left = new Promise((resolve) => (leave = resolve));
      signal.addEventListener("abort", () => wake());
      try {
        while (!signal.aborted) {
          const item = waiting.shift();
          if (item) {
            feed.taken += 1;
            yield item;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
              if (waiting.length > 0 || signal.aborted) resolve();
            });
          }
        }
      } finally {
        leave();
      }
    },
  };
  return feed;
}

const feed = makeFeed();
const flood = "x".repeat(64 * 1024);
const flooding = { taken: 0, leave: () => undefined as void };

const entries = [
  command({
    name: "note.add",
    help: "Gives back what it got.",
    input: z.strictObject({ text: z.string().max(10_000_000) }),
    output: z.object({ text: z.string(), at: z.number() }),
    access: "person",
    decide: async ({ text }) => ({ plan: null, result: { text, at: performance.now() } }),
  }),
  command({
    name: "note.break",
    help: "A bug.",
    input: z.object({}),
    output: z.object({}),
    access: "person",
    decide: async () => {
      throw new Error("the secret inside of the server");
    },
  }),
  query({
    name: "note.get",
    help: "What the server understood.",
    path: "/notes/:id",
    input: z.strictObject({
      id: z.string(),
      limit: z.int().optional(),
      deep: z.boolean().optional(),
      tags: z.array(z.string()).optional(),
    }),
    output: z.unknown(),
    access: "person",
    run: async (input) => input,
  }),
  query({
    name: "note.list",
    help: "A literal beside a field.",
    path: "/notes/list",
    input: z.strictObject({}),
    output: z.object({ items: z.array(z.string()) }),
    access: "person",
    run: async () => ({ items: [] }),
  }),
  query({
    name: "note.slow",
    help: "Takes 100 ms.",
    path: "/slow",
    input: z.object({}),
    output: z.object({}),
    access: "person",
    run: async () => await wait(100, {}),
  }),
  blob({
    name: "note.bytes",
    help: "Ten bytes.",
    path: "/notes/:id/bytes",
    input: z.strictObject({ id: z.string() }),
    access: "person",
    run: async () => ({
      type: "text/html",
      size: bytes.length,
      etag: "ten",
      async *open(start: number, end: number) {
        yield bytes.subarray(start, end + 1);
      },
    }),
  }),
  stream({
    name: "note.follow",
    help: "What the test pushes.",
    path: "/follow",
    input: z.object({}),
    item: z.unknown(),
    access: "person",
    run: (_input, _context, _after, signal) => feed.run(signal),
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
        while (!signal.aborted) {
          flooding.taken += 1;
          yield { event: "drop", data: flood };
        }
      } finally {
        flooding.leave();
      }
    },
  }),
  stream({
    name: "note.none",
    help: "About something that does not exist.",
    path: "/none",
    input: z.object({}),
    item: z.unknown(),
    access: "person",
    // oxlint-disable-next-line require-yield
    async *run() {
      throw new AppError("not_found", "no such thing");
    },
  }),
];

const json = { "content-type": "application/json" };

suite("http", () => {
  let server: TestServer;
  before(async () => {
    server = await openServer({ entries, hosts: ["tutti.example"], streams: { heartbeatMs: 30, tokenCheckMs: 30, stallMs: 100 } });
  });
  after(() => server.close());

  const add = (body: string, headers: Record<string, string> = json) =>
    server.send("/api/commands/note.add", { method: "POST", body, headers });
  const codeOf = (text: string): unknown => (JSON.parse(text) as { code?: unknown }).code;

  /** A stream read by hand. */
  async function follow(
    path: string,
    { port, tokens }: TestServer = server,
  ): Promise<{ socket: Socket; text(): string; until(part: string): Promise<void>; closed: Promise<unknown> }> {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    let check: () => void = () => undefined;
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      check();
    });
    // A cut connection is one of the things that are looked for here.
    socket.on("error", () => socket.destroy());
    const closed = once(socket, "close");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.person}\r\n\r\n`);
    const until = (part: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`waited for ${part} in ${text}`)), 5_000);
        check = () => {
          if (!text.includes(part)) return;
          clearTimeout(timer);
          resolve();
        };
        check();
      });
    return { socket, text: () => text, until, closed };
  }

  test("health needs no token, but the right door", async () => {
    const health = await server.send("/api/health", { token: null });
    assert.deepEqual(JSON.parse(health.text), { ok: true, version: "0.0.0-test", store: "sqlite" });
    assert.equal((await server.send("/api/health", { token: null, headers: { host: "evil.example" } })).status, 403);
    assert.equal((await server.send("/api/health", { token: null, method: "POST" })).status, 401);
  });

  test("local names with any port, and names that were given, are ours; what only looks like one is not", async () => {
    const status = async (host: string, more: Record<string, string> = {}) =>
      (await server.send("/api/notes/list", { headers: { host, ...more } })).status;
    for (const host of [
      "127.0.0.1",
      "localhost:1",
      "LOCALHOST:7420",
      "[::1]:7420",
      "agent.localhost:80",
      "tutti.example",
      "Tutti.Example:443",
    ]) {
      assert.equal(await status(host), 200, host);
    }
    for (const host of [
      "localhost.",
      "localhost.evil.example",
      "evil-localhost",
      "127.0.0.1@evil.example",
      "127.0.0.2",
      "0.0.0.0",
      "[::]",
      ".localhost",
      "localhost:x",
    ]) {
      assert.equal(await status(host), 403, host);
    }
    assert.equal(await status("localhost:7420", { origin: "http://localhost:7420" }), 200);
    assert.equal(await status("tutti.example", { origin: "https://tutti.example" }), 200);
    for (const origin of ["http://localhost:7421", "http://localhost", "http://localhost:7420.evil.example", "null", "file://"]) {
      assert.equal(await status("localhost:7420", { origin }), 403, origin);
    }
    assert.equal(await status("localhost", { "sec-fetch-site": "same-origin" }), 200);
    assert.equal(await status("localhost", { "sec-fetch-site": "same-site" }), 403);
  });

  test("an answer is JSON that nobody may guess, frame or share; there is no CORS", async () => {
    const { headers } = await server.send("/api/notes/list", { headers: { host: "localhost", origin: "http://localhost" } });
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(String(headers["content-security-policy"]), /default-src 'none'/);
    assert.equal(headers["access-control-allow-origin"], undefined);
  });

  test("a body that is not JSON, not UTF-8 or too large changes nothing and says what to do", async () => {
    assert.equal(JSON.parse((await add('{"text":"ü"}')).text).text, "ü");
    const form = await add("text=1", { "content-type": "application/x-www-form-urlencoded" });
    assert.deepEqual([form.status, codeOf(form.text)], [415, "unsupported_media_type"]);
    assert.equal((await add('{"text":"x"}', { "content-type": "text/plain" })).status, 415);
    assert.equal((await add('{"text":"x"}', { ...json, "content-encoding": "gzip" })).status, 415);
    const broken = await add("{");
    assert.deepEqual([broken.status, codeOf(broken.text)], [400, "invalid_input"]);
    assert.equal((await add("")).status, 400, "an empty body is an empty object, which has no text");
    const large = await add(JSON.stringify({ text: "x".repeat(maxBodyBytes) }));
    assert.deepEqual([large.status, codeOf(large.text)], [413, "too_large"]);
    assert.equal(large.headers.connection, "close");
    const chunked = await add(JSON.stringify({ text: "x".repeat(maxBodyBytes) }), { ...json, "transfer-encoding": "chunked" });
    assert.equal(chunked.status, 413);
    assert.equal((await add(JSON.stringify({ text: "x".repeat(maxBodyBytes - 100) }))).status, 200);
  });

  test("an error is one object as problem+json, and a bug tells nothing of its inside", async () => {
    const answer = await add("{}");
    assert.equal(answer.headers["content-type"], "application/problem+json; charset=utf-8");
    const body = JSON.parse(answer.text) as Record<string, unknown>;
    assert.deepEqual(
      [body.type, body.title, body.status, body.code, body.retryable],
      ["urn:tutti:error:invalid_input", "invalid input", 400, "invalid_input", false],
    );
    assert.ok(String(body.message).includes("text"));
    assert.ok(Array.isArray(body.fix));
    const bug = await server.send("/api/commands/note.break", { method: "POST", body: "{}", headers: json });
    assert.equal(bug.status, 500);
    assert.ok(!bug.text.includes("secret"));
    assert.equal(server.faults.length, 1);
  });

  test("a key makes a repeated command answer the same; the same key with another body is refused", async () => {
    const once = await add('{"text":"a"}', { ...json, "idempotency-key": "k-1" });
    assert.equal((await add('{"text":"a"}', { ...json, "idempotency-key": "k-1" })).text, once.text);
    assert.notEqual((await add('{"text":"a"}')).text, once.text);
    assert.equal(codeOf((await add('{"text":"b"}', { ...json, "idempotency-key": "k-1" })).text), "idempotency_mismatch");
    assert.equal((await add('{"text":"a"}', { ...json, "idempotency-key": "k".repeat(201) })).status, 400);
    assert.equal((await add('{"text":"a"}', { ...json, "idempotency-key": "a b" })).status, 400);
  });

  test("a query's text becomes what its schema says; what does not fit is named", async () => {
    const answer = await server.send("/api/notes/a%2Fb?limit=3&deep=true&tags=one");
    assert.deepEqual(JSON.parse(answer.text), { id: "a/b", limit: 3, deep: true, tags: ["one"] });
    assert.deepEqual(JSON.parse((await server.send("/api/notes/x?tags=one&tags=two")).text), { id: "x", tags: ["one", "two"] });
    assert.deepEqual(JSON.parse((await server.send("/api/notes/list")).text), { items: [] });
    for (const bad of ["limit=x", "deep=1", "limit=1&limit=2", "id=other", "unknown=1"]) {
      assert.equal((await server.send(`/api/notes/x?${bad}`)).status, 400, bad);
    }
  });

  test("who has the answer already gets 304 without a body", async () => {
    const first = await server.send("/api/notes/x");
    const etag = first.headers.etag ?? "";
    assert.match(etag, /^W\//);
    const again = await server.send("/api/notes/x", { headers: { "if-none-match": `"other", ${etag}` } });
    assert.deepEqual([again.status, again.text], [304, ""]);
    assert.equal((await server.send("/api/notes/y", { headers: { "if-none-match": etag } })).status, 200);
    const head = await server.send("/api/notes/x", { method: "HEAD" });
    assert.deepEqual([head.status, head.text, head.headers.etag], [200, "", etag]);
  });

  test("a blob is a download in a sandbox, whole or in parts", async () => {
    const get = (range?: string, more: Record<string, string> = {}) =>
      server.send("/api/notes/x/bytes", { headers: { ...(range ? { range } : {}), ...more } });
    const whole = await get();
    assert.deepEqual([whole.status, whole.text, whole.headers["accept-ranges"]], [200, "0123456789", "bytes"]);
    assert.equal(whole.headers["content-disposition"], "attachment");
    assert.match(String(whole.headers["content-security-policy"]), /^sandbox;/);
    for (const [range, text, content] of [
      ["bytes=2-4", "234", "bytes 2-4/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
      ["bytes=-3", "789", "bytes 7-9/10"],
      ["bytes=5-999", "56789", "bytes 5-9/10"],
    ] as const) {
      const part = await get(range);
      assert.deepEqual([part.status, part.text, part.headers["content-range"]], [206, text, content], range);
    }
    assert.equal((await get("bytes=10-")).status, 416);
    assert.equal((await get("bytes=0-1,3-4")).text, "0123456789");
    assert.equal((await get("bytes=0-1", { "if-range": '"other"' })).status, 200);
    assert.equal((await get("bytes=0-1", { "if-range": '"ten"' })).status, 206);
    assert.equal((await get(undefined, { "if-none-match": '"ten"' })).status, 304);
    const head = await server.send("/api/notes/x/bytes", { method: "HEAD" });
    assert.deepEqual([head.text, head.headers["content-length"]], ["", "10"]);
  });

  test("a stream sends events as they come, beats while it is quiet, and ends for the entry when the client leaves", async () => {
    const client = await follow("/api/follow");
    await client.until("200 OK");
    feed.push({ id: "1", event: "note", data: { text: "two\nlines" } });
    await client.until('id: 1\nevent: note\ndata: {"text":"two\\nlines"}\n\n');
    await client.until(": heartbeat\n\n");
    client.socket.destroy();
    await feed.left;
  });

  test("what a stream refuses at once is an ordinary error", async () => {
    const answer = await server.send("/api/none");
    assert.deepEqual([answer.status, codeOf(answer.text)], [404, "not_found"]);
  });

  test("a client that takes nothing is cut, and costs a bounded buffer", async () => {
    const cut = new Promise<void>((resolve) => (flooding.leave = resolve));
    const client = await follow("/api/flood");
    client.socket.pause();
    await cut;
    // The kernel's own buffers hold some megabytes at most; ours 256 KiB.
    assert.ok(flooding.taken * flood.length < 16 * 1024 * 1024, `${flooding.taken} pieces were taken`);
    client.socket.resume();
    await client.closed;
    assert.ok(!client.text().includes("event: end"));
  });

  test("a stream ends soon after its token was revoked", async () => {
    const made = await openServer({ entries, streams: { tokenCheckMs: 20 } });
    try {
      const client = await follow("/api/follow", made);
      await client.until("200 OK");
      await made.services.db.commit({ statements: [revokeToken(made.tokens.person.split("_")[1] ?? "", 1)], events: [] });
      await client.until('event: error\ndata: {"code":"unauthenticated"');
      // The last piece of the answer: there is nothing behind it.
      await client.until("\r\n0\r\n\r\n");
    } finally {
      await made.close();
    }
  });

  test("closing finishes requests, ends streams and comes to an end", async () => {
    const closing = await openServer({ entries });
    const slow = closing.send("/api/slow");
    const socket = connect(closing.port, "127.0.0.1");
    socket.write(`GET /api/follow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${closing.tokens.person}\r\n\r\n`);
    await once(socket, "data");
    const ended = once(socket, "end");
    socket.resume();
    const before = performance.now();
    await closing.close();
    await ended;
    assert.equal((await slow).status, 200);
    assert.ok(performance.now() - before < 1_500);
  });

  test("a port in use leads to the next one, unless it was asked for; other machines need a name", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const options = { registry: makeRegistry([]), services: server.services, log: { error: () => undefined } };
    await assert.rejects(
      serveHttp({ ...options, host: "127.0.0.1", port }),
      (error: AppError) => error.code === "already_running" && error.message.includes(String(port)),
    );
    await assert.rejects(serveHttp({ ...options, host: "0.0.0.0", port: 0 }), (error: AppError) => error.code === "invalid_input");
    const [one, two] = [
      await serveHttp({ ...options, host: "127.0.0.1", port: null }),
      await serveHttp({ ...options, host: "127.0.0.1", port: null }),
    ];
    assert.ok(one.port >= 7420 && two.port > one.port && two.port < 7440);
    await Promise.all([one.close(), two.close(), two.close()]);
    taken.close();
  });
});

test("two entries for one route are refused when the server starts", async () => {
  const note = entries.find((entry) => entry.name === "note.get");
  await assert.rejects(openServer({ entries: note ? [note, { ...note, name: "note.twin" }] : [] }), /claim the same route/);
});

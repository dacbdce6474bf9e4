import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";
import type { AddressInfo } from "node:net";
import * as access from "../access/commands.ts";
import * as artifacts from "../artifacts/commands.ts";
import * as events from "../events/commands.ts";
import * as projects from "../projects/commands.ts";
import * as sessions from "../sessions/commands.ts";
import { AppError } from "../errors.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { addressOf, makeClient, type Client } from "./client.ts";

const entries = [
  access.createToken,
  access.listTokensQuery,
  artifacts.getArtifact,
  events.followEventsStream,
  events.listEventsQuery,
  projects.getProjectQuery,
  sessions.getSessionQuery,
  sessions.followSessionStream,
] as const;

suite("client", () => {
  let server: TestServer;
  let client: Client<typeof entries>;
  before(async () => {
    server = await openServer({ entries });
    client = makeClient({ url: server.url, token: server.tokens.person, entries });
  });
  after(() => server.close());

  const append = (text: string) =>
    server.services.db.commit({ statements: [], events: [{ stream: "shop", type: "project.updated", data: { text } }] });

  test("commands, queries and blobs are called by name, with their own types", async () => {
    const made: { token: string } = await client.command("token.create", { name: "script" });
    assert.match(made.token, /^tutti_/);
    const { items } = await client.query("token.list", { limit: 1 });
    assert.equal(items[0]?.name, "script");
    assert.equal((await client.query("session.get", { id: "S-1" })).agent, "demo");
    const { id } = await server.services.artifacts.put("hello");
    const blob = await client.blob("artifact.get", { id }, { range: { start: 1, end: 3 } });
    let text = "";
    for await (const chunk of blob.body) text += Buffer.from(chunk).toString();
    assert.deepEqual([text, blob.size], ["ell", 3]);
  });

  test("the server's error arrives as the object that it was", async () => {
    const error = await client.query("project.get", { id: "nowhere" }).catch((reason: unknown) => reason);
    assert.ok(error instanceof AppError);
    assert.deepEqual([error.code, error.message, error.fix], ["not_found", 'project "nowhere" does not exist', ["tutti projects"]]);
    const stranger = makeClient({ url: server.url, token: "wrong", entries });
    await assert.rejects(stranger.query("token.list", {}), (reason: AppError) => reason.code === "unauthenticated");
    await assert.rejects(stranger.follow("event.follow", {}).next(), (reason: AppError) => reason.code === "unauthenticated");
    await assert.rejects(client.follow("session.follow", { id: "S-9" }).next(), (reason: AppError) => reason.code === "not_found");
  });

  test("nobody listening is `unreachable`, and so is a program that is no Tutti", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
    const other = closed.on("connection", (socket: Socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 404 no\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"));
    });
    const stranger = makeClient({ url, token: "x", entries });
    await assert.rejects(
      stranger.query("token.list", {}),
      (error: AppError) => error.code === "unreachable" && error.message.includes("not a Tutti"),
    );
    other.close();
    await once(other, "close");
    await assert.rejects(
      stranger.query("token.list", {}),
      (error: AppError) => error.code === "unreachable" && error.fix.includes("tutti up"),
    );
    await assert.rejects(stranger.follow("event.follow", {}).next(), (error: AppError) => error.code === "unreachable");
  });

  test("following goes on behind the last event when the connection is cut: nothing is missed, nothing comes twice", async () => {
    // Between client and server stands a door that slams after each answer has begun.
    const sockets = new Set<Socket>();
    const { connect } = await import("node:net");
    const proxy = createServer((socket) => {
      const target = connect(server.port, "127.0.0.1");
      for (const side of [socket, target]) side.on("error", () => side.destroy());
      socket.pipe(target).pipe(socket);
      sockets.add(socket);
      socket.on("close", () => target.destroy());
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const port = (proxy.address() as AddressInfo).port;
    const through = makeClient({ url: `http://127.0.0.1:${port}`, token: server.tokens.person, entries });
    const stop = new AbortController();
    const seen: string[] = [];
    await append("0");
    for await (const { data, id } of through.follow("event.follow", { stream: "shop", from: "start" }, { signal: stop.signal })) {
      assert.ok(id);
      if (data.type !== "project.updated") continue;
      seen.push(String(data.data.text));
      if (seen.length === 6) stop.abort();
      // Cut first, then let something happen: the next connection has to bring it.
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      await append(String(seen.length));
    }
    proxy.close();
    assert.deepEqual(seen, ["0", "1", "2", "3", "4", "5"]);
  });

  test("a place that the store never reached is answered with a reset, and following goes on from now", async () => {
    const after = Buffer.from(JSON.stringify({ shop: 1_000_000 })).toString("base64url");
    let resets = 0;
    const stop = new AbortController();
    const following = client.follow(
      "event.follow",
      {},
      { after, signal: stop.signal, onReset: () => ((resets += 1), void append("after")) },
    );
    const { value } = await following.next();
    assert.equal(resets, 1);
    assert.equal(value ? value.data.data.text : null, "after");
    stop.abort();
    await following.return();
  });

  /** A server that is busy `times` times, then answers; counts what it was asked. */
  function busyFor(times: number, code: "busy" | "rate_limited", retryAfter: string) {
    const asked = { count: 0 };
    const answer = (status: number, body: object, type: string): Response =>
      new Response(JSON.stringify(body), { status, headers: { "content-type": type, "retry-after": retryAfter } });
    const reply = async (): Promise<Response> => {
      asked.count += 1;
      if (asked.count > times) return answer(200, { items: [], next: null }, "application/json");
      const error = new AppError(code, "not now");
      return answer(error.status, error.toJSON(), "application/problem+json");
    };
    return { asked, client: makeClient({ url: "http://127.0.0.1:1", token: "any", entries, fetch: reply }) };
  }
  const codeIs = (code: string) => (reason: AppError) => reason.code === code;

  test("a server that is busy is asked again as it wishes, when that changes nothing twice", async () => {
    const query = busyFor(2, "busy", "0");
    await query.client.query("token.list", {});
    assert.equal(query.asked.count, 3);
    const keyed = busyFor(2, "busy", "0");
    await keyed.client.command("token.create", { name: "script" }, { key: "one" });
    assert.equal(keyed.asked.count, 3);
    const bare = busyFor(2, "busy", "0");
    await assert.rejects(bare.client.command("token.create", { name: "script" }), codeIs("busy"));
    assert.equal(bare.asked.count, 1);
  });

  test("what the door refused was not begun: it is sent again whatever it is", async () => {
    const { asked, client: refused } = busyFor(1, "rate_limited", "0");
    await refused.command("token.create", { name: "script" });
    assert.equal(asked.count, 2);
  });

  test("nobody waits longer than half a minute, nor when the server does not say how long, nor after an abort", async () => {
    for (const retryAfter of ["31", "soon"]) {
      const { asked, client: late } = busyFor(1, "busy", retryAfter);
      await assert.rejects(late.query("token.list", {}, { signal: AbortSignal.timeout(5_000) }), codeIs("busy"));
      assert.equal(asked.count, 1);
    }
    const { client: waiting } = busyFor(1, "busy", "20");
    const left = new AbortController();
    const asking = waiting.query("token.list", {}, { signal: left.signal });
    left.abort(new Error("left"));
    await assert.rejects(asking, /left/);
  });

  test("a client that is faster than its token may be is slowed down, not refused", async (t) => {
    const rate = { perSecond: 20, burst: 10 };
    const strict = await openServer({ entries, limits: { person: rate, agent: rate, requests: 100, streams: 1 } });
    t.after(() => strict.close());
    const fast = makeClient({ url: strict.url, token: strict.tokens.person, entries });
    await Promise.all(Array.from({ length: 30 }, () => fast.query("token.list", {})));
  });

  test("an abort ends a request with its reason and following without an error", async () => {
    const reason = new Error("enough");
    await assert.rejects(client.query("token.list", {}, { signal: AbortSignal.abort(reason) }), reason);
    assert.deepEqual(await client.follow("event.follow", {}, { signal: AbortSignal.abort() }).next(), { done: true, value: undefined });
  });
});

test("an address holds the path's fields encoded, and the others behind it", () => {
  const entry = sessions.listTurnsQuery;
  assert.equal(addressOf(entry, { id: "a/../b", limit: 3, cursor: undefined }), "/api/sessions/a%2F..%2Fb/turns?limit=3");
  for (const input of [{}, { id: "" }, { id: ".." }])
    assert.throws(
      () => addressOf(entry, input),
      (error: AppError) => error.code === "invalid_input",
    );
});

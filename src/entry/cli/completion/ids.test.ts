import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { createServer as createSocketServer, type AddressInfo, type Socket } from "node:net";
import { after, before, beforeEach, suite, test } from "node:test";
import { liveOffers } from "./ids.ts";

/** A busy machine is none of these tests' business. */
const patienceMs = 10_000;

/** Whatever a server says, even one that is not ours: the line that somebody is writing stays theirs. */
suite("live ids", () => {
  let server: Server;
  let answer: { status: number; body: string };
  let asked: (string | undefined)[];
  const items = (...all: object[]): void => void (answer = { status: 200, body: JSON.stringify({ items: all }) });

  before(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.host} ${request.headers.authorization}`);
      response.statusCode = answer.status;
      response.end(answer.body);
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    process.env.TUTTI_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    process.env.TUTTI_TOKEN = "tutti_x";
  });
  beforeEach(() => (asked = []));
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  test("are asked for with the token, and offered with what they are", async () => {
    items({ id: "T-2", state: "running", title: "go on" }, { id: "T-1", state: "done", title: "x" });
    assert.deepEqual(await liveOffers([{ kind: "task" }], patienceMs), [
      { word: "T-2", about: "running: go on" },
      { word: "T-1", about: "done: x" },
    ]);
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(asked, [`/api/tasks?limit=100 127.0.0.1:${port} Bearer tutti_x`]);
    assert.deepEqual(
      (await liveOffers([{ kind: "task", states: ["done"] }], patienceMs)).map(({ word }) => word),
      ["T-1"],
    );
  });

  test("that are no plain names are not offered: a shell would run what is in them", async () => {
    const evil = ["$(touch x)", "`x`", "a;b", "a b", "a\nb", "-rf", "a'b", "\u001b[2J", "", "a|b", ">x", "../x", "!x", "a$b"];
    items(...evil.map((id) => ({ id })), { name: "good-1" }, { id: 5 }, { id: null });
    assert.deepEqual(await liveOffers([{ kind: "agent" }], patienceMs), [{ word: "good-1", about: "" }]);
  });

  test("say what they are in one short line, without anything that a terminal obeys", async () => {
    items({ id: "A-1", question: `may I\n\u001b]0;owned\u0007 \u202e ${"x".repeat(500)}` });
    const [offer] = await liveOffers([{ kind: "approval" }], patienceMs);
    assert.match(offer?.about ?? "", /^may I x+…$/);
    assert.equal(offer?.about.length, 60);
  });

  test("are none where the answer is an error, no list, or no JSON", async () => {
    for (const [status, body] of [
      [401, '{"items":[{"id":"T-1"}]}'],
      [200, '{"items":5}'],
      [200, "{"],
      [200, "null"],
    ] as const) {
      answer = { status, body };
      assert.deepEqual(await liveOffers([{ kind: "task" }], patienceMs), [], body);
    }
  });

  test("are none, and soon, where somebody listens and never answers", async () => {
    const sockets: Socket[] = [];
    const silent = createSocketServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined).resume();
    });
    await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
    const before = process.env.TUTTI_URL;
    process.env.TUTTI_URL = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    // Ends what is waited for too long.
    const cut = setTimeout(() => sockets.forEach((socket) => socket.destroy()), 5_000);
    const startedAt = performance.now();
    try {
      assert.deepEqual(await liveOffers([{ kind: "task" }]), []);
      assert.ok(performance.now() - startedAt < 2_000);
    } finally {
      clearTimeout(cut);
      process.env.TUTTI_URL = before;
      sockets.forEach((socket) => socket.destroy());
      silent.close();
    }
  });
});

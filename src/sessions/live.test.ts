import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { makeBus } from "../events/bus.ts";
import { followLiveStream } from "./commands.ts";
import { followLive, type LiveItem } from "./live.ts";

suite("live: one stream for a screen", () => {
  let server: TestServer;
  before(async () => {
    server = await openServer({ entries: [followLiveStream] });
  });
  after(() => server.close());

  const append = (stream: string, session: string | null = null) =>
    server.services.db.commit({ statements: [], events: [{ stream, type: "task.created", session, data: {} }] });

  function follow({
    sessions = [],
    after: place = null,
    bus = server.services.bus,
  }: {
    sessions?: string[];
    after?: string | null;
    bus?: ReturnType<typeof makeBus>;
  }) {
    const stop = new AbortController();
    const items = followLive({ read: server.services.db.read, bus, sessions, after: place, signal: stop.signal });
    const next = async (): Promise<LiveItem> => (await items.next()).value as LiveItem;
    const nextOf = async (event: LiveItem["event"]): Promise<LiveItem> => {
      for (;;) {
        const item = await next();
        if (item.event === event) return item;
      }
    };
    const end = async (): Promise<void> => {
      stop.abort();
      await items.return();
    };
    return { next, nextOf, end };
  }

  test("it begins with a place; behind it every event comes once, also over a break", async () => {
    const first = follow({});
    assert.equal((await first.next()).event, "ready");
    await append("one");
    const seen = await first.nextOf("event");
    await first.end();
    await append("one");
    await append("two");
    assert.ok("id" in seen);
    const second = follow({ after: seen.id });
    assert.equal((await second.next()).event, "ready");
    const items = [await second.nextOf("event"), await second.nextOf("event")];
    assert.deepEqual(
      items.map((item) => (item.event === "event" ? item.data.stream : "")),
      ["one", "two"],
    );
    await second.end();
  });

  test("live text comes for the sessions that are named, and no others, and then a hint that the transcript has grown", async () => {
    const bus = makeBus();
    const live = follow({ sessions: ["S-1"], bus });
    // At the beginning a hint for each: what was said meanwhile is asked for.
    assert.deepEqual(await live.nextOf("transcript"), { event: "transcript", data: { session: "S-1" } });
    const speaking = live.nextOf("delta");
    bus.delta({ session: "S-2", turn: 0, kind: "text", text: "not this" });
    bus.delta({ session: "S-1", turn: 0, kind: "text", text: "this" });
    assert.deepEqual(await speaking, { event: "delta", data: { session: "S-1", turn: 0, kind: "text", text: "this" } });
    assert.deepEqual(await live.nextOf("transcript"), { event: "transcript", data: { session: "S-1" } });
    await live.end();
  });

  test("an event of an open session is followed by a hint for it", async () => {
    const live = follow({ sessions: ["S-1"] });
    await live.nextOf("ready");
    await append("shop", "S-1");
    await live.nextOf("event");
    assert.deepEqual(await live.nextOf("transcript"), { event: "transcript", data: { session: "S-1" } });
    await live.end();
  });

  test("ten thousand pieces of live text do not hold the events back, and none of them is kept for a slow reader", async () => {
    const bus = makeBus();
    const live = follow({ sessions: ["S-1"], bus });
    await live.nextOf("ready");
    for (let index = 0; index < 10_000; index += 1) bus.delta({ session: "S-1", turn: 0, kind: "text", text: "x" });
    await append("flood");
    bus.wake({ streams: ["flood"], events: [] });
    let deltas = 0;
    for (let item = await live.next(); item.event !== "event"; item = await live.next()) if (item.event === "delta") deltas += 1;
    assert.ok(deltas <= 500, String(deltas));
    await live.end();
  });

  test("it ends when its reader leaves, though nothing happens", async () => {
    const live = follow({});
    await live.next();
    const waiting = live.next();
    await live.end();
    assert.equal(await waiting, undefined);
  });
});

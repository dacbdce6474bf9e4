import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { sql, statement, type StoredEvent } from "../db/plan.ts";
import { makeClient, type Client } from "../entry/client.ts";
import type { AppError } from "../errors.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { makeBus } from "./bus.ts";
import { followEventsStream, listEventsQuery } from "./commands.ts";
import { cursorOfText, cursorText, followEvents, type EventItem } from "./follow.ts";

const entries = [followEventsStream, listEventsQuery] as const;

suite("events", () => {
  let server: TestServer;
  let client: Client<typeof entries>;
  before(async () => {
    server = await openServer({ entries });
    client = makeClient({ url: server.url, token: server.tokens.person, entries });
  });
  after(() => server.close());

  let number = 0;
  const append = async (stream: string, task: string | null = null): Promise<StoredEvent[]> => {
    const committed = await server.services.db.commit({
      statements: [],
      events: [{ stream, type: "task.created", task, data: { number: (number += 1) } }],
    });
    return committed.kind === "committed" ? committed.events : [];
  };
  const place = ({ stream, seq }: { stream: string; seq: number }): string => `${stream} ${seq}`;

  /** Follows inside of this process, with a bus that the test drives. */
  function follow(options: { stream?: string; after?: string; from?: "now" | "start"; bus?: ReturnType<typeof makeBus> }) {
    const stop = new AbortController();
    const items = followEvents({
      read: server.services.db.read,
      bus: options.bus ?? server.services.bus,
      stream: options.stream ?? null,
      after: options.after ?? null,
      from: options.from ?? "now",
      signal: stop.signal,
    });
    const next = async (): Promise<EventItem> => {
      const { value } = await items.next();
      assert.ok(value);
      return value;
    };
    const end = async (): Promise<void> => {
      stop.abort();
      await items.return();
    };
    return { next, end };
  }
  const eventOf = (item: EventItem): StoredEvent => {
    assert.equal(item.event, "event");
    return item.data as StoredEvent;
  };

  test("events are listed in order, by stream, task and run, in pages", async () => {
    for (const stream of ["one", "two", "one", "two", "one"]) await append(stream, `T-${stream}`);
    const list = async (filter: object) => (await client.query("event.list", filter)).items.map(place);
    assert.deepEqual(await list({ stream: "one" }), ["one 1", "one 2", "one 3"]);
    assert.deepEqual(await list({ stream: "one", after: 2 }), ["one 3"]);
    assert.deepEqual(await list({ task: "T-two" }), ["two 1", "two 2"]);
    assert.deepEqual(await list({ run: "R-1" }), []);
    const all = await list({ limit: 500 });
    for (const filter of [{}, { stream: "one" }]) {
      const paged: string[] = [];
      let cursor: string | undefined;
      do {
        const part = await client.query("event.list", { ...filter, limit: 2, cursor });
        paged.push(...part.items.map(place));
        cursor = part.next ?? undefined;
      } while (cursor !== undefined);
      assert.deepEqual(paged, "stream" in filter ? all.filter((name) => name.startsWith("one")) : all);
    }
    await assert.rejects(client.query("event.list", { after: 1 }), (error: AppError) => error.code === "invalid_input");
    await assert.rejects(client.query("event.list", { cursor: "x" }), (error: AppError) => error.code === "invalid_input");
  });

  test("following begins with its place, so that what is asked for afterwards misses nothing", async () => {
    const { next, end } = follow({});
    const ready = await next();
    assert.equal(ready.event, "ready");
    const [first] = await append("three");
    const item = await next();
    assert.deepEqual(eventOf(item), first);
    assert.equal(cursorOfText(item.id)?.get("three"), 1);
    await end();
    // From the first place on, in another connection: the same again.
    const again = follow({ after: ready.id });
    assert.equal((await again.next()).event, "ready");
    assert.deepEqual(eventOf(await again.next()), first);
    await again.end();
  });

  test("many writers at once: each stream arrives whole and in order, however often the reader comes back", async () => {
    const streams = ["w1", "w2", "w3"];
    const writing = Promise.all(
      streams.map(async (stream) => {
        for (let count = 0; count < 200; count += 1) await append(stream);
      }),
    );
    const seen = new Map<string, number[]>(streams.map((stream) => [stream, []]));
    let after = cursorText(new Map());
    let total = 0;
    while (total < 600) {
      const { next, end } = follow({ after });
      assert.equal((await next()).event, "ready");
      for (let count = 0; count < 37 && total < 600; count += 1) {
        const item = await next();
        after = item.id;
        const event = eventOf(item);
        const numbers = seen.get(event.stream);
        if (!numbers) continue;
        numbers.push(event.seq);
        total += 1;
      }
      await end();
    }
    await writing;
    const expected = Array.from({ length: 200 }, (_, index) => index + 1);
    for (const stream of streams) assert.deepEqual(seen.get(stream), expected, stream);
  });

  test("one stream is followed alone, and `start` begins with its first event", async () => {
    const { next, end } = follow({ stream: "one", from: "start" });
    await next();
    for (const seq of [1, 2, 3]) assert.equal(place(eventOf(await next())), `one ${seq}`);
    await append("two");
    await append("one");
    assert.equal(place(eventOf(await next())), "one 4");
    await end();
  });

  test("a wake-up without events, one with a gap, and one that comes twice all lead to the store", async () => {
    const bus = makeBus();
    const { next, end } = follow({ stream: "gap", bus });
    await next();
    const [first] = await append("gap");
    let waiting = next();
    bus.wake({ streams: ["gap"], events: [] });
    assert.deepEqual(eventOf(await waiting), first);
    const [second] = await append("gap");
    const [third] = await append("gap");
    waiting = next();
    bus.wake({ streams: ["gap"], events: third ? [third] : [] });
    assert.deepEqual(eventOf(await waiting), second);
    assert.deepEqual(eventOf(await next()), third);
    waiting = next();
    bus.wake({ streams: ["gap"], events: second && third ? [second, third] : [] });
    const [fourth] = await append("gap");
    bus.wake({ streams: ["gap"], events: fourth ? [fourth] : [] });
    assert.deepEqual(eventOf(await waiting), fourth);
    await end();
  });

  test("a wake-up that is lost is made up for by looking every 2 seconds", async () => {
    const { next, end } = follow({ stream: "quiet", bus: makeBus() });
    await next();
    const waiting = next();
    const [event] = await append("quiet");
    const before = performance.now();
    assert.deepEqual(eventOf(await waiting), event);
    assert.ok(performance.now() - before < 3_000);
    await end();
  });

  test("events that are no longer kept, a place of another store and a text that is none are told as a reset", async () => {
    for (let count = 0; count < 4; count += 1) await append("old");
    await server.services.db.commit({ statements: [statement(sql`delete from events where stream = 'old' and seq <= 2`, 2)], events: [] });
    const { next, end } = follow({ stream: "old", from: "start" });
    assert.equal((await next()).event, "ready");
    assert.deepEqual((await next()).event, "reset");
    assert.equal(place(eventOf(await next())), "old 3");
    await end();
    for (const after of [cursorText(new Map([["old", 99]])), cursorText(new Map([["nowhere", 1]])), "nonsense"]) {
      const again = follow({ after });
      const reset = await again.next();
      assert.equal(reset.event, "reset", after);
      assert.equal(cursorOfText(reset.id)?.get("old"), 4);
      await again.end();
    }
  });
});

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { onBothStores, person, type TestStore } from "../../test/support/stores.ts";
import { startReceiver, type Received, type Receiver } from "../../test/support/receiver.ts";
import { until } from "../../test/support/tutti.ts";
import { render, sql, statement, type Db, type NewEvent, type Reader } from "../db/plan.ts";
import { makeBus } from "../events/bus.ts";
import { ask, execute, makeRegistry, type Query } from "../registry.ts";
import { listDeliveriesQuery, removeChannel, setChannel } from "./commands.ts";
import { leaseMs, retryAfterMs } from "./deliver.ts";
import { makeFollower } from "./follow.ts";
import type { Delivery, NewChannel, Notice } from "./notification.ts";
import { startNotifier, type Notifier } from "./notifier.ts";
import { makeOutbound } from "./outbound.ts";
import { claimDelivery, deliveryId, findDue, insertDelivery, movePosition, settleDelivery } from "./store.ts";

const registry = makeRegistry([setChannel, removeChannel, listDeliveriesQuery]);
const url = "http://tutti.example:7420";

/** A project whose channels send to one receiver; everything of it is gone at the end. */
async function withReceiver(store: TestStore, run: (bench: Awaited<ReturnType<typeof benchOf>>) => Promise<void>): Promise<void> {
  const hook = await startReceiver();
  const bench = await benchOf(store, hook);
  try {
    await run(bench);
    assert.deepEqual(bench.faults, []);
  } finally {
    await bench.stop();
    await hook.close();
  }
}

async function benchOf(store: TestStore, hook: Receiver) {
  const outbound = makeOutbound({ allow: [hook.host, "127.0.0.1:1"] });
  outbound.serve(url);
  const services = { ...store.services, outbound };
  const project = await store.project();
  const faults: object[] = [];
  const names: string[] = [];
  const notifiers: Notifier[] = [];
  const command = (name: string, input: object): Promise<unknown> => execute(registry, { actor: person, services }, name, input, null);
  const bench = {
    hook,
    project,
    faults,
    /** A server's notifications. */
    server(more: { db?: Db; home?: string; timeLimitMs?: number } = {}): Notifier {
      const { db = store.db, home = services.home, timeLimitMs } = more;
      const log = { warn: () => undefined, error: (fields: object) => void faults.push(fields) };
      const notifier = startNotifier({ db, bus: makeBus(), outbound, home, now: services.clock.now, log, timeLimitMs });
      notifiers.push(notifier);
      return notifier;
    },
    async channel(more: Omit<NewChannel, "name"> & { name?: string } = {}): Promise<{ name: string; secret: string }> {
      const name = more.name ?? store.fresh("channel");
      names.push(name);
      const answer = await command("channel.set", { kind: "webhook", url: `http://${hook.host}/hook`, ...more, name });
      return { name, secret: (answer as { secret: string }).secret };
    },
    set: (name: string, input: object) => command("channel.set", { name, ...input }),
    append: (...events: (Partial<NewEvent> & { type: string })[]) =>
      store.write({ statements: [], events: events.map((event) => ({ stream: project, data: {}, ...event })) }),
    fail: (task: string, more: Partial<NewEvent> = {}) =>
      bench.append({ type: "task.settled", task, data: { state: "failed", reason: "check failed", title: `do ${task}` }, ...more }),
    async deliveries(channel: string): Promise<Delivery[]> {
      const list = registry.byName("delivery.list") as Query;
      return ((await ask(list, { actor: person, services }, { channel, limit: 500 })) as { items: Delivery[] }).items;
    },
    async stop() {
      for (const notifier of notifiers) await notifier.stop();
      for (const name of new Set(names)) await command("channel.remove", { name }).catch(() => undefined); // Removed by the test.
    },
  };
  return bench;
}

const idOf = ({ headers }: Received): string => String(headers["webhook-id"]);
const dataOf = ({ body }: Received) => (JSON.parse(body) as { data: Record<string, unknown> }).data;
const tasksOf = (deliveries: Delivery[]) => deliveries.map(({ task }) => task).toSorted((a, b) => String(a).localeCompare(String(b)));

/** As the specification describes it, and with another implementation of HMAC than the one that signs. */
async function assertSigned({ headers, body }: Received, secret: string): Promise<void> {
  const bytes = Uint8Array.from(atob(secret.replace("whsec_", "")), (letter) => letter.codePointAt(0) ?? 0);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const [version, signature = ""] = String(headers["webhook-signature"]).split(",");
  assert.equal(version, "v1");
  const given = Uint8Array.from(atob(signature), (letter) => letter.codePointAt(0) ?? 0);
  const text = new TextEncoder().encode(`${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`);
  assert.ok(await crypto.subtle.verify("HMAC", key, given, text), "the signature does not fit");
  assert.ok(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000) < 2 * 24 * 3600);
  assert.match(String(headers["webhook-id"]), /^ntf_[0-9a-f]{32}$/);
}

onBothStores((rule, kind) => {
  rule("what happens is sent to each channel that wants it, signed, with a link and the same id as its delivery", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, append, deliveries, project }) => {
      const [failures, everything] = [await channel(), await channel({ topics: ["done", "failed"] })];
      await fail("T-1");
      await append({ type: "task.settled", task: "T-2", data: { state: "done", reason: null, title: "do T-2" } });
      await server().tick();
      assert.deepEqual([tasksOf(await deliveries(failures.name)), tasksOf(await deliveries(everything.name))], [["T-1"], ["T-1", "T-2"]]);
      const [delivery] = await deliveries(failures.name);
      assert.ok(delivery);
      assert.deepEqual([delivery.state, delivery.attempts, delivery.message, delivery.nextAt], ["sent", 1, "HTTP 204", null]);
      const received = hook.received.find((one) => idOf(one) === delivery.id);
      assert.ok(received);
      await assertSigned(received, failures.secret);
      await assert.rejects(assertSigned(received, everything.secret));
      const { type, timestamp } = JSON.parse(received.body) as { type: string; timestamp: string };
      assert.deepEqual([type, new Date(timestamp).getTime()], ["notification.failed", delivery.createdAt]);
      assert.deepEqual(dataOf(received), {
        topic: "failed",
        reason: "check failed",
        project,
        projectName: project,
        task: "T-1",
        run: null,
        title: `${project}: failed: check failed (T-1)`,
        text: "do T-1",
        url: `${url}/tasks/T-1`,
        test: false,
      });
      assert.equal(hook.received.length, 3);
    }),
  );

  rule("ntfy gets its JSON at the server's root, with the token and without an action", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel({ kind: "ntfy", url: `http://${hook.host}/my_topic`, secret: "tk_planted" });
      await fail("T-3");
      await server().tick();
      const [received] = hook.received;
      assert.deepEqual([received?.method, received?.path, received?.headers.authorization], ["POST", "/", "Bearer tk_planted"]);
      const [delivery] = await deliveries(name);
      assert.deepEqual(JSON.parse(received?.body ?? ""), {
        topic: "my_topic",
        title: delivery?.title,
        message: "do T-3",
        priority: 3,
        tags: ["x"],
        click: `${url}/tasks/T-3`,
      });
    }),
  );

  rule("a new channel hears of what happens from now on, also in projects that come later", (store) =>
    withReceiver(store, async ({ channel, server, fail, deliveries }) => {
      await fail("T-old");
      const { name } = await channel();
      const later = await store.project();
      await fail("T-new");
      await fail("T-later", { stream: later });
      await server().tick();
      assert.deepEqual(tasksOf(await deliveries(name)), ["T-later", "T-new"]);
    }),
  );

  rule("a topic that is added later is not heard of backwards, not even by a server that starts again", (store) =>
    withReceiver(store, async ({ channel, server, fail, append, deliveries, set }) => {
      const { name } = await channel();
      await append({ type: "task.settled", task: "T-early", data: { state: "done", title: "x" } });
      const first = server();
      await first.tick();
      await set(name, { topics: ["failed", "done"] });
      await first.stop();
      await fail("T-late");
      await server().tick();
      assert.deepEqual(tasksOf(await deliveries(name)), ["T-late"]);
    }),
  );

  rule("two servers that follow and send side by side make each delivery once and send it once", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      const servers = [server(), server({ db: await store.otherServer() })];
      const tasks = Array.from({ length: 40 }, (_, index) => `T-${index}`);
      const ticking = async (): Promise<void> => {
        await until("all to be sent", async () => {
          await Promise.all(servers.map((one) => one.tick()));
          return (await deliveries(name)).filter(({ state }) => state === "sent").length === tasks.length;
        });
      };
      await Promise.all([...tasks.map((task) => fail(task)), ticking()]);
      assert.deepEqual(tasksOf(await deliveries(name)), tasks.toSorted());
      assert.equal(new Set(hook.received.map(idOf)).size, tasks.length);
      assert.equal(hook.received.length, tasks.length);
      assert.ok((await deliveries(name)).every(({ attempts }) => attempts === 1));
    }),
  );

  rule("a place in a stream is moved only from where it was read, and a delivery that is there is not made again", (store) =>
    withReceiver(store, async ({ channel, project, deliveries }) => {
      const { name } = await channel();
      const notice: Notice = {
        topic: "failed",
        reason: null,
        project,
        projectName: null,
        task: null,
        run: null,
        title: "t",
        text: "t",
        path: "/",
        at: 1,
      };
      const move = async (seq: number, to: number, stream = project) =>
        (await store.db.commit({ statements: [movePosition({ channel: name, topics: [], seq }, stream, to)], events: [] })).kind;
      const [start] = await store.rows(sql`select seq from notified where channel = ${name} and stream = ${project}`);
      assert.equal(await move(Number(start?.["seq"]), 70), "committed");
      assert.equal(await move(Number(start?.["seq"]), 80), "conflict");
      // A stream that is new to the channel: the first one makes the row.
      assert.equal(await move(0, 5, "new"), "committed");
      assert.equal(await move(0, 6, "new"), "conflict");
      const id = deliveryId({ stream: project, seq: 71 }, name);
      assert.equal(deliveryId({ stream: project, seq: 71 }, name), id, "whoever makes it");
      for (const other of [
        deliveryId({ stream: project, seq: 72 }, name),
        deliveryId({ stream: "x", seq: 71 }, name),
        deliveryId({ stream: project, seq: 71 }, "x"),
      ])
        assert.notEqual(other, id);
      for (let round = 0; round < 2; round += 1) await store.write({ statements: [insertDelivery(id, name, notice)], events: [] });
      assert.equal((await deliveries(name)).length, 1);
      await store.write({ statements: [statement(sql`update channels set enabled = 0 where name = ${name}`)], events: [] });
      assert.equal(await move(0, 5, "another"), "conflict");
    }),
  );

  rule("what was told is not told again after a restart, and what happened meanwhile is, without any wake-up", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, append, deliveries }) => {
      const { name } = await channel();
      const first = server();
      await fail("T-1");
      await first.tick();
      await append({ type: "task.created", task: "T-9" }, { type: "task.started", task: "T-9" });
      await first.tick();
      await first.stop();
      await fail("T-2");
      await server().tick();
      assert.deepEqual(tasksOf(await deliveries(name)), ["T-1", "T-2"]);
      assert.equal(hook.received.length, 2);
    }),
  );

  rule("more events than one look takes are all seen, and the place is kept though they tell nobody", (store) =>
    withReceiver(store, async ({ channel, server, fail, append, deliveries, project }) => {
      const { name } = await channel();
      for (let round = 0; round < 6; round += 1) {
        await append(...Array.from({ length: 100 }, () => ({ type: "task.started", task: "T-9" })));
        await fail(`T-${round}`, { run: round < 5 ? "R-1" : null });
      }
      await server().tick();
      assert.deepEqual(tasksOf(await deliveries(name)), ["T-5"]);
      const [{ seq, head } = {}] = await store.rows(
        sql`select n.seq, s.seq as head from notified n join streams s on s.id = n.stream where n.channel = ${name} and n.stream = ${project}`,
      );
      assert.equal(seq, head);
    }),
  );

  rule("a receiver that is down is tried again after 5 s, 30 s, 2 min, 10 min and 1 h, with one id; then it has failed", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      hook.answer((response) => void response.writeHead(503).end("out\u001b[31m of \u202eorder"));
      await fail("T-1");
      const notifier = server();
      await notifier.tick();
      for (const [index, waitMs] of retryAfterMs.entries()) {
        const [delivery] = await deliveries(name);
        assert.deepEqual([delivery?.state, delivery?.attempts, delivery?.message], ["queued", index + 1, "HTTP 503: out of order"]);
        await store.moveClock(waitMs - 4_000);
        await notifier.tick();
        assert.equal(hook.received.length, index + 1, "too early");
        await store.moveClock(4_000);
        await notifier.tick();
        assert.equal(hook.received.length, index + 2);
      }
      const [delivery] = await deliveries(name);
      assert.deepEqual([delivery?.state, delivery?.attempts, delivery?.nextAt], ["failed", 6, null]);
      await store.moveClock(24 * 3_600_000);
      await notifier.tick();
      assert.equal(hook.received.length, 6);
      assert.deepEqual(new Set(hook.received.map(idOf)), new Set([delivery?.id]));
      const settled = await store.rows(sql`select data from events where stream = 'instance' and type = 'delivery.settled'`);
      assert.equal(settled.filter(({ data }) => String(data).includes(delivery?.id ?? "?")).length, 1);
    }),
  );

  rule("a receiver that comes back gets what it missed", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      const { port } = hook;
      await hook.close();
      await fail("T-1");
      const notifier = server();
      await notifier.tick();
      const [missed] = await deliveries(name);
      assert.deepEqual([missed?.state, missed?.message], ["queued", "ECONNREFUSED"]);
      const again = await startReceiver(port);
      try {
        await store.moveClock(retryAfterMs[0] ?? 0);
        await notifier.tick();
        assert.deepEqual(again.received.map(idOf), [missed?.id]);
        assert.equal((await deliveries(name))[0]?.state, "sent");
      } finally {
        await again.close();
      }
    }),
  );

  rule("a delivery whose server was killed between claiming and sending is sent once its lease is over, with the same id", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      hook.answer((response) => void response.writeHead(500).end());
      await fail("T-1");
      await server().tick();
      await store.moveClock(retryAfterMs[0] ?? 0);
      hook.answer((response) => void response.writeHead(200).end());
      const due = await findDue(store.db.read, name, 0);
      assert.ok(due);
      await store.write({ statements: [claimDelivery(due, leaseMs)], events: [] });
      // Nobody else can claim what was read before that.
      assert.equal((await store.db.commit({ statements: [claimDelivery(due, leaseMs)], events: [] })).kind, "conflict");
      // Nor can whoever held it before still say what came of it.
      const late = settleDelivery({ id: due.id, attempt: due.attempts }, { state: "failed", waitMs: 0, message: "late" });
      assert.equal((await store.db.commit({ statements: [late], events: [] })).kind, "conflict");
      const other = server({ db: await store.otherServer() });
      await other.tick();
      assert.equal(hook.received.length, 1, "somebody else holds it");
      await store.moveClock(leaseMs);
      await other.tick();
      assert.deepEqual(hook.received.map(idOf), [due.id, due.id]);
      const [delivery] = await deliveries(name);
      assert.deepEqual([delivery?.state, delivery?.attempts], ["sent", 3]);
    }),
  );

  rule("410 Gone disables the channel, says so in an event, and sends nothing that waited", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries, set }) => {
      const { name } = await channel();
      hook.answer((response) => void response.writeHead(410).end());
      await fail("T-1");
      await fail("T-2");
      const notifier = server();
      await notifier.tick();
      assert.equal(hook.received.length, 1);
      assert.deepEqual(
        (await deliveries(name)).map(({ state }) => state),
        ["failed", "failed"],
      );
      const [row] = await store.rows(sql`select enabled, message from channels where name = ${name}`);
      assert.equal(row?.["enabled"], 0);
      assert.match(String(row?.["message"]), /410 Gone/);
      const events = await store.rows(
        sql`select data from events where stream = 'instance' and type = 'channel.updated' order by seq desc limit 1`,
      );
      assert.deepEqual(JSON.parse(String(events[0]?.["data"])), { name, enabled: false, why: row?.["message"] });
      await fail("T-3");
      await set(name, { enabled: true });
      hook.answer((response) => void response.writeHead(200).end());
      await fail("T-4");
      await notifier.tick();
      assert.deepEqual(tasksOf(await deliveries(name)), ["T-1", "T-2", "T-4"]);
      const [back] = await store.rows(sql`select enabled, message from channels where name = ${name}`);
      assert.deepEqual(back, { enabled: 1, message: null });
    }),
  );

  rule("a channel that is disabled or removed hears of nothing, and what waited for it is not sent", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries, set }) => {
      const { name } = await channel();
      hook.answer((response) => void response.writeHead(500).end());
      await fail("T-1");
      const notifier = server();
      await notifier.tick();
      await set(name, { enabled: false });
      const [ended] = await deliveries(name);
      assert.deepEqual([ended?.state, ended?.message], ["failed", "the channel was disabled"]);
      await fail("T-2");
      await store.moveClock(retryAfterMs[0] ?? 0);
      await notifier.tick();
      assert.deepEqual([tasksOf(await deliveries(name)), hook.received.length], [["T-1"], 1]);
      // A delivery that slipped in beside the change is not sent either.
      const slipped = deliveryId({ stream: "x", seq: 1 }, name);
      const [notice] = await store.rows(sql`select payload from deliveries where channel = ${name}`);
      await store.write({ statements: [insertDelivery(slipped, name, JSON.parse(String(notice?.["payload"])) as Notice)], events: [] });
      await notifier.tick();
      assert.equal(hook.received.length, 1);
      const due = await findDue(store.db.read, name, 0);
      assert.ok(due);
      assert.equal((await store.db.commit({ statements: [claimDelivery(due, leaseMs)], events: [] })).kind, "conflict");
    }),
  );

  rule("a channel that is made while a look is under way hears of what happens in that look", (store) =>
    withReceiver(store, async ({ channel, fail, deliveries, project }) => {
      const first = await channel();
      await fail("T-1");
      let made: { name: string } | null = null;
      const read: Reader = {
        one: (query) => store.db.read.one(query),
        async all(query) {
          if (!made && render(query, "sqlite").text.includes("from events where stream")) {
            made = await channel();
            await fail("T-2");
          }
          return await store.db.read.all(query);
        },
      };
      await makeFollower({ ...store.db, read }).follow(project, new AbortController().signal);
      assert.ok(made);
      assert.deepEqual(
        [tasksOf(await deliveries(first.name)), tasksOf(await deliveries((made as { name: string }).name))],
        [["T-1", "T-2"], ["T-2"]],
      );
    }),
  );

  rule("an attempt has a time limit, and one that ran into it is tried again", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      hook.answer(() => undefined);
      await fail("T-1");
      await server({ timeLimitMs: 50 }).tick();
      const [delivery] = await deliveries(name);
      assert.deepEqual([delivery?.state, delivery?.attempts, delivery?.message], ["queued", 1, "no answer in time"]);
    }),
  );

  rule("a receiver that never answers holds up no other channel; a server that stops gives its delivery back", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const [slow, quick] = [await channel({ url: `http://${hook.host}/slow` }), await channel({ url: `http://${hook.host}/quick` })];
      hook.answer((response, { path }) => void (path === "/quick" && response.writeHead(204).end()));
      const notifier = server();
      await fail("T-1");
      await fail("T-2");
      void notifier.tick();
      await hook.got(3);
      await until("the quick one's last", async () => (await deliveries(quick.name)).every(({ state }) => state === "sent"));
      const held = (await deliveries(slow.name)).filter(({ attempts }) => attempts === 1);
      assert.deepEqual([held.length, held[0]?.state], [1, "queued"]);
      await notifier.stop();
      assert.deepEqual(
        (await deliveries(slow.name)).map(({ state, attempts }) => [state, attempts]),
        [
          ["queued", 0],
          ["queued", 0],
        ],
      );
      hook.answer((response) => void response.writeHead(204).end());
      await server().tick();
      assert.ok((await deliveries(slow.name)).every(({ state, attempts }) => state === "sent" && attempts === 1));
    }),
  );

  rule("a secret that lies on another server leaves the delivery to that one for a minute; then it is said", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      await fail("T-1");
      const elsewhere = server({ home: join(store.services.home, "elsewhere") });
      await elsewhere.tick();
      assert.equal((await deliveries(name))[0]?.attempts, 0);
      await store.moveClock(60_000);
      await elsewhere.tick();
      const [delivery] = await deliveries(name);
      assert.deepEqual([delivery?.attempts, delivery?.message], [1, "its secret is not on this server: set it again"]);
      assert.equal(hook.received.length, 0, "nothing is sent without a signature");
      await elsewhere.stop();
      await store.moveClock(retryAfterMs[0] ?? 0);
      await server().tick();
      assert.equal((await deliveries(name))[0]?.state, "sent");
      await rm(join(store.services.home, "elsewhere"), { recursive: true, force: true });
    }),
  );

  rule("an address that turned private is not sent to, and the delivery says why", (store) =>
    withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
      const { name } = await channel();
      const secret = {
        statements: [statement(sql`update channels set url = ${`http://127.0.0.1:${hook.port + 1}/x`} where name = ${name}`)],
        events: [],
      };
      await store.write(secret);
      await fail("T-1");
      await server().tick();
      const [delivery] = await deliveries(name);
      assert.equal(delivery?.state, "queued");
      assert.match(delivery?.message ?? "", /notifications may not go to/);
    }),
  );

  if (kind === "sqlite") {
    rule("deliveries that are over are forgotten after 30 days, and none of them is made again", (store) =>
      withReceiver(store, async ({ hook, channel, server, fail, deliveries }) => {
        const { name } = await channel();
        await fail("T-1");
        const first = server();
        await first.tick();
        await first.stop();
        await store.moveClock(31 * 24 * 3_600_000);
        await server().tick();
        assert.deepEqual([(await deliveries(name)).length, hook.received.length], [0, 1]);
      }),
    );
  }
});

import assert from "node:assert/strict";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { startReceiver, type Receiver } from "../../test/support/receiver.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { createToken } from "../access/commands.ts";
import { sql, statement } from "../db/plan.ts";
import { makeClient, type Client } from "../entry/client.ts";
import type { AppError } from "../errors.ts";
import { listChannelsQuery, listDeliveriesQuery, removeChannel, setChannel, testChannel } from "./commands.ts";
import { startNotifier } from "./notifier.ts";
import { makeOutbound } from "./outbound.ts";
import { sweepSecrets } from "./secrets.ts";
import { listKeyNames } from "./store.ts";

const entries = [setChannel, removeChannel, testChannel, listChannelsQuery, listDeliveriesQuery, createToken] as const;

suite("channels", () => {
  let server: TestServer;
  let client: Client<typeof entries>;
  let hook: Receiver;
  let other: Receiver;
  before(async () => {
    [hook, other] = [await startReceiver(), await startReceiver()];
    server = await openServer({ entries });
    server.services.outbound = makeOutbound({ allow: [hook.host, other.host, `127.0.0.1:${server.port}`] });
    server.services.outbound.serve(server.url);
    client = clientOf(server.tokens.person);
  });
  after(async () => {
    await server.close();
    await hook.close();
    await other.close();
  });

  const clientOf = (token: string): Client<typeof entries> => makeClient({ url: server.url, token, entries });
  const keys = (): string => join(server.services.home, "channel-keys");
  const channels = async () => (await client.query("channel.list", { limit: 500 })).items;
  const refused = (work: Promise<unknown>, code: AppError["code"], message: RegExp): Promise<void> =>
    assert.rejects(work, (error: AppError) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });
  /** Everything that the store holds, as text. */
  async function everything(): Promise<string> {
    const { read } = server.services.db;
    const tables = await read.all<{ name: string }>(sql`select name from sqlite_master where type = 'table'`);
    return JSON.stringify(await Promise.all(tables.map(({ name }) => read.all<object>({ pieces: [`select * from ${name}`] }))));
  }

  test("a new channel hears of what needs a person and of failures; the secret that was made for it is shown once", async () => {
    const { secret, ...channel } = await client.command("channel.set", { name: "hook", kind: "webhook", url: `http://${hook.host}/x` });
    assert.match(secret ?? "", /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.deepEqual(channel, {
      name: "hook",
      kind: "webhook",
      url: `http://${hook.host}/x`,
      topics: ["needs you", "failed"],
      enabled: true,
      hasSecret: true,
      message: null,
      createdAt: channel.createdAt,
    });
    assert.deepEqual(await channels(), [channel]);
    const again = await client.command("channel.set", { name: "hook", topics: ["quota", "done", "quota"] });
    assert.deepEqual([again.secret, again.url, again.topics], [null, channel.url, ["done", "quota"]]);
  });

  test("a request that is sent again under its key does not show the secret again", async () => {
    const input = { name: "twice", kind: "webhook" as const, url: `http://${hook.host}/x` };
    assert.ok((await client.command("channel.set", input, { key: "k-1" })).secret);
    await refused(client.command("channel.set", input, { key: "k-1" }), "conflict", /done already/);
  });

  test("secrets lie in files for the server alone, and in no row, event, list, error, answer or log, not even when a receiver repeats them", async () => {
    const [token, signing] = ["planted-token-0815", `whsec_${Buffer.from("planted-signing-secret-0815").toString("base64")}`];
    const seen: unknown[] = [
      await client.command("channel.set", { name: "phone", kind: "ntfy", url: `http://${hook.host}/topic`, secret: token }),
      await client.command("channel.set", { name: "bot", kind: "webhook", url: `http://${hook.host}/bot`, secret: signing }),
    ];
    for (const file of await readdir(keys())) assert.equal((await stat(join(keys(), file))).mode & 0o777, 0o600);
    assert.equal((await stat(keys())).mode & 0o777, 0o700);
    hook.answer((response, { headers }) => {
      const repeated = headers.authorization?.slice("Bearer ".length) ?? "";
      response.writeHead(500).end(`you sent ${repeated} ${repeated.split("").join("\u200b")}`);
    });
    const logged: unknown[] = [];
    const log = { warn: (...line: unknown[]) => void logged.push(line), error: (...line: unknown[]) => void logged.push(line) };
    const { db, bus, home, clock, outbound = makeOutbound({ allow: [] }) } = server.services;
    const notifier = startNotifier({ db, bus, outbound, home, now: clock.now, log });
    await db.commit({
      statements: [],
      events: [{ stream: "shop", type: "task.settled", task: "T-1", data: { state: "failed", reason: "error", title: "x" } }],
    });
    await notifier.tick();
    await notifier.stop();
    assert.ok(
      hook.received.some(({ headers }) => headers.authorization === `Bearer ${token}`),
      "control: it was sent",
    );
    for (const name of ["phone", "bot"]) seen.push(await client.command("channel.test", { name }));
    seen.push(await client.query("delivery.list", {}), await channels(), logged, server.faults, await everything());
    const text = JSON.stringify(seen);
    assert.match(text, /you sent/);
    assert.match(text, /channel\.updated/);
    for (const secret of [token, signing, signing.slice("whsec_".length), "planted-signing"]) assert.ok(!text.includes(secret), secret);
    const updates = await db.read.all<{ data: string }>(sql`select data from events where type = 'channel.updated'`);
    assert.ok(updates.length > 0 && updates.every(({ data }) => !data.includes("/topic")), "the path may be a password too");
    hook.answer((response) => void response.writeHead(204).end());
  });

  test("what cannot be a channel is refused by the field, and leaves nothing, not even a file", async () => {
    const before = [await channels(), await readdir(keys())];
    const good = { name: "wrong", kind: "webhook" as const, url: `http://${hook.host}/x` };
    const wrong: [object, RegExp][] = [
      [{ name: "../x" }, /name/],
      [{ name: "" }, /name/],
      [{ kind: "mail" }, /kind/],
      [{ kind: undefined }, /a new channel needs kind and url/],
      [{ url: undefined }, /a new channel needs kind and url/],
      [{ url: "nowhere" }, /url must be an http/],
      [{ url: "ftp://x.example/" }, /url must be an http/],
      [{ url: `http://ann:planted@${hook.host}/` }, /url must not carry a name/],
      [{ url: `http://${hook.host}/#x` }, /url must not carry a fragment/],
      [{ url: "http://127.0.0.1/" }, /may not go to 127\.0\.0\.1/],
      [{ url: "http://169.254.169.254/latest/meta-data/" }, /may not go to/],
      [{ url: "http://localhost./x" }, /may not go to|has no address/],
      [{ url: `${server.url}/api/commands/task.create` }, /may not go to/],
      [{ kind: "ntfy", url: `http://${hook.host}/` }, /ntfy's topic/],
      [{ kind: "ntfy", url: `http://${hook.host}/a?x=1` }, /ntfy's topic/],
      [{ kind: "ntfy", url: `http://${hook.host}/a%20b` }, /ntfy's topic/],
      [{ secret: "planted-word" }, /whsec_/],
      [{ secret: "whsec_c2hvcnQ=" }, /24 to 64 bytes/],
      [{ secret: `whsec_${"!".repeat(40)}` }, /whsec_/],
      [{ kind: "ntfy", secret: "two\nplanted" }, /secret/],
      [{ topics: [] }, /topics/],
      [{ topics: ["everything"] }, /topics/],
      [{ enabled: "perhaps" }, /enabled/],
      [{ color: "blue" }, /color/],
    ];
    for (const [change, message] of wrong) {
      const work = client.command("channel.set", { ...good, ...change } as typeof good);
      await assert.rejects(work, (error: AppError) => {
        assert.deepEqual([error.code, message.test(error.message)], ["invalid_input", true], `${JSON.stringify(change)}: ${error.message}`);
        assert.ok(!JSON.stringify(error).includes("planted"));
        return true;
      });
    }
    assert.deepEqual([await channels(), await readdir(keys())], before);
    await refused(client.command("channel.remove", { name: "wrong" }), "not_found", /wrong/);
    await refused(client.command("channel.test", { name: "wrong" }), "not_found", /wrong/);
  });

  test("a double slash in an ntfy address leads to no other host", async () => {
    await client.command("channel.set", { name: "slashes", kind: "ntfy", url: `http://${hook.host}//${other.host}/topic` });
    const before = hook.received.length;
    assert.equal((await client.command("channel.test", { name: "slashes" })).sent, true);
    assert.deepEqual([hook.received.length, other.received.length], [before + 1, 0]);
  });

  test("a token goes to no other server; a webhook that moves gets a new secret", async () => {
    await client.command("channel.set", { name: "moves", kind: "ntfy", url: `http://${hook.host}/a`, secret: "tk_moving" });
    await refused(client.command("channel.set", { name: "moves", url: `http://${other.host}/a` }), "invalid_input", /another server/);
    assert.equal((await client.command("channel.set", { name: "moves", url: `http://${hook.host}/b` })).hasSecret, true);
    assert.equal((await client.command("channel.set", { name: "moves", url: `http://${other.host}/a`, secret: null })).hasSecret, false);
    await client.command("channel.test", { name: "moves" });
    assert.equal(other.received.at(-1)?.headers.authorization, undefined);
    const first = await client.command("channel.set", { name: "moves", kind: "webhook" });
    const second = await client.command("channel.set", { name: "moves", url: `http://${hook.host}/c` });
    const third = await client.command("channel.set", { name: "moves", secret: null });
    assert.equal(new Set([first.secret, second.secret, third.secret, null]).size, 4);
  });

  test("what is only switched off needs no network; to switch it on again its address is checked again", async () => {
    await client.command("channel.set", { name: "off", kind: "webhook", url: `http://${hook.host}/off` });
    // As if its name had turned to a private address.
    const moved = sql`update channels set url = 'http://127.0.0.1/' where name = 'off'`;
    await server.services.db.commit({ statements: [statement(moved)], events: [] });
    // The command line says it as a word.
    assert.equal((await client.command("channel.set", { name: "off", enabled: "false" })).enabled, false);
    await refused(client.command("channel.set", { name: "off", enabled: true }), "invalid_input", /may not go to/);
    assert.equal((await channels()).find(({ name }) => name === "off")?.enabled, false);
  });

  test("a test is marked as one, needs no enabled channel, and answers what the receiver said", async () => {
    await client.command("channel.set", { name: "tried", kind: "webhook", url: `http://${hook.host}/tried`, enabled: false });
    assert.deepEqual(await client.command("channel.test", { name: "tried" }), {
      name: "tried",
      sent: true,
      status: 204,
      message: "HTTP 204",
    });
    const received = hook.received.at(-1);
    const { type, data } = JSON.parse(received?.body ?? "{}") as { type: string; data: { test: boolean; url: string } };
    assert.deepEqual([type, data.test, data.url], ["notification.test", true, `${server.url}/inbox`]);
    assert.ok(received?.headers["webhook-signature"]);
    hook.answer((response) => void response.writeHead(403).end("not you"));
    assert.deepEqual(await client.command("channel.test", { name: "tried" }), {
      name: "tried",
      sent: false,
      status: 403,
      message: "HTTP 403: not you",
    });
    hook.answer((response) => void response.writeHead(302, { location: `http://${other.host}/` }).end());
    const before = other.received.length;
    assert.equal((await client.command("channel.test", { name: "tried" })).message, "HTTP 302: a redirect is not followed");
    assert.equal(other.received.length, before);
    hook.answer((response) => void response.socket?.destroy());
    const { sent, status } = await client.command("channel.test", { name: "tried" });
    assert.deepEqual([sent, status], [false, null]);
    hook.answer((response) => void response.writeHead(204).end());
  });

  test("only an admin's token sees or changes channels; deliveries are for reading", async () => {
    const { token } = await client.command("token.create", { name: "reader", scopes: ["read", "work", "approve"] });
    const reader = clientOf(token);
    for (const work of [
      () => reader.command("channel.set", { name: "hook", enabled: false }),
      () => reader.command("channel.remove", { name: "hook" }),
      () => reader.command("channel.test", { name: "hook" }),
      () => reader.query("channel.list", {}),
    ])
      await refused(work(), "forbidden", /may not call/);
    await reader.query("delivery.list", {});
    await refused(clientOf(server.tokens.agent).query("delivery.list", {}), "forbidden", /agent may not/);
  });

  test("removing a channel removes its secret; a file that no channel names is swept up, unless it is new", async () => {
    await client.command("channel.set", { name: "gone", kind: "webhook", url: `http://${hook.host}/gone` });
    const [row] = await server.services.db.read.all<{ key_name: string }>(sql`select key_name from channels where name = 'gone'`);
    await readFile(join(keys(), row?.key_name ?? "?"));
    await client.command("channel.remove", { name: "gone" });
    await assert.rejects(readFile(join(keys(), row?.key_name ?? "?")), { code: "ENOENT" });
    const named = await listKeyNames(server.services.db.read);
    for (const file of await readdir(keys())) await utimes(join(keys(), file), 1, 1);
    await writeFile(join(keys(), "old"), "x");
    await utimes(join(keys(), "old"), 1, 1);
    await writeFile(join(keys(), "new"), "x");
    await sweepSecrets(server.services.home, named);
    assert.deepEqual((await readdir(keys())).toSorted(), [...named, "new"].toSorted());
  });

  test("the list comes in pages; there are at most 50 channels", async () => {
    const names = (await channels()).map(({ name }) => name);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const part = await client.query("channel.list", { limit: 3, cursor });
      paged.push(...part.items.map(({ name }) => name));
      cursor = part.next ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(paged, names);
    const add = (index: number) => client.command("channel.set", { name: `more-${index}`, kind: "ntfy", url: `http://${hook.host}/more` });
    for (let count = names.length; count < 50; count += 1) await add(count);
    await refused(add(50), "conflict", /50 channels/);
    await client.command("channel.set", { name: "more-49", enabled: false });
  });
});

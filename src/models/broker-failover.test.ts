import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { targetAt } from "../../test/support/model-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "../../test/support/model-server/server.ts";
import { startBroker, type BrokerLimits } from "./broker.ts";
import { choiceOf } from "./choose.ts";
import type { Target } from "./provider.ts";

const token = `session-${randomUUID()}`;

interface Provider {
  target: Target;
  server: ModelServer | null;
}

/** A scripted provider with a key and a model of its own. */
async function scripted(t: TestContext, provider: string, rules: Rule[], changed: Partial<Target> = {}): Promise<Provider> {
  const key = `sk-${provider}-${randomUUID()}`;
  const server = await startModelServer(rules, { key });
  t.after(() => server.close());
  return { target: targetAt({ provider, baseUrl: `${server.url}/v1`, key, model: `model-of-${provider}`, ...changed }), server };
}

/** One that answers as the listener says. */
async function listening(t: TestContext, provider: string, listener: RequestListener): Promise<Provider> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const baseUrl = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/v1`;
  return { target: targetAt({ provider, baseUrl, key: `sk-${provider}-${randomUUID()}` }), server: null };
}

/** A port at which somebody listens and never speaks. */
async function mute(t: TestContext): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/v1`;
}

async function bench(t: TestContext, providers: Provider[], limits: Partial<BrokerLimits> = {}) {
  const [usages, warnings]: [{ provider: string; model: string | null }[], [{ provider?: string; status?: number | null }, string][]] = [
    [],
    [],
  ];
  const broker = await startBroker({
    resolve: async (given) => (given === token ? providers.map(({ target }) => target) : []),
    onUsage: (_token, usage) => usages.push(usage),
    log: { warn: (details, message) => void warnings.push([details, message]) },
    limits,
  });
  t.after(() => broker.close());
  const everything: string[] = [];
  return {
    usages,
    /** Which provider could not answer, and with which status, as the log has it. */
    missed: () => warnings.map(([{ provider, status }]) => [provider, status]),
    async send({ stream = false, path = "/v1/chat/completions", headers = {} as Record<string, string> } = {}) {
      const body = JSON.stringify({
        model: "whatever",
        stream,
        stream_options: { include_usage: true },
        messages: [{ role: "user", content: "hi" }],
      });
      const answer = await fetch(`${broker.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, ...headers },
        body,
      });
      const text = await answer.text().catch((error: unknown) => `broken: ${String(error)}`);
      everything.push(text, JSON.stringify([...answer.headers]), JSON.stringify(warnings));
      for (const { target } of providers) assert.equal(everything.join().includes(String(target.key)), false, "no key anywhere");
      return { status: answer.status, headers: answer.headers, text };
    },
  };
}

const asked = ({ server }: Provider): number => server?.requests.length ?? Number.NaN;

for (const stream of [false, true]) {
  test(`the next provider of the protocol answers when one cannot, with its own key and model (${stream ? "streamed" : "whole"})`, async (t) => {
    for (const status of [401, 408, 429, 500, 503, 529]) {
      const nonce = randomUUID();
      const first = await scripted(t, "first", [{ error: { status, message: "not now" } }]);
      const second = await scripted(t, "second", [{ reply: nonce }]);
      const third = await scripted(t, "third", [{ reply: "never" }]);
      const { send, usages, missed } = await bench(t, [first, second, third]);
      const answer = await send({ stream });
      assert.equal(answer.status, 200, `${status}: ${answer.text}`);
      const said = [...answer.text.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece).join("");
      assert.equal(said, nonce);
      assert.deepEqual([asked(first), asked(second), asked(third)], [1, 1, 0]);
      assert.equal(second.server?.requests[0]?.authorization, `Bearer ${second.target.key}`);
      assert.equal((second.server?.requests[0]?.body as { model: string } | undefined)?.model, "model-of-second");
      assert.deepEqual(
        usages.map(({ provider, model }) => [provider, model]),
        [["second", "model-of-second"]],
      );
      assert.deepEqual(missed(), [["first", status]]);
    }
  });
}

test("a wrong or forbidden request is not tried elsewhere", async (t) => {
  for (const status of [400, 403, 404]) {
    const first = await scripted(t, "first", [{ error: { status, message: "it is wrong" } }]);
    const second = await scripted(t, "second", [{ reply: "hello" }]);
    const { send } = await bench(t, [first, second]);
    const answer = await send();
    assert.equal(answer.status, status);
    assert.match(answer.text, /it is wrong/);
    assert.equal(asked(second), 0);
  }
});

test("who cannot be reached, says nothing, redirects, or breaks off before the first byte is passed over", async (t) => {
  const ways: Record<string, () => Promise<Provider>> = {
    nobody: async () => ({
      target: targetAt({ provider: "first", baseUrl: "http://127.0.0.1:1/v1", key: `sk-${randomUUID()}` }),
      server: null,
    }),
    silent: () => listening(t, "first", () => undefined),
    redirects: () => listening(t, "first", (_incoming, response) => response.writeHead(307, { location: "/elsewhere" }).end()),
    packs: () => listening(t, "first", (_incoming, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x")),
    "breaks off": () =>
      listening(t, "first", (_incoming, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
        setImmediate(() => response.destroy());
      }),
    "falls silent": () =>
      listening(t, "first", (_incoming, response) => response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()),
  };
  for (const [way, make] of Object.entries(ways)) {
    const second = await scripted(t, "second", [{ reply: "hello" }]);
    const { send, missed } = await bench(t, [await make(), second], { idleMs: 300 });
    const answer = await send({ stream: true });
    assert.equal(answer.status, 200, `${way}: ${answer.text}`);
    assert.match(answer.text, /\[DONE\]/, way);
    assert.deepEqual(missed(), [["first", null]], way);
  }
});

test("a connection that does not come about is waited for a short time, however long an answer may take", async (t) => {
  const baseUrl = (await mute(t)).replace("http:", "https:");
  const first = { target: targetAt({ provider: "first", baseUrl, key: `sk-${randomUUID()}` }), server: null };
  const second = await scripted(t, "second", [{ reply: "hello" }]);
  const { send, missed } = await bench(t, [first, second], { connectMs: 200, idleMs: 30_000 });
  const started = performance.now();
  assert.equal((await send()).status, 200);
  assert.ok(performance.now() - started < 15_000);
  assert.deepEqual(missed(), [["first", null]]);
});

test("what broke off after its first byte stays broken: nobody gets half of one answer and half of another", async (t) => {
  const first = await scripted(t, "first", [{ reply: "a long answer", stream: "broken" }]);
  const second = await scripted(t, "second", [{ reply: "hello" }]);
  const { send } = await bench(t, [first, second]);
  const answer = await send({ stream: true });
  assert.equal(answer.status, 200);
  assert.match(answer.text, /^broken: /);
  assert.equal(asked(second), 0);
});

test("when all are at their limit the one is told that ends first", async (t) => {
  const limited = (seconds: number): Rule[] => [{ error: { status: 429, message: `wait ${seconds}`, retryAfterSeconds: seconds } }];
  const providers = [
    await scripted(t, "first", limited(900)),
    await scripted(t, "second", limited(20)),
    await scripted(t, "third", limited(300)),
  ];
  const { send } = await bench(t, providers);
  const answer = await send();
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get("retry-after"), "20");
  assert.match(answer.text, /wait 20/);
  assert.deepEqual(providers.map(asked), [1, 1, 1]);
});

test("when nobody could answer, the last failure that is no refused key is told, in its provider's words or ours", async (t) => {
  const refused = await scripted(t, "refused", [{ error: { status: 401, message: "no such key" } }]);
  const down = await scripted(t, "down", [{ error: { status: 503, message: "closed today" } }]);
  const gone: Provider = {
    target: targetAt({ provider: "gone", baseUrl: "http://127.0.0.1:1/v1", key: `sk-${randomUUID()}` }),
    server: null,
  };
  const one = await (await bench(t, [gone, down, refused])).send();
  assert.deepEqual([one.status, /closed today/.test(one.text)], [503, true]);
  const other = await (await bench(t, [down, gone])).send();
  assert.deepEqual([other.status, /cannot be reached/.test(other.text)], [502, true]);
});

test("a failure that repeats its key is told without it, and a very long one without its words", async (t) => {
  const telling = await listening(t, "telling", (incoming, response) =>
    response.writeHead(503).end(`I know ${incoming.headers.authorization}`),
  );
  const again = await listening(t, "again", (_incoming, response) => response.writeHead(503).end("x".repeat(200_000)));
  const one = await (await bench(t, [again, telling])).send();
  assert.deepEqual([one.status, one.text], [503, "I know Bearer [key]"]);
  const other = await (await bench(t, [telling, again])).send();
  assert.deepEqual([other.status, other.text], [503, ""]);
});

test("providers of another protocol are passed over: they would not understand the request", async (t) => {
  const first = await scripted(t, "first", [{ error: { status: 429 } }]);
  const anthropic = await scripted(t, "anthropic", [{ reply: "hello" }], { protocol: "anthropic", api: null });
  const third = await scripted(t, "third", [{ reply: "hello" }]);
  const { send } = await bench(t, [first, anthropic, third]);
  assert.equal((await send()).status, 200);
  assert.deepEqual([first, anthropic, third].map(asked), [1, 0, 1]);
});

test("who asks for one of the session's models by name gets that one and no other, of whatever protocol", async (t) => {
  const first = await scripted(t, "first", [{ reply: "hello" }]);
  const second = await scripted(t, "second", [{ error: { status: 429, message: "limit of the second" } }]);
  const anthropic = await scripted(t, "anthropic", [{ reply: "hello" }], { protocol: "anthropic", api: null, model: "a/b ü" });
  const { send } = await bench(t, [first, second, anthropic]);
  const limit = await send({ headers: choiceOf(second.target) });
  assert.deepEqual([limit.status, /limit of the second/.test(limit.text)], [429, true]);
  assert.equal((await send({ path: "/v1/messages", headers: choiceOf(anthropic.target) })).status, 200);
  assert.equal((anthropic.server?.requests[0]?.body as { model: string } | undefined)?.model, "a/b ü");
  assert.equal((await send({ path: "/v1/messages", headers: choiceOf(first.target) })).status, 400);
  assert.equal(
    (await send({ headers: choiceOf({ provider: "first", model: "model-of-second" }) })).status,
    404,
    "only what the session has",
  );
  assert.deepEqual([first, second, anthropic].map(asked), [0, 1, 1]);
});

test("a session that goes away while one provider is asked costs no other one a request, and no provider its good name", async (t) => {
  const first = await scripted(t, "first", [{ reply: "hm", delay: "until released" }]);
  const second = await scripted(t, "second", [{ reply: "hello" }]);
  const warnings: unknown[] = [];
  const log = { warn: (...all: unknown[]) => void warnings.push(all) };
  const broker = await startBroker({ resolve: async () => [first.target, second.target], log });
  t.after(() => broker.close());
  const stop = new AbortController();
  const gone = assert.rejects(
    fetch(`${broker.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: "{}",
      signal: stop.signal,
    }),
  );
  await first.server?.waitFor(() => true);
  stop.abort();
  await gone;
  await first.server?.waitFor(({ state }) => state === "cut");
  // Whoever asks next is served after all that the first request could still do.
  const next = await fetch(`${broker.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, ...choiceOf(second.target) },
    body: "{}",
  });
  assert.equal(next.status, 200);
  assert.equal(asked(second), 1);
  assert.deepEqual(warnings, []);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type RequestListener } from "node:http";
import test, { type TestContext } from "node:test";
import { targetAt } from "../../test/support/model-bench.ts";
import { startModelServer, type Rule } from "../../test/support/model-server/server.ts";
import { startBroker, type Broker, type BrokerOptions } from "./broker.ts";
import type { CallUsage } from "./watch-usage.ts";

const key = "sk-very-secret-0123456789";
const token = "session-token";
const log = { warn: () => undefined };

/** A broker in front of a provider at `baseUrl`. */
async function brokerFor(
  t: TestContext,
  baseUrl: string,
  changed: Partial<BrokerOptions> = {},
): Promise<{ broker: Broker; usages: CallUsage[] }> {
  const usages: CallUsage[] = [];
  const broker = await startBroker({
    resolve: async (given) => (given === token ? [targetAt({ baseUrl, key })] : []),
    onUsage: (_token, usage) => usages.push(usage),
    log,
    ...changed,
  });
  t.after(() => broker.close());
  return { broker, usages };
}

async function scripted(t: TestContext, rules: Rule[] = []) {
  const provider = await startModelServer(rules, { key });
  t.after(() => provider.close());
  return { provider, ...(await brokerFor(t, `${provider.url}/v1`)) };
}

/** A provider that answers as the listener says. */
async function provider(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/v1`;
}

const post = (broker: Broker, body: unknown, headers: Record<string, string> = {}, path = "/v1/chat/completions"): Promise<Response> =>
  fetch(`${broker.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const chat = (content: string, stream = false) => ({ model: "whatever", stream, messages: [{ role: "user", content }] });

test("a session's token opens the provider, which sees the key and the agent's model", async (t) => {
  const { provider: server, broker, usages } = await scripted(t, [{ reply: "hello", usage: { input: 7, output: 3, cached: 2 } }]);
  const answer = await post(broker, chat("hi"));
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /hello/);
  assert.equal(server.requests[0]?.authorization, `Bearer ${key}`);
  assert.equal((server.requests[0]?.body as { model: string } | undefined)?.model, "the-model");
  assert.deepEqual(usages, [{ model: "the-model", inputTokens: 7, outputTokens: 3, cachedTokens: 2, provider: "scripted" }]);
});

test("streams flow through, and their usage is read", async (t) => {
  const { broker, usages } = await scripted(t, [{ reply: "hello", usage: { input: 7, output: 3, cached: 2 } }]);
  const answer = await post(broker, { ...chat("hi", true), stream_options: { include_usage: true } });
  assert.match(answer.headers.get("content-type") ?? "", /event-stream/);
  assert.match(await answer.text(), /data: \[DONE\]/);
  assert.deepEqual(
    usages.map(({ inputTokens, outputTokens, cachedTokens }) => [inputTokens, outputTokens, cachedTokens]),
    [[7, 3, 2]],
  );
});

test("the first part of a stream arrives while the provider still thinks", async (t) => {
  const { provider: server, broker } = await scripted(t, [{ reply: "hello", stream: "silent" }]);
  const answer = await post(broker, chat("hi", true));
  const first = await answer.body?.getReader().read();
  assert.match(Buffer.from(first?.value ?? []).toString(), /data:/);
  assert.equal(server.requests[0]?.state, "open");
});

test("a wrong or missing token is refused before anything is passed on", async (t) => {
  const { provider: server, broker } = await scripted(t);
  for (const authorization of ["Bearer wrong", "Basic abc", `Bearer ${key}`, ""]) {
    const answer = await post(broker, chat("hi"), { authorization });
    assert.equal(answer.status, 401, authorization);
  }
  assert.equal(server.requests.length, 0);
});

test("only the listed paths with their methods are served", async (t) => {
  const { provider: server, broker } = await scripted(t);
  for (const path of ["/", "/v1", "/v1/files", "/v1/chat/completions/", "/v1/chat/../files", "/control/requests", "/v1/__proto__"]) {
    assert.equal((await post(broker, chat("hi"), {}, path)).status, 404, path);
  }
  assert.equal((await post(broker, chat("hi"), {}, "/v1/models")).status, 405);
  assert.equal((await fetch(`${broker.url}/v1/chat/completions`, { headers: { authorization: `Bearer ${token}` } })).status, 405);
  assert.equal(server.requests.length, 0);
  assert.equal((await fetch(`${broker.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
});

test("a foreign Host and any Origin are refused, and no answer allows another origin", async (t) => {
  const { provider: server, broker } = await scripted(t);
  assert.equal(await statusWithHost(broker, "evil.example"), 403);
  assert.equal(await statusWithHost(broker, "127.0.0.1.evil.example:80"), 403);
  const fromBrowser = await post(broker, chat("hi"), { origin: "http://127.0.0.1:3000" });
  assert.equal(fromBrowser.status, 403);
  assert.equal(server.requests.length, 0);
  const answer = await post(broker, chat("hi"));
  assert.equal(
    [...answer.headers.keys()].some((name) => name.startsWith("access-control")),
    false,
  );
});

function statusWithHost(broker: Broker, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${broker.url}/v1/models`, { headers: { host, authorization: `Bearer ${token}` } }, (answer: IncomingMessage) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.once("error", reject).end();
  });
}

test("a provider's error and its Retry-After reach the session", async (t) => {
  const { broker } = await scripted(t, [{ error: { status: 429, message: "slow down", retryAfterSeconds: 17 } }]);
  const answer = await post(broker, chat("hi"));
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get("retry-after"), "17");
  assert.match(await answer.text(), /slow down/);
});

test("a provider that repeats the key is not believed: it reaches the session in no part of the answer", async (t) => {
  const base = await provider(t, (incoming, response) => {
    const said = incoming.headers.authorization ?? "";
    response.writeHead(401, { "content-type": "text/plain", "x-request-id": said, "x-leak": said, "set-cookie": `k=${said}` });
    // In pieces, so that no chunk has all of it.
    response.write(`wrong: ${said.slice(0, 12)}`);
    setImmediate(() => response.end(`${said.slice(12)}; once more ${said}!`));
  });
  const { broker } = await brokerFor(t, base);
  const answer = await post(broker, chat("hi"));
  const everything = JSON.stringify([...answer.headers]) + (await answer.text());
  assert.match(everything, /once more Bearer \[key\]!/);
  assert.equal(everything.includes(key), false);
  assert.equal(answer.headers.get("x-leak"), null);
  assert.equal(answer.headers.get("set-cookie"), null);
});

test("a redirect is not followed and a packed answer is refused", async (t) => {
  const seen: string[] = [];
  const other = await provider(t, (incoming, response) => {
    seen.push(String(incoming.headers.authorization));
    response.end("{}");
  });
  const redirecting = await provider(t, (_incoming, response) => response.writeHead(307, { location: `${other}/chat/completions` }).end());
  const packing = await provider(t, (_incoming, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"));
  for (const base of [redirecting, packing]) {
    const { broker } = await brokerFor(t, base);
    assert.equal((await post(broker, chat("hi"))).status, 502);
  }
  assert.deepEqual(seen, []);
});

test("a provider that is not there or says nothing is told as such, without the key", async (t) => {
  const quiet = await provider(t, () => undefined);
  const silent = await brokerFor(t, quiet, { limits: { idleMs: 50 } });
  const timedOut = await post(silent.broker, chat("hi"));
  assert.equal(timedOut.status, 504);
  const nobody = await brokerFor(t, "http://127.0.0.1:1/v1");
  const unreachable = await post(nobody.broker, chat("hi"));
  assert.equal(unreachable.status, 502);
  assert.equal(((await timedOut.text()) + (await unreachable.text())).includes(key), false);
});

test("a request that is too large or no JSON object is refused with its reason", async (t) => {
  const server = await startModelServer([], { key });
  t.after(() => server.close());
  const { broker } = await brokerFor(t, `${server.url}/v1`, { limits: { bodyBytes: 1000 } });
  const large = await post(broker, chat("x".repeat(2000)));
  assert.equal(large.status, 413);
  for (const body of ["[]", "null", "{", "1"]) assert.equal((await post(broker, body)).status, 400, body);
  assert.equal(server.requests.length, 0);
});

test("when the session goes away the provider's answer is cut", async (t) => {
  const { provider: server, broker } = await scripted(t, [{ reply: "hello", stream: "silent" }]);
  const stop = new AbortController();
  const answer = await fetch(`${broker.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(chat("hi", true)),
    signal: stop.signal,
  });
  assert.equal(answer.status, 200);
  stop.abort();
  await server.waitFor(({ state }) => state === "cut");
});

test("closing cuts what is under way and may be done twice", async (t) => {
  const { provider: server, broker } = await scripted(t, [{ reply: "hello", delay: "until released" }]);
  const failed = assert.rejects(post(broker, chat("hi")));
  await server.waitFor(() => true);
  await broker.close();
  await broker.close();
  await failed;
});

test("a failing look-up of the token lets nobody in, and its error stays inside", async (t) => {
  const warnings: unknown[] = [];
  const { broker } = await brokerFor(t, "http://127.0.0.1:1/v1", {
    resolve: async () => {
      throw new Error(`no store, ${key}`);
    },
    log: { warn: (...all) => void warnings.push(all) },
  });
  const answer = await post(broker, chat("hi"));
  assert.equal(answer.status, 502);
  assert.equal(((await answer.text()) + JSON.stringify(warnings)).includes(key), false);
  assert.equal(warnings.length, 1);
});

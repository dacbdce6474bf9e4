import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, request } from "node:http";
import test, { type TestContext } from "node:test";
import { targetAt } from "../../test/support/model-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "../../test/support/model-server/server.ts";
import { startBroker, type Broker } from "./broker.ts";
import type { Protocol } from "./model.ts";
import type { Target } from "./provider.ts";
import type { CallUsage } from "./watch-usage.ts";

const key = `sk-${randomUUID()}`;
const token = `session-${randomUUID()}`;

interface Dialect {
  protocol: Protocol;
  /** What a provider's address looks like. */
  base(url: string): string;
  path: string;
  /** The same, but for a stream. */
  streamPath?: string;
  body(text: string, stream: boolean): object;
  /** How this vendor's programs give their key. */
  header: string;
  /** Where the model is that the provider is asked for. */
  model(asked: { path: string; body: unknown }): unknown;
  refused: RegExp;
}

const modelIn = ({ body }: { body: unknown }): unknown => (body as { model?: string }).model;

const dialects: Record<string, Dialect> = {
  "OpenAI Chat Completions": {
    protocol: "openai",
    base: (url) => `${url}/v1`,
    path: "/v1/chat/completions",
    body: (text, stream) => ({ stream, stream_options: { include_usage: true }, messages: [{ role: "user", content: text }] }),
    header: "authorization",
    model: modelIn,
    refused: /^\{"error":\{"message":"[^"]+","type":"tutti_broker"/,
  },
  "OpenAI Responses": {
    protocol: "openai",
    base: (url) => `${url}/v1`,
    path: "/v1/responses",
    body: (text, stream) => ({ stream, input: text }),
    header: "authorization",
    model: modelIn,
    refused: /^\{"error":\{"message":"[^"]+","type":"tutti_broker"/,
  },
  "Anthropic Messages": {
    protocol: "anthropic",
    base: (url) => url,
    path: "/v1/messages?beta=true&key=no",
    body: (text, stream) => ({ stream, max_tokens: 50, messages: [{ role: "user", content: text }] }),
    header: "x-api-key",
    model: modelIn,
    refused: /^\{"type":"error","error":\{"type":"(authentication|invalid_request)_error","message":/,
  },
  Gemini: {
    protocol: "google",
    base: (url) => `${url}/v1beta`,
    path: "/v1beta/models/whatever:generateContent",
    streamPath: "/v1beta/models/whatever:streamGenerateContent?alt=sse",
    body: (text) => ({ contents: [{ role: "user", parts: [{ text }] }] }),
    header: "x-goog-api-key",
    model: ({ path, body }) => (modelIn({ body }) === undefined ? /models\/([^:]+):/.exec(path)?.[1] : "it stands in the body"),
    refused: /^\{"error":\{"code":40[01],"message":"[^"]+","status":"(UNAUTHENTICATED|INVALID_ARGUMENT)"\}\}$/,
  },
};

interface Bench {
  provider: ModelServer;
  broker: Broker;
  usages: (CallUsage & { provider: string })[];
  warnings: unknown[];
  send(path: string, body: object | null, headers?: Record<string, string>): Promise<{ status: number; headers: Headers; text: string }>;
}

async function bench(t: TestContext, { protocol, base }: Dialect, rules: Rule[] = [], changed: Partial<Target> = {}): Promise<Bench> {
  const provider = await startModelServer(rules, { key });
  const target = targetAt({ protocol, baseUrl: base(provider.url), key, ...changed });
  const [usages, warnings]: [Bench["usages"], unknown[]] = [[], []];
  const broker = await startBroker({
    resolve: async (given) => (given === token ? [target] : []),
    onUsage: (_token, usage) => usages.push(usage),
    log: { warn: (...all) => void warnings.push(all) },
  });
  t.after(() => Promise.all([broker.close(), provider.close()]));
  return {
    provider,
    broker,
    usages,
    warnings,
    async send(path, body, headers = {}) {
      const method = body ? "POST" : "GET";
      const answer = await fetch(`${broker.url}${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: body && JSON.stringify(body),
      });
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    },
  };
}

for (const [name, dialect] of Object.entries(dialects)) {
  const { protocol, path, streamPath = path, header } = dialect;
  const asProgram = { [header]: header === "authorization" ? `Bearer ${token}` : token };

  test(`${name}: whole and streamed answers come through, with the provider's key in the provider's place, and are counted`, async (t) => {
    for (const stream of [false, true]) {
      const nonce = randomUUID();
      const { provider, usages, send } = await bench(t, dialect, [{ reply: nonce, usage: { input: 70, output: 30, cached: 20 } }]);
      const { status, text } = await send(stream ? streamPath : path, dialect.body("hi", stream), asProgram);
      assert.equal(status, 200, text);
      // A stream has it in pieces.
      const said = [...text.matchAll(/"(?:text|content|delta)":"((?:[^"\\]|\\.)*)"/g)].map(([, piece]) => piece).join("");
      assert.ok(said.includes(nonce), text);
      const [asked] = provider.requests;
      assert.ok(asked);
      const heard = asked.headers[header];
      assert.equal(heard, header === "authorization" ? `Bearer ${key}` : key);
      assert.equal(JSON.stringify(asked).includes(token), false, "the session's token goes no further");
      assert.equal(dialect.model(asked), "the-model");
      const inputTokens = protocol === "anthropic" ? 90 : 70;
      assert.deepEqual(usages, [{ provider: "scripted", model: "the-model", inputTokens, outputTokens: 30, cachedTokens: 20 }]);
    }
  });

  test(`${name}: the session's token opens from wherever a program puts its key, and no other word does`, async (t) => {
    const { provider, send } = await bench(t, dialect, [{ reply: "ok" }]);
    const places: Record<string, string>[] = [{ authorization: `Bearer ${token}` }, { "x-api-key": token }, { "x-goog-api-key": token }];
    for (const place of places) assert.equal((await send(path, dialect.body("hi", false), place)).status, 200, JSON.stringify(place));
    assert.equal(provider.requests.length, places.length);
    const query = `${path}${path.includes("?") ? "&" : "?"}`;
    const inQuery = await send(`${query}key=${token}`, dialect.body("hi", false));
    assert.equal(inQuery.status, protocol === "google" ? 200 : 401);
    assert.equal(JSON.stringify(provider.requests).includes(token), false);
    const before = provider.requests.length;
    for (const wrong of [{}, { "x-api-key": key }, { authorization: `Basic ${token}` }, { "x-goog-api-key": "" }] as Record<
      string,
      string
    >[]) {
      const { status, text } = await send(path, dialect.body("hi", false), wrong);
      assert.equal(status, 401);
      assert.match(text, dialect.refused);
    }
    assert.equal(provider.requests.length, before);
  });

  test(`${name}: a session whose provider speaks another protocol is told so in its own language`, async (t) => {
    const other = protocol === "openai" ? "anthropic" : "openai";
    const { provider, send } = await bench(t, dialect, [{ reply: "ok" }], { protocol: other });
    const { status, text } = await send(path, dialect.body("hi", false), asProgram);
    assert.equal(status, 400);
    assert.match(text, dialect.refused);
    assert.match(text, new RegExp(`speaks the protocol of ${other}`));
    assert.equal(provider.requests.length, 0);
  });

  test(`${name}: a key that the provider repeats reaches nobody: no answer, no header, no log`, async (t) => {
    const { broker, warnings, send } = await bench(t, dialect, [
      { error: { status: 400, message: `your key ${key} is wrong`, retryAfterSeconds: 3 } },
    ]);
    const { status, headers, text } = await send(path, dialect.body("hi", false), asProgram);
    assert.equal(status, 400);
    assert.match(text, /your key \[key\] is wrong/);
    assert.equal(headers.get("retry-after"), "3");
    assert.equal(JSON.stringify([text, [...headers], warnings, broker]).includes(key), false);
  });

  test(`${name}: the address may have its version or a slash at the end, and the rest of it is kept`, async (t) => {
    const seen: (string | undefined)[] = [];
    const server = createServer((incoming, response) => {
      seen.push(incoming.url);
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/proxy`;
    const version = { openai: "/v1", anthropic: "/v1", google: "/v1beta" }[protocol];
    const same = protocol === "openai" ? [`${url}/v1`, `${url}/v1/`] : [url, `${url}/`, `${url}${version}`, `${url}${version}/`];
    for (const baseUrl of same) {
      const { send } = await bench(t, dialect, [], { baseUrl });
      await send(path, dialect.body("hi", false), asProgram);
    }
    assert.equal(seen.length, same.length);
    const [expected] = path.replace("whatever", "the-model").replace("&key=no", "").split("&");
    assert.deepEqual(new Set(seen), new Set([`/proxy${expected}`]));
  });
}

test("tokens are counted by the provider and cost nothing; the model that is counted for is the agent's", async (t) => {
  const anthropic = await bench(t, dialects["Anthropic Messages"] as Dialect);
  const counted = await anthropic.send(
    "/v1/messages/count_tokens",
    { messages: [{ role: "user", content: "hi" }] },
    { "x-api-key": token },
  );
  assert.match(counted.text, /^\{"input_tokens":\d+\}$/);
  const google = await bench(t, dialects["Gemini"] as Dialect);
  const inner = { model: "models/another", contents: [] };
  const total = await google.send("/v1beta/models/another:countTokens", { generateContentRequest: inner }, { "x-goog-api-key": token });
  assert.match(total.text, /^\{"totalTokens":\d+\}$/);
  const [asked] = google.provider.requests;
  assert.match(asked?.path ?? "", /models\/the-model:countTokens$/);
  assert.deepEqual(asked?.body, { generateContentRequest: { model: "models/the-model", contents: [] } });
  assert.deepEqual([...anthropic.usages, ...google.usages], []);
});

test("Google's stream without server-sent events is counted too", async (t) => {
  const body = JSON.stringify([
    { candidates: [{}], usageMetadata: { promptTokenCount: 5 }, modelVersion: "g-1" },
    {
      candidates: [{}],
      usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 4, thoughtsTokenCount: 3, cachedContentTokenCount: 2 },
    },
  ]);
  const server = createServer((_incoming, response) => response.writeHead(200, { "content-type": "application/json" }).end(body)).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  const baseUrl = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  const { usages, send } = await bench(t, dialects["Gemini"] as Dialect, [], { baseUrl });
  await send("/v1beta/models/x:streamGenerateContent", { contents: [] }, { "x-goog-api-key": token });
  assert.deepEqual(usages, [{ provider: "scripted", model: "g-1", inputTokens: 5, outputTokens: 7, cachedTokens: 2 }]);
});

test("no other path of a vendor is served, however it is written, and what is not is refused in the caller's language", async (t) => {
  for (const dialect of [dialects["Anthropic Messages"], dialects["Gemini"]] as Dialect[]) {
    const { provider, broker } = await bench(t, dialect);
    for (const path of [
      "/v1/messages/batches",
      "/v1/messages/../files",
      "/v1beta/models",
      "/v1beta/models/x:embedContent",
      "/v1beta/models/x:generateContent/..",
      "/v1beta/models/../../files:generateContent",
      "/v1beta/models/a/b:generateContent",
      "/v1beta/tunedModels/x:generateContent",
      "/v1/models/x:generateContent",
      "//v1/messages",
    ]) {
      const { status, text } = await raw(broker, path, dialect.header);
      assert.equal(status, 404, path);
      if (path.startsWith("/v1beta")) assert.match(text, /"status":"NOT_FOUND"/);
      if (path.startsWith("/v1/messages")) assert.match(text, /"type":"not_found_error"/);
    }
    assert.equal(provider.requests.length, 0);
  }
});

/** As written: fetch would tidy the path. */
function raw(broker: Broker, path: string, header: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(broker.url);
    const asked = request({ host: "127.0.0.1", port, path, method: "POST", headers: { [header]: token } }, (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part.toString()));
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asked.once("error", reject).end("{}");
  });
}

test("headers that steer a vendor's API come along, a version is always said, and nothing else of the session does", async (t) => {
  const dialect = dialects["Anthropic Messages"] as Dialect;
  const { provider, send } = await bench(t, dialect, [{ reply: "ok" }]);
  const given = {
    "x-api-key": token,
    "anthropic-beta": "tools-2099",
    "anthropic-version": "2099-01-01",
    cookie: "a=b",
    "x-other": "1",
    "tutti-model": "scripted%2Fthe-model",
  };
  await send(dialect.path, dialect.body("hi", false), given);
  await send(dialect.path, dialect.body("hi", false), { "x-api-key": token });
  const [first, second] = provider.requests;
  assert.deepEqual([first?.headers["anthropic-beta"], first?.headers["anthropic-version"]], ["tools-2099", "2099-01-01"]);
  assert.equal(second?.headers["anthropic-version"], "2023-06-01");
  for (const name of ["cookie", "x-other", "tutti-model", "authorization"]) assert.equal(first?.headers[name], undefined, name);
});

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import test, { type TestContext } from "node:test";
import { targetAt } from "../../test/support/model-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "../../test/support/model-server/server.ts";
import type { Target } from "./provider.ts";
import { testProvider } from "./test-provider.ts";

const key = `sk-${randomUUID()}`;

/** Each way to speak, with its address below the server's. */
const ways: Record<string, [Partial<Target>, string, string]> = {
  "Chat Completions": [{ protocol: "openai", api: "chat" }, "/v1", "/v1/chat/completions"],
  Responses: [{ protocol: "openai", api: "responses" }, "/v1", "/v1/responses"],
  Anthropic: [{ protocol: "anthropic", api: null }, "", "/v1/messages"],
  Google: [{ protocol: "google", api: null }, "/v1beta", "/v1beta/models/the-model:generateContent"],
};

async function bench(t: TestContext, rules: Rule[] = []): Promise<ModelServer> {
  const server = await startModelServer(rules, { key });
  t.after(() => server.close());
  return server;
}

for (const [way, [changed, below, path]] of Object.entries(ways)) {
  test(`${way}: one tiny call says whether a model is ready, unknown or at its limit, and whether its key is taken`, async (t) => {
    const server = await bench(t, [{ reply: "ok" }]);
    const target = targetAt({ baseUrl: server.url + below, key, ...changed });
    const ready = await testProvider(target);
    assert.deepEqual([ready.state, ready.message, ready.fix, ready.model], ["ready", null, null, "the-model"]);
    assert.ok(ready.ms >= 0);
    assert.deepEqual(
      server.requests.map((request) => request.path),
      [path],
    );
    assert.match(JSON.stringify(server.requests[0]?.body), /"(max_tokens|max_output_tokens|maxOutputTokens)":16/);

    for (const wrong of [null, "another-key"]) {
      const refused = await testProvider({ ...target, key: wrong });
      assert.equal(refused.state, "key refused", refused.message ?? "");
      assert.match(refused.fix ?? "", /^tutti providers set scripted --model the-model --key-stdin$/);
    }
    const cases: [number, string, string][] = [
      [404, "The model `the-model` does not exist", "model unknown"],
      [400, "models/the-model is not found for this API version", "model unknown"],
      [429, "slow down", "limited"],
      [503, "closed", "failed"],
      [400, "you ask too much", "failed"],
      [400, "API key not valid. Please pass a valid API key.", "key refused"],
      [403, "not for you", "key refused"],
    ];
    for (const [status, message, state] of cases) {
      server.setRules([{ error: { status, message } }]);
      const tested = await testProvider(target);
      assert.deepEqual([tested.state, tested.message], [state, `${status}: ${message}`]);
      assert.notEqual(tested.fix, null);
    }
  });
}

test("nobody, silence, a redirect and something that is no API are unreachable", async (t) => {
  const server = createServer((incoming, response) => {
    if (incoming.url?.startsWith("/silent")) return;
    if (incoming.url?.startsWith("/page")) response.writeHead(200, { "content-type": "text/html" }).end("<html>");
    else if (incoming.url?.startsWith("/json")) response.end("{}");
    else if (incoming.url?.startsWith("/moved")) response.writeHead(302, { location: "/json" }).end();
    else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  for (const baseUrl of ["http://127.0.0.1:1/v1", `${url}/silent`, `${url}/page`, `${url}/json`, `${url}/moved`, `${url}/elsewhere`]) {
    const tested = await testProvider(targetAt({ baseUrl, key }), 300);
    assert.equal(tested.state, "unreachable", `${baseUrl}: ${tested.message}`);
    assert.match(tested.fix ?? "", /start what listens at|--base-url/);
  }
});

test("a provider that repeats its key is not believed: the key is in no message", async (t) => {
  const server = await bench(t, [{ error: { status: 403, message: `the key ${key} may not` } }]);
  const tested = await testProvider(targetAt({ baseUrl: `${server.url}/v1`, key }));
  assert.equal(tested.message, "403: the key [key] may not");
  assert.equal(JSON.stringify(tested).includes(key), false);
});

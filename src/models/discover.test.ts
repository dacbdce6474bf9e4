import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import test, { type TestContext } from "node:test";
import { startModelServer } from "../../test/support/model-server/server.ts";
import { discoverModels } from "./discover.ts";

/** What each path answers; all others 404. */
type Answers = Record<string, unknown>;

async function serve(t: TestContext, answers: Answers | RequestListener): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const listener: RequestListener =
    typeof answers === "function"
      ? answers
      : (incoming, response) => {
          const answer = answers[incoming.url ?? ""];
          response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json; charset=utf-8" });
          response.end(JSON.stringify(answer ?? { error: "not found" }));
        };
  const server = createServer((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url} ${incoming.headers.host}`);
    listener(incoming, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { port: typeof address === "object" && address ? address.port : 0, asked };
}

/** The servers of these tests share the machine with others: only tests of the limit keep to the usual one. */
const patientMs = 10_000;

const list = (ids: string[], owner?: string) => ({
  object: "list",
  data: ids.map((id) => ({ id, object: "model", created: 1, owned_by: owner })),
});

/** As the servers themselves answer, shortened: Ollama 0.12, llama.cpp's server, vLLM 0.11, LM Studio 0.3. */
const servers: Record<string, (model: string) => Answers> = {
  ollama: (model) => ({
    "/v1/models": list([model], "library"),
    "/api/tags": { models: [{ name: model, model, modified_at: "2025-11-01T10:00:00Z", size: 5_225_388_164, digest: "500a1f067a9f" }] },
  }),
  "llama.cpp": (model) => ({
    "/v1/models": { ...list([model], "llamacpp"), models: [{ name: model, model }] },
    "/props": { default_generation_settings: { n_ctx: 4096 }, total_slots: 1, model_path: `/models/${model}` },
  }),
  vllm: (model) => ({ "/v1/models": list([model], "vllm") }),
  "lm studio": (model) => ({
    "/v1/models": list([model, "text-embedding-nomic"], "organization_owner"),
    "/api/v0/models": {
      object: "list",
      data: [
        { id: model, object: "model", type: "llm", publisher: "qwen", arch: "qwen3", state: "not-loaded" },
        { id: "text-embedding-nomic", object: "model", type: "embeddings", publisher: "nomic-ai", arch: "bert", state: "not-loaded" },
      ],
    },
  }),
  "openai-compatible": (model) => ({ "/v1/models": list([model]) }),
};

test("each kind of server is known by what it answers, on whatever port, with the models that it has", async (t) => {
  for (const [kind, answers] of Object.entries(servers)) {
    const model = `model-${randomUUID()}`;
    const { port, asked } = await serve(t, answers(model));
    const [found, ...others] = await discoverModels([port], patientMs);
    const name = { ollama: "ollama", "llama.cpp": "llamacpp", vllm: "vllm", "lm studio": "lmstudio" }[kind] ?? `local-${port}`;
    assert.deepEqual(found, { name, kind, baseUrl: `http://127.0.0.1:${port}/v1`, protocol: "openai", models: [model] });
    assert.deepEqual(others, []);
    assert.ok(
      asked.every((line) => line.startsWith("GET ") && line.endsWith(` 127.0.0.1:${port}`)),
      asked.join(),
    );
  }
});

test("a server without a model is found, and offers none", async (t) => {
  const { port } = await serve(t, { "/v1/models": { object: "list", data: null }, "/api/tags": { models: [] } });
  const [found] = await discoverModels([port], patientMs);
  assert.deepEqual([found?.kind, found?.models], ["ollama", []]);
});

test("whoever is no model server is not offered, and is asked for one thing only", async (t) => {
  const json = { "content-type": "application/json" };
  const good = JSON.stringify(list(["m"]));
  const wrong: Record<string, Answers | RequestListener> = {
    "a page": (_incoming, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
    "JSON that says it is a page": (_incoming, response) => response.writeHead(200, { "content-type": "text/html" }).end(good),
    "another list": { "/v1/models": { items: [{ id: "m" }] } },
    "a list of other things": { "/v1/models": { object: "list", data: [{ id: "m", object: "user" }] } },
    "names that are none": { "/v1/models": list(["two\nlines"]) },
    "an error with a list in it": (_incoming, response) => response.writeHead(500, json).end(good),
    "half a list": (_incoming, response) => response.writeHead(200, json).end(good.slice(0, -5)),
    "no end": (_incoming, response) => void response.writeHead(200, json).write(good),
    "too much": (_incoming, response) => response.writeHead(200, json).end(`${" ".repeat(2 * 1024 * 1024)}${good}`),
    "no answer": () => undefined,
    "a broken answer": (incoming) => incoming.socket.destroy(),
  };
  for (const [what, answers] of Object.entries(wrong)) {
    const { port, asked } = await serve(t, answers);
    const limitMs = ["no end", "no answer"].includes(what) ? 300 : patientMs;
    assert.deepEqual(await discoverModels([port], limitMs), [], what);
    assert.equal(asked.length, 1, what);
  }
});

test("a redirect is not followed, wherever it leads", async (t) => {
  const real = await startModelServer();
  t.after(() => real.close());
  const { port } = await serve(t, (incoming, response) => {
    response
      .writeHead(302, { location: `${real.url}${incoming.url}`, "content-type": "application/json" })
      .end(JSON.stringify(list(["m"])));
  });
  assert.deepEqual(await discoverModels([port], patientMs), []);
  assert.equal(real.requests.length, 0);
});

test("one that drips bytes for ever does not hold the others up", async (t) => {
  const dripping = await serve(t, (_incoming, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const timer = setInterval(() => response.write(" "), 20);
    response.once("close", () => clearInterval(timer));
  });
  const ollama = await serve(t, servers["ollama"]?.("qwen3") ?? {});
  const started = performance.now();
  const found = await discoverModels([dripping.port, ollama.port, 1], 1_500);
  // At most twice the limit: for the look, and for what it is; the rest is for a machine that has other work.
  assert.ok(performance.now() - started < 10_000);
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ["ollama"],
  );
});

test("two of a kind get two names, and a port that is named twice is asked once", async (t) => {
  const [one, two] = [await serve(t, servers["vllm"]?.("a") ?? {}), await serve(t, servers["vllm"]?.("b") ?? {})];
  const found = await discoverModels([one.port, two.port, one.port], patientMs);
  assert.deepEqual(
    found.map(({ name }) => name),
    ["vllm", `vllm-${two.port}`],
  );
  assert.equal(one.asked.filter((line) => line.includes("/v1/models")).length, 1);
});

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startModelServer, type Rule } from "../../../test/support/model-server/server.ts";
import { startBroker } from "../../models/broker.ts";
import { AgentSettings } from "../agent.ts";
import type { AgentEvent, SessionSpec } from "../backend.ts";
import { brokerAccess, makeBench, oneTurn, takeTurn, targetAt } from "../../../test/support/model-bench.ts";
import { makeModelBackend, modelBackend, type ModelLimits } from "./model.ts";

const key = "sk-very-secret-0123456789";
const token = "session-token-abcdef";

/** A scripted provider that wants the key, the broker before it, and sessions that know the broker alone. */
async function bench(t: TestContext, rules: Rule[] = [], limits: Partial<ModelLimits> = {}) {
  const made = await makeBench();
  t.after(() => made.close());
  const provider = await startModelServer(rules, { key });
  t.after(() => provider.close());
  const broker = await startBroker({
    resolve: async (given) => (given === token ? [targetAt({ baseUrl: `${provider.url}/v1`, key })] : []),
    log: { warn: () => undefined },
  });
  t.after(() => broker.close());
  const backend = makeModelBackend({ pauseMs: 1, ...limits });
  const spec = (changed: Partial<SessionSpec> = {}): SessionSpec =>
    made.spec({ settings: { provider: "scripted" }, broker: brokerAccess({ url: broker.url, token }), ...changed });
  const open = async (changed: Partial<SessionSpec> = {}) => {
    const connection = await backend.open(spec(changed), new AbortController().signal);
    t.after(() => connection.close());
    return connection;
  };
  const turn = async (text: string, changed: Partial<SessionSpec> = {}) => await takeTurn(await open(changed), text);
  return { ...made, provider, backend, spec, open, turn };
}

const toolEvents = (events: AgentEvent[]): string[] =>
  events.flatMap((event) => (event.kind === "tool" ? [`${event.name} ${event.state}`] : []));

test("a model writes a file through its tools, with its events in order and an outcome last", async (t) => {
  const { turn, cwd } = await bench(t);
  const content = `content ${Math.random()}`;
  const { events, outcome } = await turn(`WRITE notes/new.txt: ${content}\nRUN cat notes/new.txt\nSAY: it is written`);
  assert.equal(await readFile(join(cwd, "notes/new.txt"), "utf8"), `${content}\n`);
  assert.deepEqual(outcome, { kind: "done", output: "it is written" });
  assert.deepEqual(toolEvents(events), ["write started", "write done", "shell started", "shell done"]);
  const ran = events.find((event) => event.kind === "tool" && event.name === "shell" && event.state === "done");
  assert.equal(ran?.kind === "tool" && ran.output, `${content}\n[exit code 0]`);
  assert.deepEqual(
    events.slice(-2).map(({ kind }) => kind),
    ["usage", "outcome"],
  );
});

test("usage is summed over the calls of a turn; a provider that reports none is told of", async (t) => {
  const { turn, provider } = await bench(t, [
    { calls: [{ name: "list", arguments: {} }], usage: { input: 10, output: 2, cached: 4 } },
    { reply: "ok", usage: { input: 20, output: 3, cached: 8 } },
  ]);
  const { events } = await turn("go");
  assert.deepEqual(events.at(-2), {
    kind: "usage",
    usage: { model: "the-model", inputTokens: 30, outputTokens: 5, cachedTokens: 12, costUsd: null },
  });
  provider.setRules([{ reply: "ok", usage: null }]);
  const silent = await turn("go");
  assert.deepEqual(silent.events.at(-2), {
    kind: "usage",
    usage: { model: "the-model", inputTokens: 0, outputTokens: 0, cachedTokens: 0, costUsd: null },
  });
  assert.match(JSON.stringify(silent.events.at(-3)), /did not report the tokens of 1 of 1/);
});

test("neither the key nor the session's token are in any event, environment or error", async (t) => {
  const { turn, provider } = await bench(t);
  const { events } = await turn("RUN env; cat /proc/self/environ /proc/$PPID/environ; ls -la ~");
  provider.setRules([{ error: { status: 400, message: `the key ${key} and the token ${token} are wrong` } }]);
  const refused = await turn("go");
  const everything = JSON.stringify([events, refused.events]);
  assert.match(everything, /HOME=/);
  assert.match(everything, /are wrong/);
  assert.equal(everything.includes(key), false);
  assert.equal(everything.includes(token), false);
});

test("limits and overload are waited out, as often as is allowed", async (t) => {
  const { turn, provider } = await bench(t, [
    { error: { status: 429, retryAfterSeconds: 0 }, times: 1 },
    { error: { status: 529 }, times: 1 },
    { error: { status: 500 }, times: 1 },
    { reply: "at last" },
  ]);
  assert.equal((await turn("go")).said, "at last");
  assert.equal(provider.requests.length, 4);
  provider.setRules([{ error: { status: 503, message: "overloaded" } }]);
  const { outcome } = await turn("go");
  assert.deepEqual(outcome, {
    kind: "failed",
    cause: "model",
    message: "the provider answered 503: overloaded (api_error) (asked 5 times)",
    retryable: true,
  });
  assert.equal(provider.requests.length, 9);
});

test("a limit that lasts longer than a turn waits ends it, with the time to go on", async (t) => {
  const { turn, provider } = await bench(t, [{ error: { status: 429, message: "quota", retryAfterSeconds: 3600 } }]);
  const before = Date.now();
  const { outcome } = await turn("go");
  assert.ok(outcome.kind === "limited" && outcome.retryAt !== null);
  assert.ok(outcome.retryAt >= before + 3_600_000 && outcome.retryAt <= Date.now() + 3_600_000);
  assert.equal(provider.requests.length, 1);
});

test("an error that asking again does not mend ends the turn at once", async (t) => {
  const { turn, provider } = await bench(t, [{ error: { status: 400, message: "no such thing" } }]);
  const { outcome } = await turn("go");
  assert.ok(outcome.kind === "failed" && outcome.cause === "model" && !outcome.retryable);
  assert.match(outcome.message, /400: no such thing/);
  assert.equal(provider.requests.length, 1);
});

test("a broken stream is asked for again, and the reader is told", async (t) => {
  const { turn } = await bench(t, [{ reply: "a whole answer", stream: "broken", times: 1 }, { reply: "a whole answer" }]);
  const { events, outcome } = await turn("go");
  assert.deepEqual(outcome, { kind: "done", output: "a whole answer" });
  assert.ok(events.filter(({ kind }) => kind === "thought").length <= 1);
});

test("a silent stream is cut", async (t) => {
  const { turn, provider } = await bench(t, [{ reply: "hm", stream: "silent" }], { silenceMs: 150 });
  const { outcome } = await turn("go");
  assert.deepEqual(outcome, { kind: "failed", cause: "time", message: "the model said nothing for 150 ms", retryable: true });
  await provider.waitFor(({ state }) => state === "cut");
});

test("an answer that is cut by its length is not taken for a whole one", async (t) => {
  const { turn } = await bench(t, [{ reply: "half of a sen", stop: "length" }]);
  const { outcome } = await turn("go");
  assert.ok(outcome.kind === "failed" && !outcome.retryable);
});

test("wrong calls are given back to the model as results", async (t) => {
  const { turn, provider } = await bench(t, [
    {
      calls: [
        { name: "fly", arguments: {} },
        { name: "read", arguments: { path: 7 } },
        { name: "read", arguments: '{"path": "a' },
        { name: "read", arguments: { path: "missing.txt" } },
      ],
    },
    { when: "tool result", reply: "I see" },
  ]);
  const { events, outcome } = await turn("go");
  assert.deepEqual(outcome, { kind: "done", output: "I see" });
  const failed = events.flatMap((event) => (event.kind === "tool" && event.state === "failed" ? [event.output] : []));
  assert.equal(failed.length, 4);
  const sent = JSON.stringify(provider.requests[1]?.body);
  assert.match(sent, /unavailable tool 'fly'/);
  assert.match(sent, /missing\.txt does not exist/);
});

test("a turn without an end is stopped after its last model call", async (t) => {
  const { turn, provider } = await bench(t, [{ when: "any", calls: [{ name: "list", arguments: {} }] }], { calls: 4 });
  const { outcome } = await turn("go");
  assert.deepEqual(outcome, {
    kind: "failed",
    cause: "model",
    message: "the turn was stopped after 4 model calls without an end",
    retryable: false,
  });
  assert.equal(provider.requests.length, 4);
});

test("a cancelled turn ends at once, while the model speaks and while a tool runs, and the next turn goes on", async (t) => {
  const { open, provider } = await bench(t, [{ match: "think", reply: "hm", stream: "silent" }]);
  const connection = await open();
  const cancelled = async (prompt: string, when: (stop: () => void) => (event: AgentEvent) => void): Promise<void> => {
    const stop = new AbortController();
    let stopped = 0;
    const onEvent = when(() => {
      stopped = performance.now();
      stop.abort(new Error("enough"));
    });
    const { events, outcome } = await takeTurn(connection, prompt, { signal: stop.signal, onEvent });
    assert.deepEqual(outcome, { kind: "cancelled" }, prompt);
    assert.equal(events.filter(({ kind }) => kind === "outcome").length, 1);
    assert.ok(stopped > 0 && performance.now() - stopped < 1_000);
  };
  await cancelled("think", (stop) => {
    void provider.waitFor(({ newest }) => newest === "think").then(() => setImmediate(stop));
    return () => undefined;
  });
  await cancelled(
    "RUN sleep 987",
    (stop) =>
      ({ kind }) =>
        void (kind === "tool" && setImmediate(stop)),
  );
  assert.equal((await takeTurn(connection, "SAY: still here")).said, "still here");
  assert.deepEqual((await takeTurn(connection, "x", { signal: AbortSignal.abort() })).outcome, { kind: "cancelled" });
  await provider.waitFor(({ state, newest }) => state === "cut" && newest === "think");
});

test("with permissions to ask, changes wait for a person; what was refused is not done, and the model is told", async (t) => {
  const { open, cwd } = await bench(t);
  const connection = await open({ permissions: "ask" });
  const asked: AgentEvent[] = [];
  const answerWith = (option: string | null) => ({
    onEvent: (event: AgentEvent) => {
      if (event.kind !== "permission") return;
      asked.push(event);
      connection.answer("another id", "once");
      connection.answer(event.id, option);
    },
  });
  const refused = await takeTurn(connection, "WRITE a.txt: a", answerWith(null));
  assert.equal(existsSync(join(cwd, "a.txt")), false);
  assert.match(refused.said, /refused by the person/);
  assert.deepEqual(toolEvents(refused.events), ["write started", "write failed"]);
  await takeTurn(connection, "WRITE a.txt: a", answerWith("deny"));
  await takeTurn(connection, "WRITE a.txt: a", answerWith("no such option"));
  assert.equal(existsSync(join(cwd, "a.txt")), false);
  await takeTurn(connection, "WRITE a.txt: a", answerWith("once"));
  assert.equal(await readFile(join(cwd, "a.txt"), "utf8"), "a\n");
  await takeTurn(connection, "READ a.txt\nWRITE b.txt: b\nWRITE c.txt: c", answerWith("session"));
  assert.equal(await readFile(join(cwd, "c.txt"), "utf8"), "c\n");
  assert.equal(asked.length, 5);
  assert.deepEqual(asked[0]?.kind === "permission" && asked[0].action, { path: "a.txt", content: "a\n" });
});

test("a question is cancelled with its turn", async (t) => {
  const { open, cwd } = await bench(t);
  const connection = await open({ permissions: "ask" });
  const stop = new AbortController();
  const { outcome } = await takeTurn(connection, "RUN touch made", {
    signal: stop.signal,
    onEvent: ({ kind }) => void (kind === "permission" && stop.abort()),
  });
  assert.deepEqual(outcome, { kind: "cancelled" });
  assert.equal(existsSync(join(cwd, "made")), false);
});

test("the conversation is kept for the connection, and replayed to a new one", async (t) => {
  const { open, turn } = await bench(t);
  const connection = await open();
  await takeTurn(connection, "first");
  assert.match((await takeTurn(connection, "RECALL")).said, /first \| RECALL/);
  const resumed = await turn("RECALL", { past: [{ prompt: "long ago", output: "" }] });
  assert.match(resumed.said, /long ago \| RECALL/);
});

test("a provider that cannot be reached is a failed turn, not an exception", async (t) => {
  const { turn, spec } = await bench(t);
  const wrongToken = await turn("go", { broker: brokerAccess({ url: spec().broker?.url ?? "", token: "wrong" }) });
  assert.ok(wrongToken.outcome.kind === "failed" && !wrongToken.outcome.retryable);
  const nobody = await turn("go", { broker: brokerAccess({ url: "http://127.0.0.1:1", token }) });
  assert.ok(nobody.outcome.kind === "failed" && nobody.outcome.retryable);
});

test("closing in the middle of a turn cancels it and leaves no process", async (t) => {
  const { open, processes } = await bench(t);
  const connection = await open();
  const { outcome } = await takeTurn(connection, "RUN setsid sleep 987", {
    onEvent: ({ kind }) => void (kind === "tool" && connection.close()),
  });
  assert.deepEqual(outcome, { kind: "cancelled" });
  await connection.close();
  assert.deepEqual(await processes.sweep("all"), []);
});

test("detection says whether the provider is set up, and how to do it", async () => {
  const environment = { path: "", home: "", providers: ["openai"], signal: new AbortController().signal };
  const detect = (provider?: string) =>
    modelBackend.detect(
      { name: "a", backend: "model", settings: { env: {}, credentials: "none", permissions: "auto", provider } },
      environment,
    );
  assert.equal((await detect("demo")).state, "ready");
  assert.equal((await detect("openai")).state, "ready");
  const missing = await detect("local");
  assert.deepEqual([missing.state, missing.fix], ["not found", "tutti providers set local --base-url <url> --model <name>"]);
  assert.equal((await detect()).state, "not found");
});

test("a fallback that is not set up keeps no agent from its work, but is told; one that stands in for nothing is no fallback", async () => {
  const environment = { path: "", home: "", providers: ["openai", "google"], signal: new AbortController().signal };
  const detect = async (settings: object) => {
    const agent = { name: "a", backend: "model" as const, settings: AgentSettings.parse(settings) };
    const { state, message, fix } = await modelBackend.detect(agent, environment);
    return [state, message, fix];
  };
  const google = { provider: "google", model: "small" };
  assert.deepEqual(await detect({ provider: "openai", fallbacks: [google] }), ["ready", "models of openai, then of google", null]);
  assert.deepEqual(await detect({ provider: "openai", fallbacks: [{ provider: "house" }, google] }), [
    "ready",
    'models of openai, then of house, then of google; "house" is not set up',
    "tutti providers set house --base-url <url> --model <name>",
  ]);
  assert.equal((await detect({ provider: "house", fallbacks: [google] }))[0], "not found");
  assert.throws(() => AgentSettings.parse({ provider: "openai", fallbacks: [{ provider: "demo" }] }), /goes on for no other/);
});

test("without a provider the agent is unavailable; the demo model needs none", async (t) => {
  const { spec } = await bench(t);
  await assert.rejects(oneTurn(modelBackend, spec({ broker: null }), "go"), { code: "agent_unavailable" });
});

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { brokerAccess, makeBench, takeTurn, targetAt } from "../../../test/support/model-bench.ts";
import { startModelServer, type ModelServer, type Rule } from "../../../test/support/model-server/server.ts";
import { startBroker } from "../../models/broker.ts";
import { withoutKey } from "../../models/find.ts";
import type { Target } from "../../models/provider.ts";
import type { AgentEvent, Usage } from "../backend.ts";
import { makeModelBackend, type ModelLimits } from "./model.ts";

const token = `session-${randomUUID()}`;

/** The four ways to speak; each test goes through all of them in some order. */
const ways: Record<string, [Partial<Target>, string]> = {
  chat: [{ protocol: "openai", api: "chat" }, "/v1"],
  responses: [{ protocol: "openai", api: "responses" }, "/v1"],
  anthropic: [{ protocol: "anthropic", api: null }, ""],
  google: [{ protocol: "google", api: null }, "/v1beta"],
};

interface Provider {
  target: Target;
  server: ModelServer;
}

async function provider(t: TestContext, name: keyof typeof ways, rules: Rule[] = []): Promise<Provider> {
  const [changed, below] = ways[name] ?? [{}, ""];
  const key = `sk-${name}-${randomUUID()}`;
  const server = await startModelServer(rules, { key });
  t.after(() => server.close());
  return { server, target: targetAt({ ...changed, provider: name, baseUrl: server.url + below, key, model: `${name}-model` }) };
}

/** A session whose agent has these providers, in this order, behind a real broker. */
async function bench(t: TestContext, providers: Pick<Provider, "target">[], limits: Partial<ModelLimits> = {}) {
  const made = await makeBench();
  t.after(() => made.close());
  const targets = providers.map(({ target }) => target);
  const broker = await startBroker({ resolve: async (given) => (given === token ? targets : []), log: { warn: () => undefined } });
  t.after(() => broker.close());
  const [first, ...fallbacks] = targets.map(withoutKey);
  const spec = made.spec({
    settings: { provider: first?.provider },
    broker: brokerAccess({ url: broker.url, token, ...first, fallbacks }),
  });
  const connection = await makeModelBackend({ pauseMs: 1, ...limits }).open(spec, new AbortController().signal);
  t.after(() => connection.close());
  return {
    ...made,
    async turn(text: string, options: Parameters<typeof takeTurn>[2] = {}) {
      const turn = await takeTurn(connection, text, options);
      const seen = JSON.stringify(turn.events);
      for (const secret of [token, ...targets.map(({ key }) => String(key))])
        assert.equal(seen.includes(secret), false, "no key in any event");
      return { ...turn, notes: notesIn(turn.events), usage: usageIn(turn.events) };
    },
  };
}

const notesIn = (events: AgentEvent[]): string[] => events.flatMap((event) => (event.kind === "thought" ? [event.text] : []));
const usageIn = (events: AgentEvent[]): Usage | undefined => events.findLast((event) => event.kind === "usage")?.usage;
const asked = ({ server }: Provider): number => server.requests.length;

for (const way of Object.keys(ways)) {
  test(`${way}: the agent works through its tools, and its answer and its tokens come through`, async (t) => {
    const nonce = randomUUID();
    const one = await provider(t, way);
    const { turn, cwd } = await bench(t, [one]);
    const { said, usage, notes } = await turn(`WRITE a.txt: ${nonce}\nREAD a.txt\nSAY: done ${nonce}`);
    assert.equal(said, `done ${nonce}`);
    assert.equal(await readFile(join(cwd, "a.txt"), "utf8"), `${nonce}\n`);
    assert.ok(one.server.requests.at(-1)?.conversation.includes(nonce), "what the tool read went back to the model");
    assert.deepEqual([usage?.model, usage?.provider, notes], [`${way}-model`, undefined, []]);
    assert.ok(usage && usage.inputTokens > 0 && usage.outputTokens > 0);
    assert.ok(one.server.requests.every((request) => JSON.stringify(request).includes(`${way}-model`)));
  });
}

test("in the middle of a turn the next provider goes on with the same conversation, whatever it speaks, and that is noted", async (t) => {
  for (const order of [
    ["anthropic", "chat", "google", "responses"],
    ["responses", "google", "chat", "anthropic"],
  ]) {
    const nonce = randomUUID();
    const limit: Rule = { error: { status: 429, message: "enough", retryAfterSeconds: 3600 } };
    // Each does one step, and the last one the rest: write, read, read, say.
    const providers = await Promise.all(order.map((name, index) => provider(t, name, index === 3 ? [] : [{ times: 1 }, limit])));
    const { turn, cwd } = await bench(t, providers);
    const { said, usage, notes } = await turn(`WRITE a.txt: ${nonce}\nREAD a.txt\nREAD a.txt\nSAY: done ${nonce}`);
    assert.equal(said, `done ${nonce}`, order.join());
    assert.equal(await readFile(join(cwd, "a.txt"), "utf8"), `${nonce}\n`);
    const last = providers.at(-1)?.server.requests.at(-1);
    assert.equal(last?.conversation.split(nonce).length, 5, "the prompt's two, and what was read twice");
    assert.deepEqual([usage?.provider, usage?.model], [order.join(", "), order.map((name) => `${name}-model`).join(", ")]);
    assert.deepEqual(
      notes.map((note) =>
        /^(\S+) \(\S+\) could not answer \(the provider answered 429: .*enough.*\); (\S+) \(\S+\) goes on\.$/s.exec(note)?.slice(1),
      ),
      order.slice(1).map((name, index) => [order[index], name]),
    );
  }
});

test("each failure that may pass elsewhere goes to the next one at once, in the order of the settings", async (t) => {
  const failures: Rule[] = [429, 500, 503, 529, 401].map((status) => ({ error: { status, message: `no ${status}` } }));
  // The first part of this stream has no word in it yet.
  for (const rule of [...failures, { reply: "hm", stream: "broken" } satisfies Rule]) {
    const first = await provider(t, "chat", [rule]);
    const providers = [first, await provider(t, "anthropic", [{ reply: "hello" }]), await provider(t, "google", [{ reply: "never" }])];
    // A pause would be seen: nothing is waited for while there is somebody else.
    const { turn } = await bench(t, providers, { pauseMs: 60_000, longestPauseMs: 120_000 });
    const { said, usage } = await turn("go");
    assert.equal(said, "hello", JSON.stringify(rule));
    assert.deepEqual(providers.map(asked), [1, 1, 0]);
    assert.deepEqual([usage?.provider, usage?.model], ["anthropic", "anthropic-model"]);
  }
});

test("what is wrong with the request ends the turn, and nobody else is asked", async (t) => {
  for (const status of [400, 403, 404]) {
    const providers = [await provider(t, "anthropic", [{ error: { status, message: "wrong" } }]), await provider(t, "chat")];
    const { turn } = await bench(t, providers);
    const { outcome } = await turn("go");
    assert.ok(outcome.kind === "failed" && !outcome.retryable, JSON.stringify(outcome));
    assert.deepEqual(providers.map(asked), [1, 0]);
  }
});

/** Speaks half of an answer and then breaks off or falls silent, once; then it speaks whole ones. */
async function halfSpeaker(
  t: TestContext,
  then: "breaks off" | "falls silent",
): Promise<Pick<Provider, "target"> & { asked: () => number }> {
  let count = 0;
  const chunk = (content: string, finish: string | null): string =>
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
  const server = createServer((incoming, response) => {
    count += 1;
    incoming.resume();
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (count > 1) return void response.end(`${chunk("whole", "stop")}data: [DONE]\n\n`);
    response.write(chunk("half of", null), () => then === "breaks off" && response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const baseUrl = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/v1`;
  return { target: targetAt({ provider: "half", baseUrl, key: `sk-${randomUUID()}` }), asked: () => count };
}

test("an answer that was begun is not gone on with by another one: it is asked for again where it began", async (t) => {
  const first = await halfSpeaker(t, "breaks off");
  const second = await provider(t, "anthropic");
  const { turn } = await bench(t, [first, second]);
  const { said, notes } = await turn("go");
  assert.equal(said, "whole");
  assert.deepEqual([first.asked(), asked(second)], [2, 0]);
  assert.match(notes[0] ?? "", /^The answer broke off/);
});

test("a provider that falls silent before a word is passed over; after a word the turn ends", async (t) => {
  const quiet = await provider(t, "chat", [{ reply: "hm", delay: "until released" }]);
  const second = await provider(t, "google", [{ reply: "hello" }]);
  const { turn } = await bench(t, [quiet, second], { silenceMs: 300 });
  assert.equal((await turn("go")).said, "hello");
  await quiet.server.waitFor(({ state }) => state === "cut");

  const half = await halfSpeaker(t, "falls silent");
  const { outcome } = await (await bench(t, [half, second], { silenceMs: 300 })).turn("go");
  assert.ok(outcome.kind === "failed" && outcome.cause === "time" && outcome.retryable);
  assert.equal(asked(second), 1);
});

test("when nobody can answer it is waited and begun again with the first", async (t) => {
  const order: string[] = [];
  const first = await provider(t, "chat", [{ error: { status: 503 }, times: 1 }, { reply: "I am back" }]);
  const second = await provider(t, "anthropic", [{ error: { status: 529 } }]);
  for (const one of [first, second]) void one.server.waitFor(() => (order.push(one.target.provider), true));
  const { turn } = await bench(t, [first, second]);
  assert.equal((await turn("go")).said, "I am back");
  assert.deepEqual([first, second].map(asked), [2, 1]);
  assert.deepEqual(order, ["chat", "anthropic"]);
});

test("a limit with a time on all of them parks the task until the first one is free; a refused key frees nobody", async (t) => {
  const limited = (retryAfterSeconds: number): Rule[] => [{ error: { status: 429, message: "enough", retryAfterSeconds } }];
  const providers = [
    await provider(t, "chat", limited(7200)),
    await provider(t, "anthropic", limited(1800)),
    await provider(t, "responses", [{ error: { status: 401, message: "no" } }]),
    await provider(t, "google", limited(3600)),
  ];
  const { turn } = await bench(t, providers);
  const before = Date.now();
  const { outcome } = await turn("go");
  assert.ok(outcome.kind === "limited" && outcome.retryAt !== null, JSON.stringify(outcome));
  assert.ok(outcome.retryAt >= before + 1_800_000 && outcome.retryAt <= Date.now() + 1_800_000);
  assert.deepEqual(providers.map(asked), [1, 1, 1, 1]);
});

test("one that is down beside one at its limit is a failure that may pass, after as many rounds as are allowed", async (t) => {
  const providers = [
    await provider(t, "chat", [{ error: { status: 429, message: "enough", retryAfterSeconds: 3600 } }]),
    await provider(t, "anthropic", [{ error: { status: 503, message: "closed" } }]),
  ];
  const { turn } = await bench(t, providers, { tries: 3 });
  const { outcome } = await turn("go");
  assert.ok(outcome.kind === "failed" && outcome.retryable, JSON.stringify(outcome));
  assert.match(outcome.message, /503.*closed.*asked 3 times/);
  assert.deepEqual(providers.map(asked), [3, 3]);
});

test("a refused key is asked once in a session; a limit only until the next turn", async (t) => {
  const [refused, limited, last] = [
    await provider(t, "chat", [{ error: { status: 401, message: "no" } }]),
    await provider(t, "anthropic", [{ error: { status: 429 }, times: 1 }, { reply: "I am back" }]),
    await provider(t, "google", [{ reply: "hello" }]),
  ];
  const { turn } = await bench(t, [refused, limited, last]);
  const first = await turn("go");
  assert.deepEqual([first.said, first.notes.length], ["hello", 2]);
  const second = await turn("again");
  assert.deepEqual([second.said, second.notes, second.usage?.provider], ["I am back", [], "anthropic"]);
  assert.ok(limited.server.requests.at(-1)?.conversation.includes("hello"), "it reads what the other one said");
  assert.deepEqual([refused, limited, last].map(asked), [1, 2, 1]);
});

test("a turn that is cancelled while one is asked asks nobody else", async (t) => {
  const first = await provider(t, "chat", [{ reply: "hm", delay: "until released" }]);
  const second = await provider(t, "anthropic", [{ reply: "hello" }]);
  const { turn } = await bench(t, [first, second]);
  const stop = new AbortController();
  void first.server.waitFor(() => true).then(() => stop.abort(new DOMException("late", "TimeoutError")));
  assert.deepEqual((await turn("go", { signal: stop.signal })).outcome, { kind: "cancelled" });
  await first.server.waitFor(({ state }) => state === "cut");
  assert.equal((await turn("again", { signal: AbortSignal.abort() })).outcome.kind, "cancelled");
  assert.equal(asked(second), 0);
});

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { makeMovableClock } from "../../test/support/clock.ts";
import { targetAt } from "../../test/support/model-bench.ts";
import { startModelServer, type Rule } from "../../test/support/model-server/server.ts";
import { failuresToOpen, providerSubject } from "../breakers/breaker.ts";
import { makeProviderCalls } from "../breakers/calls.ts";
import { findBreaker } from "../breakers/store.ts";
import { openSqlite } from "../db/sqlite.ts";
import { startBroker } from "./broker.ts";

const token = `session-${randomUUID()}`;
const key = `sk-${randomUUID()}`;
const broken: Rule[] = [{ error: { status: 503, message: "closed today" } }];
const longest = 30_000;

/** A broker with the breakers of a real store, before providers that answer as their rules say. */
async function bench(t: TestContext, rules: Record<string, Rule[]>) {
  const folder = await mkdtemp(join(tmpdir(), "tutti-broker-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const db = await openSqlite({ file: join(folder, "tutti.db") });
  t.after(() => db.close());
  const clock = makeMovableClock();
  const servers = new Map<string, Awaited<ReturnType<typeof startModelServer>>>();
  for (const [name, its] of Object.entries(rules)) {
    const server = await startModelServer(its, { key });
    t.after(() => server.close());
    servers.set(name, server);
  }
  const calls = makeProviderCalls({ db, now: clock.now });
  const ends: Promise<void>[] = [];
  const broker = await startBroker({
    resolve: async () =>
      [...servers].map(([provider, { url }]) => targetAt({ provider, baseUrl: `${url}/v1`, key, model: `model-of-${provider}` })),
    breakers: {
      ...calls,
      end(...call) {
        const told = calls.end(...call);
        ends.push(told);
        return told;
      },
    },
    log: { warn: () => undefined },
  });
  t.after(() => broker.close());
  return {
    clock,
    asked: (name: string) => servers.get(name)?.requests.length ?? Number.NaN,
    /** The answer's status, when the breakers know of the call. */
    async send(): Promise<number> {
      const answer = await fetch(`${broker.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ model: "any", messages: [{ role: "user", content: "hi" }] }),
      });
      await answer.text();
      await Promise.all(ends);
      return answer.status;
    },
    breaker: (name: string) => findBreaker(db.read, providerSubject(name)),
  };
}

async function times(count: number, act: () => Promise<number>): Promise<void> {
  for (let time = 0; time < count; time += 1) await act();
}

test("a provider that failed five times in a row is not asked any more: the next one answers at once", async (t) => {
  const { send, asked, breaker } = await bench(t, { first: broken, second: [{ reply: "hello" }] });
  await times(failuresToOpen, send);
  assert.equal((await breaker("first"))?.state, "open");
  assert.match((await breaker("first"))?.reason ?? "", /503/);
  assert.equal(await breaker("second"), null, "what works has no breaker");
  assert.equal(await send(), 200);
  assert.deepEqual([asked("first"), asked("second")], [failuresToOpen, failuresToOpen + 1]);
});

test("later it is tried out by one call, and used again when that went well", async (t) => {
  const mends: Rule[] = [{ error: { status: 500, message: "oh" }, times: failuresToOpen }, { reply: "well again" }];
  const { send, asked, breaker, clock } = await bench(t, { first: mends, second: [{ reply: "hello" }] });
  await times(failuresToOpen, send);
  clock.move(longest);
  assert.equal(await send(), 200);
  assert.equal(asked("first"), failuresToOpen + 1);
  assert.equal(await breaker("first"), null);
});

test("a trial that fails costs its session nothing, and the provider twice the time", async (t) => {
  const { send, asked, breaker, clock } = await bench(t, { first: broken, second: [{ reply: "hello" }] });
  await times(failuresToOpen, send);
  clock.move(longest);
  assert.equal(await send(), 200);
  assert.equal((await breaker("first"))?.openings, 2);
  clock.move(longest);
  await send();
  assert.equal(asked("first"), failuresToOpen + 1, "30 s are not enough the second time");
});

test("who has nobody else to ask is asked all the same", async (t) => {
  const { send, asked } = await bench(t, { only: broken });
  await times(failuresToOpen, send);
  assert.equal(await send(), 503);
  assert.equal(asked("only"), failuresToOpen + 1);
});

test("one that is held back is still asked when the others fail", async (t) => {
  const { send, asked } = await bench(t, { first: broken, second: broken });
  await times(failuresToOpen + 1, send);
  assert.deepEqual([asked("first"), asked("second")], [failuresToOpen + 1, failuresToOpen + 1]);
});

test("limits and wrong requests are no failures of the provider", async (t) => {
  for (const status of [400, 403, 404, 429]) {
    const { send, breaker } = await bench(t, { only: [{ error: { status, message: "no" } }] });
    await times(failuresToOpen, send);
    assert.equal(await breaker("only"), null, String(status));
  }
});

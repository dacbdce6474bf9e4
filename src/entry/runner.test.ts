import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { until } from "../../test/support/tutti.ts";
import { runnerTokenPlan } from "../access/runner-token.ts";
import { entries } from "../commands.ts";
import { makeRegistry } from "../registry.ts";
import { makeConnections } from "../runners/connections.ts";
import type { Mount } from "./http.ts";
import { routesOf } from "./http/routes.ts";
import { makeRunnerDoor, type RunnerDoor } from "./runner.ts";

/** Who comes in at the runners' door: runners, and they nowhere else. Asked of the real door, with every kind of token. */
let server: TestServer;
let door: RunnerDoor;
let runner: { id: string; text: string };
const reached: string[] = [];

const mcp: Mount = {
  path: "/mcp",
  async handle(_request, response) {
    reached.push("mcp");
    response.end();
  },
};

before(async () => {
  const runners: Mount = { path: "/runner", below: true, runners: true, handle: (...given) => door.handle(...given) };
  server = await openServer({ entries, mounts: [mcp, runners] });
  const { db, artifacts } = server.services;
  door = makeRunnerDoor({
    db,
    artifacts,
    connections: makeConnections(),
    url: () => server.url,
    receive: async ({ kind }) => {
      reached.push(kind);
      return true;
    },
    log: { error: () => {} },
    heartbeatMs: 50,
  });
  const made = runnerTokenPlan({ runner: "runner-of-the-test", now: 1 });
  await db.commit(made.plan);
  runner = { id: made.token.id, text: made.text };
});
after(async () => {
  door.close();
  await server.close();
});

const json = { "content-type": "application/json" };
const take = JSON.stringify({ kind: "take", life: "a-life-of-the-test", home: "home-of-the-test", capacity: null, leaseMs: 15_000 });
const requests: { method: string; path: string; body?: string }[] = [
  { method: "POST", path: "/runner/lease", body: take },
  { method: "POST", path: "/runner/tell", body: '{"messages":[]}' },
  { method: "GET", path: "/runner/messages?epoch=1" },
  { method: "PUT", path: "/runner/artifacts", body: "bytes" },
  { method: "GET", path: `/runner/artifacts/${"0".repeat(64)}` },
  { method: "GET", path: "/runner" },
  { method: "GET", path: "/runner/" },
];

suite("the runners' door", () => {
  test("nobody comes in without a token of a runner: not without one, with a wrong or revoked one, as a person or as an agent", async () => {
    const { person, revoked, agent } = server.tokens;
    const wrong = `${runner.text.slice(0, -4)}AAAA`;
    const refused: [string, string | null, number][] = [
      ["nobody", null, 401],
      ["wrong", wrong, 401],
      ["revoked", revoked, 401],
      ["person", person, 403],
      ["agent", agent, 403],
    ];
    for (const { method, path, body } of requests) {
      for (const [who, token, status] of refused) {
        const answer = await server.send(path, { method, token, body, headers: body === undefined ? {} : json });
        assert.equal(answer.status, status, `${who}: ${method} ${path}: ${answer.text}`);
      }
      // A page of another site cannot ask either, with whatever token.
      assert.equal(
        (await server.send(path, { method, token: runner.text, body, headers: { ...json, origin: "http://evil.example" } })).status,
        403,
      );
    }
    assert.deepEqual(reached, []);
    assert.deepEqual(await server.services.db.read.all({ pieces: ["select id from runners"] }), []);
  });

  test("the control: with a runner's token the same requests are answered", async () => {
    for (const { method, path, body } of requests.slice(0, 2)) {
      assert.equal((await server.send(path, { method, token: runner.text, body, headers: json })).status, 200, path);
    }
  });

  test("a runner's token opens nothing else: no entry, no stream, no tool", async () => {
    for (const { method, path, entry } of routesOf(makeRegistry(entries))) {
      if (entry.access === "anyone") continue;
      const address = path.replaceAll(/:[A-Za-z]+/g, "S-1");
      const body = method === "GET" ? undefined : "{}";
      const answer = await server.send(address, { method, token: runner.text, body, headers: json });
      assert.equal(answer.status, 403, `${method} ${address}: ${answer.text.slice(0, 200)}`);
    }
    assert.equal((await server.send("/mcp", { method: "POST", token: runner.text, body: "{}", headers: json })).status, 403);
    assert.equal((await server.send("/api/nothing", { token: runner.text })).status, 403);
    assert.ok(!reached.includes("mcp"));
    assert.equal(
      (await server.send("/mcp", { method: "POST", body: "{}", headers: json })).status,
      200,
      "the control: a person reaches it",
    );
  });

  test("a revoked token ends its stream, and comes in no more", async () => {
    const { epoch } = JSON.parse(
      (await server.send("/runner/lease", { method: "POST", token: runner.text, body: take, headers: json })).text,
    ) as {
      epoch: number;
    };
    let status: number | null = null;
    const stream = server.send(`/runner/messages?epoch=${epoch}`, { token: runner.text });
    void stream.then((answer) => (status = answer.status));
    await server.send("/api/commands/token.revoke", { method: "POST", body: JSON.stringify({ id: runner.id }), headers: json });
    // Long before its lease would have ended it.
    await until("the stream to end", () => status !== null, 3_000);
    assert.equal(status, 200);
    assert.equal((await server.send("/runner/lease", { method: "POST", token: runner.text, body: take, headers: json })).status, 401);
  });
});

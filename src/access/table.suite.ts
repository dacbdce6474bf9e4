import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { z } from "zod";
import { routesOf, type Route } from "../entry/http/routes.ts";
import { makeRegistry, type Entry } from "../registry.ts";
import { openServer, send, type Answer, type TestServer } from "../../test/support/server.ts";

/**
 * Who may do what, asked of the real server: every entry with every kind of token through every kind of door. Give it the
 * list of entries; a new entry is in the table without anybody thinking of it.
 */
const doors = {
  own: {},
  "foreign Host": { host: "evil.example" },
  "foreign Host that looks like ours": { host: "127.0.0.1.evil.example" },
  "foreign Origin": { origin: "http://evil.example" },
  "Origin null": { origin: "null" },
  "another site": { "sec-fetch-site": "cross-site" },
} as const;
type Door = keyof typeof doors;

const callers = ["nobody", "wrong token", "revoked", "agent", "another agent", "person"] as const;
type Caller = (typeof callers)[number];

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
const unknownPaths = [
  "/",
  "/index.html",
  "/api",
  "/api/",
  "/api/nothing",
  "/api/commands",
  "/api/commands/nothing",
  "/api//tasks",
  "/api/%ff",
  "/mcp",
];

const wrongToken = `tutti_${"0".repeat(16)}_${"A".repeat(43)}`;

/** What the table needs to know of a server: of one in this process, or of any other. */
type Asked = Pick<TestServer, "port" | "tokens" | "things">;

const tokenOf = ({ tokens }: Asked, caller: Caller): string | null =>
  ({
    nobody: null,
    "wrong token": wrongToken,
    revoked: tokens.revoked,
    agent: tokens.agent,
    "another agent": tokens.otherAgent,
    person: tokens.person,
  })[caller];

type Verdict = "door" | "unauthenticated" | "forbidden" | "allowed";

function wanted(entry: Entry, caller: Caller, door: Door): Verdict {
  if (door !== "own") return "door";
  // Open to all: it answers by what the input proves, and the sample proves nothing.
  if (entry.access === "anyone") return caller === "person" ? "allowed" : "unauthenticated";
  if (caller === "nobody" || caller === "wrong token" || caller === "revoked") return "unauthenticated";
  if (caller === "person") return "allowed";
  return caller === "agent" && entry.access !== "person" ? "allowed" : "forbidden";
}

function fits(verdict: Verdict, { status, text }: Answer): boolean {
  const code = text.startsWith("{") ? (JSON.parse(text) as { code?: unknown }).code : undefined;
  if (verdict === "door") return status === 403 && code === "forbidden";
  if (verdict === "unauthenticated") return status === 401 && code === "unauthenticated";
  if (verdict === "forbidden") return status === 403 && code === "forbidden";
  return status !== 401 && status !== 403 && status < 500;
}

/** The request that reaches an entry about something that exists: every field that must be there and is text names it. */
function requestOf(
  { method, path, entry }: Route,
  id: string,
  caller: Caller,
): { path: string; method: string; headers: Record<string, string>; body?: string } {
  const address = path.replaceAll(/:[A-Za-z]+/g, encodeURIComponent(id));
  if (method === "GET") return { path: address, method, headers: {} };
  // A person's command is sent so that it passes all doors and then does nothing: its input fits no schema.
  const body = caller === "person" ? "[]" : JSON.stringify(sampleOf(entry, id));
  return { path: address, method, headers: { "content-type": "application/json" }, body };
}

function sampleOf(entry: Entry, id: string): Record<string, unknown> {
  const schema = z.toJSONSchema(entry.input, { io: "input", unrepresentable: "any" }) as {
    properties?: Record<string, { type?: unknown }>;
    required?: string[];
  };
  const needed = (schema.required ?? []).filter((name) => schema.properties?.[name]?.type === "string");
  return Object.fromEntries(needed.map((name) => [name, id]));
}

/** What an entry is asked about: a task for `task.get`, a session for all that is no task's. */
const thingOf = ({ name }: Entry, { things }: Asked): string => (name.startsWith("task.") ? things.task : things.session);

/** One sentence for each cell of the table that is not as it should be. */
export async function accessViolations(entries: readonly Entry[], server: Asked): Promise<string[]> {
  const violations: string[] = [];
  for (const route of routesOf(makeRegistry(entries))) {
    const cells = callers.flatMap((caller) => (Object.keys(doors) as Door[]).map((door) => ({ caller, door })));
    await Promise.all(
      cells.map(async ({ caller, door }) => {
        const { headers, ...request } = requestOf(route, thingOf(route.entry, server), caller);
        const answer = await send(server.port, request.path, {
          ...request,
          token: tokenOf(server, caller),
          headers: { ...headers, ...doors[door] },
        });
        const verdict = wanted(route.entry, caller, door);
        if (!fits(verdict, answer))
          violations.push(`${route.entry.name}: ${caller} through the door "${door}" got ${answer.status}, should be ${verdict}`);
      }),
    );
  }
  return violations;
}

/** Registers the table's tests for these entries. */
export function accessTable(name: string, entries: readonly Entry[]): void {
  suite(`access: ${name}`, () => {
    let server: TestServer;
    before(async () => {
      server = await openServer({ entries });
    });
    after(() => server.close());

    test(`each of ${entries.length} entries answers only those who may call it, through our own door only`, async () => {
      assert.deepEqual(await accessViolations(entries, server), []);
      assert.deepEqual(server.faults, []);
    });

    test("an agent cannot tell what does not exist from what is not its own", async () => {
      for (const route of routesOf(makeRegistry(entries)).filter(({ entry }) => typeof entry.access === "object")) {
        const { headers, ...request } = requestOf(route, "X-404", "agent");
        const answer = await send(server.port, request.path, { ...request, token: server.tokens.agent, headers });
        assert.ok(fits("forbidden", answer), `${route.entry.name} answered ${answer.status}`);
      }
    });

    test("without a token every method on every path is refused, known or not", async () => {
      const closed = routesOf(makeRegistry(entries)).filter(({ entry }) => entry.access !== "anyone");
      const paths = [...unknownPaths, ...closed.map(({ path }) => path.replaceAll(/:[A-Za-z]+/g, "S-1"))];
      for (const path of paths) {
        await Promise.all(
          methods.flatMap((method) => [
            send(server.port, path, { method }).then(({ status }) => assert.equal(status, 401, `${method} ${path}`)),
            send(server.port, path, { method, token: wrongToken }).then(({ status }) => assert.equal(status, 401, `${method} ${path}`)),
            send(server.port, path, { method, token: server.tokens.person, headers: { host: "evil.example" } }).then(({ status }) =>
              assert.equal(status, 403, `${method} ${path}`),
            ),
            send(server.port, path, { method, token: server.tokens.person, headers: { origin: "http://evil.example" } }).then(
              ({ status }) => assert.equal(status, 403, `${method} ${path}`),
            ),
          ]),
        );
      }
    });

    test("an unknown path is not found, and a known one names the methods that it takes", async () => {
      for (const path of unknownPaths) {
        for (const method of methods) {
          assert.equal((await server.send(path, { method })).status, 404, `${method} ${path}`);
        }
      }
      for (const { path, method, entry } of routesOf(makeRegistry(entries))) {
        const right = method === "POST" ? ["POST"] : entry.kind === "stream" ? ["GET"] : ["GET", "HEAD"];
        for (const wrong of methods.filter((name) => !right.includes(name))) {
          const address = path.replaceAll(/:[A-Za-z]+/g, "S-1");
          const answer = await server.send(address, { method: wrong });
          assert.equal(answer.status, 405, `${wrong} ${path}`);
          assert.equal(answer.headers.allow, right.join(", "), `${wrong} ${path}`);
          assert.equal(answer.headers["access-control-allow-origin"], undefined);
        }
      }
    });

    test("an upgrade and a CONNECT meet the same doors, and then nothing", async () => {
      const upgrade = {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
      };
      for (const path of ["/api/events", "/api/health", "/mcp", "/"]) {
        const status = async (headers: Record<string, string>, token: string | null) =>
          (await send(server.port, path, { headers: { ...upgrade, ...headers }, token })).status;
        assert.equal(await status({}, null), 401, path);
        assert.equal(await status({}, wrongToken), 401, path);
        assert.equal(await status({}, server.tokens.revoked), 401, path);
        assert.equal(await status({ host: "evil.example" }, server.tokens.person), 403, path);
        assert.equal(await status({ origin: "http://evil.example" }, server.tokens.person), 403, path);
        assert.equal(await status({}, server.tokens.person), 404, path);
      }
      const connect = (token: string | null) =>
        send(server.port, "example.org:443", { method: "CONNECT", token, headers: { host: "localhost" } });
      assert.equal((await connect(null)).status, 401);
      assert.equal((await connect(server.tokens.person)).status, 404);
    });
  });
}

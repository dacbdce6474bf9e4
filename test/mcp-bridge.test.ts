import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { entries } from "../src/commands.ts";
import { bridge } from "../src/entry/mcp/bridge.ts";
import { openMcp } from "./support/mcp.ts";
import type { TestServer } from "./support/server.ts";
import { until } from "./support/tutti.ts";

/** The bridge of `tutti mcp`, line by line, against the real door. */
let server: TestServer;
before(async () => {
  server = await openMcp(entries);
});
after(async () => await server?.close());

interface Line {
  id?: number;
  method?: string;
  params?: { uri?: string };
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

interface Talk {
  lines: Line[];
  say(message: object): void;
  /** A request of 2026: the answer to it. */
  ask(id: number, method: string, params?: object): Promise<Line>;
  end(): Promise<void>;
}

function talk(token = server.tokens.person): Talk {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const lines: Line[] = [];
  let rest = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as Line));
  });
  const done = bridge({ input, output, groups: null, locate: async () => ({ url: server.url, token }) });
  const say = (message: object): void => void input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  return {
    lines,
    say,
    async ask(id, method, params = {}) {
      say({ id, method, params: { ...params, _meta: envelope } });
      return await until(`an answer to ${id}`, () => lines.find((line) => line.id === id));
    },
    async end() {
      input.end();
      await done;
    },
  };
}

const envelope = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

const change = (task: string) =>
  server.services.db.commit({ statements: [], events: [{ stream: "shop", type: "task.started", task, data: {} }] });

test("what is given up is told no more, and everything else goes on", async () => {
  const { lines, say, ask, end } = talk();
  const listen = (id: number, uri: string): void =>
    say({ id, method: "subscriptions/listen", params: { notifications: { resourceSubscriptions: [uri] }, _meta: envelope } });
  listen(1, "tutti://tasks/T-1");
  listen(2, "tutti://sessions/S-1");
  await until("both to begin", () => lines.filter(({ method }) => method === "notifications/subscriptions/acknowledged").length === 2);
  const updates = (): string[] =>
    lines.flatMap(({ method, params }) => (method === "notifications/resources/updated" ? [params?.uri ?? ""] : []));
  await change("T-1");
  await until("the change", () => updates().length === 1);
  say({ method: "notifications/cancelled", params: { requestId: 1 } });
  // Lines are read in their order: when this one is answered, the one before it was read.
  await ask(3, "tools/list");
  await change("T-1");
  server.services.bus.delta({ session: "S-1", turn: 1, kind: "text", text: "x" });
  await until("the other one's change", () => updates().includes("tutti://sessions/S-1"));
  await change("T-1");
  server.services.bus.delta({ session: "S-1", turn: 1, kind: "text", text: "x" });
  await until("the other one's next change", () => updates().filter((uri) => uri === "tutti://sessions/S-1").length === 2);
  assert.equal(updates().filter((uri) => uri === "tutti://tasks/T-1").length, 1);
  await end();
});

test("a name that a header cannot hold arrives as it is", async () => {
  const { ask, end } = talk();
  for (const [id, name] of [
    [1, "größe"],
    [2, " get_task"],
    [3, "=?base64?eA==?="],
  ] as const) {
    const { error } = await ask(id, "tools/call", { name, arguments: {} });
    assert.equal(error?.code, -32_602, error?.message);
    assert.match(error?.message ?? "", new RegExp(`there is no tool "${name.replaceAll(/[?=]/g, "\\$&")}"`));
  }
  await end();
});

test("a refusal at the door is an answer with what to do, and the number of a request can be used once at a time", async () => {
  const refused = talk("tutti_wrong");
  const { error } = await refused.ask(1, "tools/list");
  assert.match(error?.message ?? "", /the token is not good.*tutti token create/);
  await refused.end();
  const { lines, say, end } = talk();
  const waiting = { name: "wait_for_task", arguments: { id: "T-1", seconds: 0.3 }, _meta: envelope };
  say({ id: 7, method: "tools/call", params: waiting });
  say({ id: 7, method: "tools/list", params: { _meta: envelope } });
  await until("two answers", () => lines.filter(({ id }) => id === 7).length === 2);
  assert.match(lines[0]?.error?.message ?? "", /a request 7 already/);
  assert.ok(lines[1]?.result);
  await end();
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { newToken } from "../src/access/secret.ts";
import { insertToken } from "../src/access/store.ts";
import type { Scope } from "../src/access/token.ts";
import { entries } from "../src/commands.ts";
import { mayCall, type Entry } from "../src/registry.ts";
import { closeClients, openMcp, overHttp } from "./support/mcp.ts";
import { send, type TestServer } from "./support/server.ts";
import { root, until } from "./support/tutti.ts";

/** Who sees what at /mcp, asked of the real door: the actor comes from the token alone, and every call is judged by the registry. */
const all: readonly Entry[] = entries;
let server: TestServer & { faults: object[] };

before(async () => {
  server = await openMcp(all, { tokenCheckMs: 100 });
});
after(async () => {
  await closeClients();
  await server?.close();
  assert.deepEqual(server?.faults, []);
});

async function tokenWith(scopes: Scope[] | null): Promise<{ id: string; text: string }> {
  const { id, text, hash } = newToken();
  const token = { id, kind: "person" as const, name: "test", session: null, scopes, createdAt: 1, expiresAt: null, revokedAt: null };
  await server.services.db.commit({ statements: [insertToken(token, hash)], events: [] });
  return { id, text };
}

/** What is no tool, and why. Everything else of the API is one. */
const noTools: Record<string, string> = {
  "token.create": "its answer is a secret, and a model would read it",
  "runner.token": "its answer is a secret, and a model would read it",
  "link.create": "its answer is a secret, and a model would read it",
  "link.redeem": "for browsers",
  "provider.set": "its input is a key, and a model would write it",
  "channel.set": "its input and its answer are secrets",
  "artifact.get": "bytes: a resource",
  "artifact.collect": "the server does it every hour by itself",
  "live.follow": "for a screen: follow_events and follow_session are its parts",
};

suite("the catalogue", () => {
  test("every entry of the registry is a tool under its own name and group, or it is said here why not", async () => {
    const shown = new Set(await (await overHttp({ url: server.url, token: server.tokens.person, groups: "all" })).names());
    for (const entry of all) {
      if (Object.hasOwn(noTools, entry.name)) assert.equal(entry.mcp, undefined, `${entry.name}: ${noTools[entry.name]}`);
      else assert.ok(entry.mcp && shown.delete(entry.mcp.tool), `${entry.name} has no mcp: { tool, group }, or is not shown`);
    }
    assert.deepEqual([...shown], ["wait_for_run", "wait_for_task"], "and beside them only the two waits");
  });

  test("names are a verb and a noun in snake case, and each noun's groups are among those that can be asked for", async () => {
    for (const { mcp } of all) {
      if (!mcp) continue;
      assert.match(mcp.tool, /^[a-z]+(_[a-z]+)+$/);
      assert.ok((await (await overHttp({ url: server.url, token: server.tokens.person, groups: mcp.group })).names()).includes(mcp.tool));
    }
  });

  test("docs/mcp.md names every tool in the row of its group, and no other", async () => {
    const text = readFileSync(join(root, "docs/mcp.md"), "utf8");
    const rows = [...text.matchAll(/^\| ([a-z]+) +\| (`[a-z_]+`[^|]*)\|$/gm)];
    const written = rows.flatMap(([, group, tools = ""]) => [...tools.matchAll(/`([a-z_]+)`/g)].map(([, tool]) => `${group} ${tool}`));
    const made = all.flatMap(({ mcp }) => (mcp ? [`${mcp.group} ${mcp.tool}`] : []));
    assert.deepEqual(new Set(written), new Set([...made, "tasks wait_for_task", "runs wait_for_run"]));
  });

  test("what is shown without asking costs a model less than 6,000 tokens", async () => {
    const { client } = await overHttp({ url: server.url, token: server.tokens.person });
    const { tools } = await client.listTools();
    // No tokenizer is installed: JSON of this kind has 3.8 to 4.2 bytes for a token, so 3.5 counts too many.
    const tokens = Math.ceil(Buffer.byteLength(JSON.stringify({ tools })) / 3.5);
    assert.ok(tokens < 6_000, `${tokens} tokens in ${tools.length} tools`);
    const names = tools.map(({ name }) => name);
    for (const name of ["create_task", "wait_for_task", "get_task", "reply_to_task", "create_run", "answer_approval", "read_transcript"])
      assert.ok(names.includes(name), name);
    for (const name of ["revoke_token", "remove_agent", "stop_all_work"]) assert.ok(!names.includes(name), name);
  });

  test("groups that are asked for are shown alone, and one that does not exist is named with those that do", async () => {
    const agents = await overHttp({ url: server.url, token: server.tokens.person, groups: "agents,events" });
    assert.deepEqual(
      new Set(await agents.names()),
      new Set(all.flatMap(({ mcp }) => (mcp?.group === "agents" || mcp?.group === "events" ? [mcp.tool] : []))),
    );
    const unknown = await overHttp({ url: server.url, token: server.tokens.person, groups: "agentz" });
    await assert.rejects(unknown.names(), /no group "agentz"/);
  });

  test("a tool says whether it only reads, and whether it ends or takes away something", async () => {
    const { client } = await overHttp({ url: server.url, token: server.tokens.person, groups: "all" });
    const hints = new Map((await client.listTools()).tools.map(({ name, annotations }) => [name, annotations]));
    for (const entry of all) {
      if (entry.mcp) assert.equal(hints.get(entry.mcp.tool)?.readOnlyHint, entry.kind !== "command", entry.name);
    }
    for (const name of ["stop_task", "stop_run", "stop_all_work", "remove_agent", "revoke_token"])
      assert.equal(hints.get(name)?.destructiveHint, true, name);
    for (const name of ["create_task", "reply_to_task", "answer_approval"]) assert.equal(hints.get(name)?.destructiveHint, false, name);
  });

  test("an input's fields are those of the registry, and a call that does not fit says which one", async () => {
    const { client, call } = await overHttp({ url: server.url, token: server.tokens.person });
    const create = (await client.listTools()).tools.find(({ name }) => name === "create_task");
    assert.deepEqual(create?.inputSchema.required, ["project", "prompt"]);
    const refused = await call("create_task", { project: "shop", prompt: "go", colour: "blue" });
    assert.equal(refused.isError, true);
    assert.match(refused.text, /^invalid_input: .*colour/);
  });
});

suite("doors", () => {
  const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const post = (headers: Record<string, string>, token: string | null = server.tokens.person, body = ping) =>
    send(server.port, "/mcp", {
      method: "POST",
      token,
      body,
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    });

  test("without a good token there is nothing, with one there is", async () => {
    assert.equal((await post({})).status, 200);
    assert.equal((await post({}, null)).status, 401);
    assert.equal((await post({}, `tutti_${"0".repeat(16)}_${"A".repeat(43)}`)).status, 401);
    assert.equal((await post({}, server.tokens.revoked)).status, 401);
  });

  test("a foreign Host, a foreign Origin and another site are refused", async () => {
    const foreign = [
      ["host", "evil.example"],
      ["origin", "http://evil.example"],
      ["origin", "null"],
      ["sec-fetch-site", "cross-site"],
    ] as const;
    for (const [name, value] of foreign) assert.equal((await post({ [name]: value })).status, 403, `${name}: ${value}`);
  });

  test("only POST, only JSON, nothing too large and no endless batch", async () => {
    for (const method of ["GET", "DELETE", "PUT"]) {
      const { status, headers } = await send(server.port, "/mcp", { method, token: server.tokens.person });
      assert.equal(status, 405, method);
      assert.equal(headers.allow, "POST");
    }
    assert.equal((await post({ "content-type": "text/plain" })).status, 415);
    assert.equal((await post({}, server.tokens.person, `"${"x".repeat(4 * 1024 * 1024)}"`)).status, 413);
    const batch = JSON.stringify(Array.from({ length: 101 }, (_, id) => ({ jsonrpc: "2.0", id, method: "tools/list" })));
    assert.equal((await post({}, server.tokens.person, batch)).status, 400);
  });

  test("an answer has the headers of every answer", async () => {
    const { headers } = await post({});
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(String(headers["content-security-policy"]), /default-src 'none'/);
  });
});

suite("scopes", () => {
  const cases: { scopes: Scope[]; sees: string[]; lacks: string[] }[] = [
    { scopes: ["read"], sees: ["get_task", "wait_for_task", "list_approvals"], lacks: ["create_task", "stop_task", "answer_approval"] },
    { scopes: ["read", "work"], sees: ["create_task", "reply_to_task"], lacks: ["answer_approval", "create_agent", "revoke_token"] },
    { scopes: ["read", "approve"], sees: ["answer_approval", "get_task"], lacks: ["create_task"] },
  ];
  for (const { scopes, sees, lacks } of cases) {
    test(`a token for ${scopes.join(" and ")} sees exactly what it may call`, async () => {
      const { text } = await tokenWith(scopes);
      const names = await (await overHttp({ url: server.url, token: text, groups: "all" })).names();
      for (const name of sees) assert.ok(names.includes(name), name);
      for (const name of lacks) assert.ok(!names.includes(name), name);
      const actor = { kind: "person" as const, token: "", name: "", session: null, scopes };
      assert.deepEqual(
        new Set(names.filter((name) => !name.startsWith("wait_for_"))),
        new Set(all.flatMap((entry) => (entry.mcp && mayCall(entry, actor) ? [entry.mcp.tool] : []))),
      );
    });
  }

  test("a read-only token that calls create_task anyway is refused, and nothing is written", async () => {
    const { text } = await tokenWith(["read"]);
    const reader = await overHttp({ url: server.url, token: text });
    const before = await reader.call("list_tasks");
    const refused = await reader.call("create_task", { project: "shop", prompt: "go" });
    assert.equal(refused.isError, true);
    assert.deepEqual((refused.value.error as { code: string }).code, "forbidden");
    assert.deepEqual(await reader.call("list_tasks"), before);
  });

  test("a token without reading cannot read resources, nor wait", async () => {
    const { text } = await tokenWith(["work"]);
    const worker = await overHttp({ url: server.url, token: text });
    await assert.rejects(worker.client.readResource({ uri: "tutti://tasks/T-1" }), /may not call task\.get/);
    assert.equal((await worker.call("wait_for_task", { id: "T-1", seconds: 0 })).isError, true);
    assert.deepEqual((await worker.client.listResources()).resources, []);
    assert.deepEqual((await worker.follow(["tutti://tasks/T-1", "tutti://inbox"])).honoredFilter, {});
  });
});

suite("an agent's token", () => {
  test("sees the tools that are about its own session, and no other", async () => {
    const agent = await overHttp({ url: server.url, token: server.tokens.agent, groups: "all" });
    const names = await agent.names();
    assert.deepEqual(
      new Set(names),
      new Set(all.flatMap((entry) => (entry.mcp && typeof entry.access === "object" ? [entry.mcp.tool] : []))),
    );
    assert.ok(names.includes("get_task") && !names.includes("create_task") && !names.includes("answer_approval"));
    assert.equal((await agent.call("get_task", { id: "T-1" })).value.id, "T-1");
  });

  test("can never approve, and reaches nothing of another session, not even whether it exists", async () => {
    const other = await overHttp({ url: server.url, token: server.tokens.otherAgent });
    const codeOf = async (name: string, args: Record<string, unknown>): Promise<unknown> => {
      const { isError, value } = await other.call(name, args);
      return isError && (value.error as { code: string }).code;
    };
    assert.equal(await codeOf("answer_approval", { id: "A-1", answer: "yes" }), "forbidden");
    assert.equal(await codeOf("get_task", { id: "T-1" }), "forbidden");
    assert.equal(await codeOf("get_task", { id: "T-999" }), "forbidden");
    assert.equal(await codeOf("wait_for_task", { id: "T-1", seconds: 0 }), "forbidden");
    assert.equal(await codeOf("read_transcript", { id: "S-1" }), "forbidden");
    await assert.rejects(other.client.readResource({ uri: "tutti://sessions/S-1" }), /outside of this agent's session/);
    await assert.rejects(other.client.readResource({ uri: "tutti://inbox" }), /an agent may not/);
  });

  test("is listed its own session and task, and may follow only these", async () => {
    const agent = await overHttp({ url: server.url, token: server.tokens.agent });
    assert.deepEqual(
      (await agent.client.listResources()).resources.map(({ uri }) => uri),
      ["tutti://sessions/S-1", "tutti://tasks/T-1"],
    );
    const subscription = await agent.follow(["tutti://tasks/T-1", "tutti://sessions/S-2", "tutti://inbox", "tutti://tasks/T-999"], {
      resourcesListChanged: true,
    });
    assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: ["tutti://tasks/T-1"] });
    await tell({ task: "T-2", session: "S-2" });
    await tell({ task: "T-1", session: "S-1" });
    await until("the change of T-1", () => agent.updated.length > 0);
    assert.deepEqual([...new Set(agent.updated)], ["tutti://tasks/T-1"]);
    await subscription.close();
  });
});

/** Something happened, as the server's own parts write it. */
const tell = (about: { task?: string; session?: string }, type = "task.started") =>
  server.services.db.commit({ statements: [], events: [{ stream: "shop", type, ...about, data: {} }] });

suite("subscriptions", () => {
  test("a change is told to those who follow it, many changes at once are few messages, and the last is not lost", async () => {
    const one = await overHttp({ url: server.url, token: server.tokens.person });
    const two = await overHttp({ url: server.url, token: server.tokens.person });
    await one.follow(["tutti://tasks/T-1"]);
    await two.follow(["tutti://sessions/S-2"]);
    await tell({ task: "T-1" });
    await until("the first of it", () => one.updated.length > 0);
    const first = one.updated.length;
    for (let count = 0; count < 50; count += 1) await tell({ task: "T-1" });
    await until("the last of it", () => one.updated.length > first);
    assert.ok(one.updated.length <= 10, `${one.updated.length} messages`);
    assert.deepEqual([...new Set(one.updated)], ["tutti://tasks/T-1"]);
    assert.deepEqual(two.updated, []);
    await tell({ session: "S-2" });
    await until("the other one's", () => two.updated.length > 0);
    assert.deepEqual(two.updated, ["tutti://sessions/S-2"]);
  });

  test("the inbox changes with what waits for a person, and the list with what is made", async () => {
    const person = await overHttp({ url: server.url, token: server.tokens.person });
    await person.follow(["tutti://inbox"], { resourcesListChanged: true });
    await tell({ task: "T-1" }, "approval.opened");
    await until("the inbox", () => person.updated.includes("tutti://inbox"));
    await tell({ task: "T-9" }, "task.created");
    await until("the list", () => person.updated.includes("list"));
  });

  test("what a session says live is told too, before it is stored", async () => {
    const person = await overHttp({ url: server.url, token: server.tokens.person });
    await person.follow(["tutti://sessions/S-1"]);
    server.services.bus.delta({ session: "S-1", turn: 1, kind: "text", text: "hello" });
    await until("the session", () => person.updated.length > 0);
    assert.deepEqual(person.updated, ["tutti://sessions/S-1"]);
  });

  test("ends with its token", async () => {
    const { id, text } = await tokenWith(["read"]);
    const reader = await overHttp({ url: server.url, token: text });
    const subscription = await reader.follow(["tutti://tasks/T-1"]);
    const person = await overHttp({ url: server.url, token: server.tokens.person, groups: "admin" });
    assert.equal((await person.call("revoke_token", { id })).isError, false);
    assert.notEqual(await subscription.closed, "local");
    await tell({ task: "T-1" });
    await assert.rejects(reader.call("list_tasks"));
    assert.deepEqual(reader.updated, []);
  });

  test("names a bounded number of resources", async () => {
    const person = await overHttp({ url: server.url, token: server.tokens.person });
    await assert.rejects(person.follow(Array.from({ length: 201 }, (_, number) => `tutti://tasks/T-${number}`)));
  });
});

suite("resources", () => {
  test("everything can be listed and read with the registry's rights, and what does not exist says so", async () => {
    const { client } = await overHttp({ url: server.url, token: server.tokens.person });
    const uris = (await client.listResources()).resources.map(({ uri }) => uri);
    assert.deepEqual(uris, ["tutti://inbox", "tutti://tasks/T-1", "tutti://sessions/S-2", "tutti://sessions/S-1"]);
    for (const uri of uris) assert.equal((await client.readResource({ uri })).contents[0]?.uri, uri);
    const [task] = (await client.readResource({ uri: "tutti://tasks/T-1" })).contents;
    assert.equal((JSON.parse(task && "text" in task ? task.text : "") as { id: string }).id, "T-1");
    assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 6);
    for (const uri of ["tutti://tasks/T-999", "tutti://runs/R-9", "tutti://nothing/x", "tutti://tasks/../T-1", "file:///etc/passwd"])
      await assert.rejects(client.readResource({ uri }), (error: { code?: number }) => error.code === -32_602, uri);
  });

  test("a large result can be read by its address, as text or as bytes", async () => {
    const { client } = await overHttp({ url: server.url, token: server.tokens.person });
    for (const [bytes, kind] of [
      [Buffer.from("größer als eine Zeile"), "text"],
      [Buffer.from([0, 1, 2, 255]), "blob"],
    ] as const) {
      const { id } = await server.services.artifacts.put(bytes);
      const [content] = (await client.readResource({ uri: `tutti://artifacts/${id}` })).contents;
      assert.ok(content && kind in content);
      const given = "text" in content ? Buffer.from(content.text) : Buffer.from(content.blob, "base64");
      assert.deepEqual(given, bytes);
    }
    const { id } = await server.services.artifacts.put(Buffer.alloc(9 * 1024 * 1024));
    await assert.rejects(client.readResource({ uri: `tutti://artifacts/${id}` }), /has 9437184 bytes/);
  });
});

test("a repeated call with the same key is done once", async () => {
  const { call } = await overHttp({ url: server.url, token: server.tokens.person });
  const args = { project: "shop", prompt: "once", idempotency_key: "k-1" };
  const [first, second] = [await call("create_task", args), await call("create_task", args)];
  assert.equal(first.isError, false, first.text);
  assert.deepEqual(second, first);
  const other = await call("create_task", { ...args, prompt: "twice" });
  assert.equal((other.value.error as { code: string }).code, "idempotency_mismatch");
  const audit = await overHttp({ url: server.url, token: server.tokens.person, groups: "admin" });
  const { items } = (await audit.call("list_audit")).value as { items: { command: string }[] };
  assert.equal(items.filter(({ command }) => command === "task.create").length, 1, "and stands in the audit once");
});

test("a long text is cut for a model, and the cut says where the whole is", async () => {
  const { call, client } = await overHttp({ url: server.url, token: server.tokens.person });
  const prompt = "x".repeat(300_000);
  const { value } = await call("create_task", { project: "shop", prompt });
  const seen = await call("get_task", { id: value.id });
  assert.ok(seen.text.length < 110_000);
  assert.match(seen.text, new RegExp(`The whole: tutti://tasks/${String(value.id)}`));
  const [whole] = (await client.readResource({ uri: `tutti://tasks/${String(value.id)}` })).contents;
  assert.ok(whole && "text" in whole && whole.text.includes(prompt));
});

test("a stream is taken in pieces that go on where the last one ended", async () => {
  const { call } = await overHttp({ url: server.url, token: server.tokens.person, groups: "events" });
  const begun = (await call("follow_events", { stream: "shop", seconds: 0.1 })).value;
  assert.deepEqual(begun.items, []);
  for (const task of ["T-1", "T-2", "T-3"]) await tell({ task });
  const tasksOf = ({ items }: Record<string, unknown>) => (items as { data: { task: string } }[]).map(({ data }) => data.task);
  const piece = (await call("follow_events", { stream: "shop", after: begun.after, limit: 2 })).value;
  assert.deepEqual(tasksOf(piece), ["T-1", "T-2"]);
  assert.deepEqual(tasksOf((await call("follow_events", { stream: "shop", after: piece.after, seconds: 5 })).value), ["T-3"]);
});

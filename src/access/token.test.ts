import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { makeAuthenticate } from "./authenticate.ts";
import * as access from "./commands.ts";
import { sql, statement } from "../db/plan.ts";
import { ensurePersonToken } from "./grant.ts";
import { hashToken, newToken, sameHash } from "./secret.ts";
import { revokeToken } from "./store.ts";
import { tokenIdOf } from "./token.ts";

test("a token has 256 random bits and an id that tells nothing of them", () => {
  const [one, two] = [newToken(), newToken()];
  assert.notEqual(one.text, two.text);
  assert.equal(tokenIdOf(one.text), one.id);
  assert.equal(Buffer.from(one.text.split("_").slice(2).join("_"), "base64url").length, 32);
  assert.equal(hashToken(one.text), one.hash);
  for (const bad of ["", "tutti_", `${one.text}x`, ` ${one.text}`, one.text.toUpperCase(), `tutti_${one.id}_short`])
    assert.equal(tokenIdOf(bad), null, bad);
});

test("hashes are the same only when every bit is, and nothing is not the same as nothing", () => {
  const hash = hashToken("a");
  assert.ok(sameHash(hash, hash));
  assert.ok(!sameHash(hash, hashToken("b")));
  assert.ok(!sameHash(hash, hash.slice(2)));
  assert.ok(!sameHash("", ""));
});

suite("tokens in the store", () => {
  let server: TestServer;
  before(async () => {
    server = await openServer({ entries: [access.createToken, access.revokeTokenCommand, access.listTokensQuery, access.listAuditQuery] });
  });
  after(() => server.close());

  const call = (name: string, body: object, more: { token?: string; key?: string } = {}) =>
    server.send(`/api/commands/${name}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...(more.key ? { "idempotency-key": more.key } : {}) },
      ...(more.token ? { token: more.token } : {}),
    });

  test("who comes in is what the store's row says", async () => {
    const authenticate = makeAuthenticate(server.services.db);
    const { person, agent, revoked } = server.tokens;
    assert.deepEqual(await authenticate(`Bearer ${person}`), {
      kind: "person",
      token: tokenIdOf(person),
      name: "local",
      session: null,
      scopes: null,
    });
    assert.deepEqual(await authenticate(`bearer ${agent}`), {
      kind: "agent",
      token: tokenIdOf(agent),
      name: "demo",
      session: "S-1",
      scopes: null,
    });
    const forged = `${person.slice(0, -4)}AAAA`;
    for (const header of [
      undefined,
      "",
      person,
      `Basic ${person}`,
      `Bearer ${forged}`,
      `Bearer ${revoked}`,
      `Bearer ${person} ${person}`,
    ]) {
      assert.equal(await authenticate(header), null, header);
    }
  });

  test("a revocation that this server is not told of takes effect within 5 seconds, and at once for streams", async () => {
    let now = 0;
    const { db } = server.services;
    const authenticate = makeAuthenticate(db, () => now);
    const made = JSON.parse((await call("token.create", { name: "short" })).text) as { id: string; token: string };
    const header = `Bearer ${made.token}`;
    assert.ok(await authenticate(header));
    await db.commit({ statements: [revokeToken(made.id, 1)], events: [] });
    now = 3_999;
    assert.ok(await authenticate(header), "believed");
    assert.equal(await authenticate(header, { fresh: true }), null);
    now = 0;
    assert.equal(await authenticate(header), null, "what the store denied is not believed again");
  });

  test("a revoked token is useless in the next request, and revoking it again changes nothing", async () => {
    const made = JSON.parse((await call("token.create", { name: "script" })).text) as { id: string; token: string };
    assert.equal((await server.send("/api/tokens", { token: made.token })).status, 200);
    const revoked = JSON.parse((await call("token.revoke", { id: made.id })).text) as { revokedAt: number };
    assert.ok(revoked.revokedAt);
    assert.equal((await server.send("/api/tokens", { token: made.token })).status, 401);
    assert.equal(JSON.parse((await call("token.revoke", { id: made.id })).text).revokedAt, revoked.revokedAt);
    assert.equal((await call("token.revoke", { id: "0" })).status, 404);
  });

  test("a token's text is shown once: not in lists, not in the store, not to a repeated request", async () => {
    const first = await call("token.create", { name: "once" }, { key: "make-once" });
    const { token } = JSON.parse(first.text) as { token: string };
    assert.equal((await call("token.create", { name: "once" }, { key: "make-once" })).status, 409);
    const secret = token.split("_").slice(2).join("_");
    assert.ok(!(await server.send("/api/tokens?kind=all")).text.includes(secret));
    const { read } = server.services.db;
    const { sql } = await import("../db/plan.ts");
    const rows = JSON.stringify([
      await read.all(sql`select * from tokens`),
      await read.all(sql`select * from idempotency`),
      await read.all(sql`select * from events`),
    ]);
    assert.ok(!rows.includes(secret));
  });

  test("lists come in pages, the newest first; agents' tokens are part of their attempts and in no list", async () => {
    const list = async (query: string) =>
      JSON.parse((await server.send(`/api/tokens?${query}`)).text) as { items: { id: string; kind: string }[]; next: string | null };
    const all = await list("kind=all&limit=500");
    const paged: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const part = await list(`kind=all&limit=2${cursor && `&cursor=${cursor}`}`);
      paged.push(...part.items.map(({ id }) => id));
      cursor = part.next;
    }
    assert.deepEqual(
      paged,
      all.items.map(({ id }) => id),
    );
    assert.ok((await list("")).items.every(({ kind }) => kind === "person"));
    assert.ok(all.items.every(({ kind }) => kind !== "agent"));
    assert.equal((await server.send("/api/tokens?cursor=x")).status, 400);
  });

  test("every command is in the audit, with who called it", async () => {
    await call("token.create", { name: "audited" });
    const { items } = JSON.parse((await server.send("/api/audit?limit=1")).text) as {
      items: { actor: string; command: string; actorKind: string }[];
    };
    assert.deepEqual(
      [items[0]?.command, items[0]?.actorKind, items[0]?.actor],
      ["token.create", "person", tokenIdOf(server.tokens.person)],
    );
  });

  test("the attempt's end is the end of its agent's token", async () => {
    const { db } = server.services;
    const authenticate = makeAuthenticate(db);
    const state = (to: string) => db.commit({ statements: [statement(sql`update tasks set state = ${to} where id = 'T-2'`)], events: [] });
    await state("done");
    assert.equal(await authenticate(`Bearer ${server.tokens.otherAgent}`), null);
    // Another attempt of the same task has a token of its own.
    await db.commit({ statements: [statement(sql`update tasks set state = 'running', attempt = 2 where id = 'T-2'`)], events: [] });
    assert.equal(await authenticate(`Bearer ${server.tokens.otherAgent}`, { fresh: true }), null);
    assert.ok(await authenticate(`Bearer ${server.tokens.agent}`));
  });

  test("a home's own token stays from start to start, is private, and is made anew when the store no longer takes it", async () => {
    const { db, home } = server.services;
    const path = join(home, "token");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(await ensurePersonToken(db, { home, now: 1 }), server.tokens.person);
    writeFileSync(path, server.tokens.agent);
    const next = await ensurePersonToken(db, { home, now: 1 });
    assert.notEqual(next, server.tokens.agent, "an agent's token is no person's");
    assert.equal(readFileSync(path, "utf8").trim(), next);
    assert.equal((await makeAuthenticate(db)(`Bearer ${next}`))?.name, "local");
  });
});

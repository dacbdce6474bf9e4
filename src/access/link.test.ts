import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { sql, statement } from "../db/plan.ts";
import { openPages } from "../entry/http/pages.ts";
import { openServer, type Answer, type TestServer } from "../../test/support/server.ts";
import { nobody } from "../registry.ts";
import * as access from "./commands.ts";

const entries = [access.createToken, access.revokeTokenCommand, access.listTokensQuery, access.createLink, access.redeemLink];
const json = { "content-type": "application/json" };

suite("one-time links and browser sessions", () => {
  let server: TestServer;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tutti-pages-"));
    mkdirSync(join(folder, "assets"));
    writeFileSync(join(folder, "index.html"), '<!doctype html><style nonce="__NONCE__"></style>');
    writeFileSync(join(folder, "assets/main-1.js"), "export {};");
    server = await openServer({ entries, pages: openPages(folder) });
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  const makeLink = async (token?: string): Promise<string> => {
    const answer = await server.send("/api/commands/link.create", {
      method: "POST",
      body: "{}",
      headers: json,
      ...(token ? { token } : {}),
    });
    const { path } = JSON.parse(answer.text) as { path: string };
    return new URL(path, "http://x").searchParams.get("k") ?? "";
  };
  const redeem = (code: string, headers: Record<string, string> = {}): Promise<Answer> =>
    server.send("/api/commands/link.redeem", {
      method: "POST",
      body: JSON.stringify({ code }),
      headers: { ...json, ...headers },
      token: null,
    });
  const enter = async (): Promise<{ cookie: string; key: string; id: string }> => {
    const answer = await redeem(await makeLink());
    const { key, id } = JSON.parse(answer.text) as { key: string; id: string };
    return { cookie: String(answer.headers["set-cookie"]).split(";", 1)[0] ?? "", key, id };
  };
  const ask = async (headers: Record<string, string>): Promise<number> =>
    (await server.send("/api/tokens", { headers, token: null })).status;

  test("a link opens a browser session once; the second time it is refused and says why", async () => {
    const code = await makeLink();
    const first = await redeem(code);
    assert.equal(first.status, 200);
    const second = await redeem(code);
    assert.equal(second.status, 401);
    assert.match(second.text, /used already/);
    assert.equal(second.headers["set-cookie"], undefined);
  });

  test("of twenty who open one link at once, one is let in", async () => {
    const code = await makeLink();
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(code)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.ok(answers.every(({ status }) => status === 200 || status === 401));
  });

  test("two who were told that a link is good cannot both use it: the second is decided again", async () => {
    const code = await makeLink();
    const { services } = server;
    const context = { ...services, actor: nobody, read: services.db.read, now: services.clock.now() };
    const [one, two] = [await access.redeemLink.decide({ code }, context), await access.redeemLink.decide({ code }, context)];
    assert.ok(one.plan && two.plan);
    assert.equal((await services.db.commit(one.plan)).kind, "committed");
    assert.equal((await services.db.commit(two.plan)).kind, "conflict");
  });

  test("a link that nobody opened for five minutes, and one that never was, open nothing", async () => {
    const code = await makeLink();
    const { db } = server.services;
    await db.commit({
      statements: [statement(sql`update links set expires_at = ${Date.now() - 1} where used_at is null`, "any")],
      events: [],
    });
    assert.equal((await redeem(code)).status, 401);
    for (const wrong of ["", "x", "A".repeat(43), code.toLowerCase(), `${code} `]) assert.equal((await redeem(wrong)).status, 401, wrong);
  });

  test("cookie and key open together; each alone, or with another session's half, opens nothing", async () => {
    const [one, other] = [await enter(), await enter()];
    assert.equal(await ask({ cookie: one.cookie, "x-tutti-key": one.key }), 200);
    assert.equal(await ask({ cookie: one.cookie }), 401);
    assert.equal(await ask({ "x-tutti-key": one.key }), 401);
    assert.equal(await ask({ cookie: one.cookie, "x-tutti-key": other.key }), 401);
    assert.equal(await ask({ cookie: one.cookie, "x-tutti-key": "" }), 401);
    // Other servers on this machine set cookies of their own for the same name.
    assert.equal(await ask({ cookie: `theirs=1; ${one.cookie}; tutti_1=x`, "x-tutti-key": one.key }), 200);
  });

  test("the cookie is for this server alone: HttpOnly, SameSite=Strict, and no script ever sees it", async () => {
    const answer = await redeem(await makeLink());
    const cookie = String(answer.headers["set-cookie"]);
    for (const word of ["HttpOnly", "SameSite=Strict", "Path=/", `tutti_${server.port}=`]) assert.ok(cookie.includes(word), cookie);
    assert.equal("cookie" in (JSON.parse(answer.text) as object), false);
    const value = cookie.split(";", 1)[0]?.split("=")[1] ?? "-";
    assert.ok(!answer.text.includes(value));
  });

  test("another site's page is refused at the door, with everything that it could have", async () => {
    const { cookie, key } = await enter();
    assert.equal(await ask({ cookie, "x-tutti-key": key, origin: "http://127.0.0.1:1" }), 403);
    assert.equal(await ask({ cookie, "x-tutti-key": key, "sec-fetch-site": "same-site" }), 403);
    assert.equal(await ask({ cookie, "x-tutti-key": key, host: "evil.example" }), 403);
    assert.equal((await redeem(await makeLink(), { origin: "http://evil.example" })).status, 403);
  });

  test("a browser session ends when it is revoked, and when its time is over", async () => {
    const { db } = server.services;
    const [one, other] = [await enter(), await enter()];
    await server.send("/api/commands/token.revoke", { method: "POST", body: JSON.stringify({ id: one.id }), headers: json });
    assert.equal(await ask({ cookie: one.cookie, "x-tutti-key": one.key }), 401);
    await db.commit({ statements: [statement(sql`update tokens set expires_at = ${Date.now() - 1} where id = ${other.id}`)], events: [] });
    assert.equal(await ask({ cookie: other.cookie, "x-tutti-key": other.key }), 401);
  });

  test("an agent's token makes no link, and a token with some scopes makes neither a link nor a token with more", async () => {
    const { agent } = server.tokens;
    const call = (name: string, body: object, token: string) =>
      server.send(`/api/commands/${name}`, { method: "POST", body: JSON.stringify(body), headers: json, token });
    assert.equal((await call("link.create", {}, agent)).status, 403);
    const reader = JSON.parse((await call("token.create", { name: "r", scopes: ["read"] }, server.tokens.person)).text) as {
      token: string;
    };
    assert.equal((await call("link.create", {}, reader.token)).status, 403);
    const admin = JSON.parse((await call("token.create", { name: "a", scopes: ["admin"] }, server.tokens.person)).text) as {
      token: string;
    };
    assert.equal((await call("token.create", { name: "more", scopes: ["approve"] }, admin.token)).status, 403);
    const same = JSON.parse((await call("token.create", { name: "same" }, admin.token)).text) as { scopes: string[] };
    assert.deepEqual(same.scopes, ["admin"]);
    const linked = JSON.parse((await redeem(await makeLink(admin.token))).text) as { scopes: string[] };
    assert.deepEqual(linked.scopes, ["admin"]);
  });

  test("pages are open to who passes the doors, carry their own policy and a nonce of each answer, and nothing else of the disk", async () => {
    const page = (path: string, headers: Record<string, string> = {}) => server.send(path, { headers, token: null });
    const [one, two] = [await page("/"), await page("/tasks/T-1")];
    for (const answer of [one, two]) {
      assert.equal(answer.status, 200);
      const nonce = /nonce="([^"]+)"/.exec(answer.text)?.[1] ?? "";
      assert.ok(nonce.length >= 20 && nonce !== "__NONCE__");
      const policy = String(answer.headers["content-security-policy"]);
      assert.ok(
        policy.includes(`'nonce-${nonce}'`) && policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'"),
        policy,
      );
      assert.ok(!/script-src[^;]*(unsafe|nonce|\*)/.test(policy), policy);
    }
    assert.notEqual(one.text, two.text);
    const script = await page("/assets/main-1.js");
    assert.match(String(script.headers["content-type"]), /^text\/javascript/);
    assert.match(String(script.headers["cache-control"]), /immutable/);
    for (const path of ["/../package.json", "/assets/..%2f..%2fpackage.json", "/%2e%2e/token.txt", "/assets/nothing.js"])
      assert.equal((await page(path)).status, 404, path);
    assert.equal((await page("/", { host: "evil.example" })).status, 403);
    assert.equal(
      (await page("/", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" })).status,
      403,
    );
    const visit = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    assert.equal((await page("/inbox", visit)).status, 200);
    assert.equal((await server.send("/api/tokens", { headers: visit })).status, 403, "only pages are visited from elsewhere");
    assert.equal((await server.send("/", { method: "POST", token: null })).status, 401);
  });
});

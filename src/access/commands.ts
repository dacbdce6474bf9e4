import { z } from "zod";
import { cursorOf, positionOf } from "../cursor.ts";
import { AppError, forbidden, notFound } from "../errors.ts";
import { command, listOf, Page, page, query, type Actor } from "../registry.ts";
import { browserLifeMs, halvesOf, isLinkCode, Link, linkLifeMs } from "./link.ts";
import { hashToken, newCode, newToken } from "./secret.ts";
import { findLink, findToken, insertLink, insertToken, listAudit, listTokens, revokeToken, useLink } from "./store.ts";
import { AuditEntry, Scope, Token } from "./token.ts";

/** Nobody can make what may do more than its maker. Throws AppError forbidden. */
function within({ scopes: own }: Actor, wanted: readonly Scope[] | null): Scope[] | null {
  if (own === null) return wanted && [...wanted];
  const beyond = (wanted ?? []).find((scope) => !own.includes(scope));
  if (beyond !== undefined) throw forbidden(`this token cannot give the scope "${beyond}"`, "it does not have it itself");
  return [...(wanted ?? own)];
}

export const createToken = command({
  name: "token.create",
  help: "Make a token for a person. Its text is shown once.",
  input: z.strictObject({
    name: z.string().trim().min(1).max(100),
    scopes: z.array(Scope).min(1).optional().describe("what it may be used for; all when left out"),
  }),
  output: Token.extend({ token: z.string() }),
  access: "person",
  scope: "admin",
  secret: true,
  cli: { verb: "token create", args: ["name"] },
  async decide({ name, scopes }, { actor, now }) {
    const allowed = within(actor, scopes ?? null);
    const { id, text, hash } = newToken();
    const token: Token = { id, kind: "person", name, session: null, scopes: allowed, createdAt: now, expiresAt: null, revokedAt: null };
    return {
      plan: { statements: [insertToken(token, hash)], events: [{ stream: "instance", type: "token.created", data: { id, name } }] },
      result: { ...token, token: text },
    };
  },
});

export const revokeTokenCommand = command({
  name: "token.revoke",
  help: "Make a token useless, within 5 seconds on open connections too.",
  input: z.strictObject({ id: z.string().min(1).max(100) }),
  output: Token,
  access: "person",
  scope: "admin",
  cli: { verb: "token revoke", args: ["id"] },
  mcp: { tool: "revoke_token", group: "admin" },
  async decide({ id }, { read, now }) {
    const token = await findToken(read, id);
    if (!token) throw notFound("token", id, ["tutti token list"]);
    if (token.revokedAt !== null) return { plan: null, result: token };
    return {
      plan: {
        statements: [revokeToken(id, now)],
        events: [{ stream: "instance", type: "token.revoked", session: token.session, data: { id, name: token.name } }],
      },
      result: { ...token, revokedAt: now },
    };
  },
});

export const listTokensQuery = query({
  name: "token.list",
  help: "Tokens of people and of runners, newest first. An agent's is part of its attempt and ends with it.",
  path: "/tokens",
  input: z.strictObject({ ...Page.shape, kind: z.enum(["person", "runner", "all"]).default("person").describe("whose tokens") }),
  output: listOf(Token),
  access: "person",
  scope: "admin",
  cli: { verb: "token list", columns: ["id", "kind", "name", "createdAt", "revokedAt"] },
  mcp: { tool: "list_tokens", group: "admin" },
  async run({ kind, limit, cursor }, { read }) {
    const tokens = await listTokens(read, { kind, before: positionOf(cursor), limit: limit + 1 });
    return page(tokens, limit, (token) => cursorOf(token.createdAt, token.id));
  },
});

export const listAuditQuery = query({
  name: "audit.list",
  help: "Who called which command when, newest first.",
  path: "/audit",
  input: z.strictObject({ ...Page.shape }),
  output: listOf(AuditEntry),
  access: "person",
  scope: "admin",
  cli: { verb: "audit", columns: ["at", "actor", "actorKind", "command"] },
  mcp: { tool: "list_audit", group: "admin" },
  async run({ limit, cursor }, { read }) {
    const entries = await listAudit(read, { before: positionOf(cursor), limit: limit + 1 });
    return page(entries, limit, (entry) => cursorOf(entry.at, entry.id));
  },
});

export const createLink = command({
  name: "link.create",
  help: "Make a link that opens the dashboard. It works once, within five minutes.",
  input: z.strictObject({}),
  output: Link,
  access: "person",
  scope: "admin",
  secret: true,
  async decide(_input, { actor, now }) {
    const { code, hash } = newCode();
    const expiresAt = now + linkLifeMs;
    const link = { hash, name: `browser (${actor.name})`.slice(0, 100), scopes: within(actor, null), createdAt: now, expiresAt };
    return { plan: { statements: [insertLink(link)], events: [] }, result: { path: `/?k=${code}`, expiresAt } };
  },
});

export const redeemLink = command({
  name: "link.redeem",
  help: "Exchange a one-time code for a browser session: a cookie, and the key that has to come with it.",
  input: z.strictObject({ code: z.string().max(200).describe("the code of a link; it works once") }),
  output: Token.extend({ key: z.string(), cookie: z.string() }),
  access: "anyone",
  secret: true,
  cookie: "cookie",
  async decide({ code }, { read, now }) {
    const link = isLinkCode(code) ? await findLink(read, hashToken(code)) : null;
    if (!link || link.expiresAt <= now || link.usedAt !== null) {
      throw new AppError("unauthenticated", "this link does not work", {
        why: typeof link?.usedAt === "number" ? "it was used already" : "it is unknown or older than five minutes",
        fix: ["tutti open"],
      });
    }
    const { id, text, hash } = newToken();
    const token: Token = {
      id,
      kind: "person",
      name: link.name,
      session: null,
      scopes: link.scopes,
      createdAt: now,
      expiresAt: now + browserLifeMs,
      revokedAt: null,
    };
    return {
      plan: {
        statements: [useLink(link.hash, now), insertToken(token, hash)],
        events: [{ stream: "instance", type: "token.created", data: { id, name: token.name } }],
      },
      result: { ...token, ...halvesOf(text) },
    };
  },
});

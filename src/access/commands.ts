import { z } from "zod";
import { cursorOf, positionOf } from "../cursor.ts";
import { notFound } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { newToken } from "./secret.ts";
import { findToken, insertToken, listAudit, listTokens, revokeToken } from "./store.ts";
import { AuditEntry, Token } from "./token.ts";

export const createToken = command({
  name: "token.create",
  help: "Make a token for a person. Its text is shown once.",
  input: z.strictObject({ name: z.string().trim().min(1).max(100) }),
  output: Token.extend({ token: z.string() }),
  access: "person",
  secret: true,
  cli: { verb: "token create", args: ["name"] },
  async decide({ name }, { now }) {
    const { id, text, hash } = newToken();
    const token: Token = { id, kind: "person", name, session: null, createdAt: now, revokedAt: null };
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
  cli: { verb: "token revoke", args: ["id"] },
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
  help: "People's tokens, newest first; agents' with kind=agent.",
  path: "/tokens",
  input: z.strictObject({ ...Page.shape, kind: z.enum(["person", "agent", "all"]).default("person") }),
  output: listOf(Token),
  access: "person",
  cli: { verb: "token list", columns: ["id", "kind", "name", "createdAt", "revokedAt"] },
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
  cli: { verb: "audit", columns: ["at", "actor", "actorKind", "command"] },
  async run({ limit, cursor }, { read }) {
    const entries = await listAudit(read, { before: positionOf(cursor), limit: limit + 1 });
    return page(entries, limit, (entry) => cursorOf(entry.at, entry.id));
  },
});

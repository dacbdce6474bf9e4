import { sql, statement, type Reader, type Sql, type Statement, join } from "../db/plan.ts";
import { z } from "zod";
import { Scope, type AuditEntry, type Token } from "./token.ts";

interface TokenRow {
  id: string;
  kind: Token["kind"];
  name: string;
  session: string | null;
  scopes: string | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

/** As stored; a text that is no list of ours gives no scope at all. */
export function scopesOf(text: string | null): Scope[] | null {
  if (text === null) return null;
  return z.array(Scope).catch([]).parse(JSON.parse(text));
}

const toToken = (row: TokenRow): Token => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  session: row.session,
  scopes: scopesOf(row.scopes),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
});

export async function findToken(read: Reader, id: string): Promise<Token | null> {
  const row = await read.one<TokenRow>(
    sql`select id, kind, name, session, scopes, created_at, expires_at, revoked_at from tokens where id = ${id}`,
  );
  return row ? toToken(row) : null;
}

/** A token that still opens doors, with its hash. */
export async function findLiveToken(read: Reader, id: string): Promise<{ token: Token; hash: string } | null> {
  const row = await read.one<TokenRow & { hash: string }>(sql`
    select id, kind, name, hash, session, scopes, created_at, expires_at, revoked_at from tokens
     where id = ${id} and revoked_at is null and (expires_at is null or expires_at > tutti_now())`);
  return row ? { token: toToken(row), hash: row.hash } : null;
}

/** Newest first, behind the position `before`. */
export async function listTokens(
  read: Reader,
  filter: { kind: Token["kind"] | "all"; before: { at: number; id: string } | null; limit: number },
): Promise<Token[]> {
  const conditions: Sql[] = [sql`1 = 1`];
  if (filter.kind !== "all") conditions.push(sql`kind = ${filter.kind}`);
  if (filter.before) conditions.push(olderThan(sql`created_at`, filter.before));
  const rows = await read.all<TokenRow>(sql`
    select id, kind, name, session, scopes, created_at, expires_at, revoked_at from tokens
     where ${join(conditions, " and ")} order by created_at desc, id desc limit ${filter.limit}`);
  return rows.map(toToken);
}

export const insertToken = (token: Token, hash: string): Statement =>
  statement(sql`
    insert into tokens (id, kind, name, hash, session, scopes, created_at, expires_at, revoked_at)
    values (${token.id}, ${token.kind}, ${token.name}, ${hash}, ${token.session}, ${token.scopes && JSON.stringify(token.scopes)},
            ${token.createdAt}, ${token.expiresAt}, ${token.revokedAt})`);

export const revokeToken = (id: string, now: number): Statement =>
  statement(sql`update tokens set revoked_at = ${now} where id = ${id} and revoked_at is null`);

export const revokeTokensOfSession = (session: string, now: number): Statement =>
  statement(sql`update tokens set revoked_at = ${now} where session = ${session} and revoked_at is null`, "any");

interface StoredLink {
  hash: string;
  name: string;
  scopes: Scope[] | null;
  createdAt: number;
  expiresAt: number;
  usedAt: number | null;
}

export async function findLink(read: Reader, hash: string): Promise<StoredLink | null> {
  const row = await read.one<{ name: string; scopes: string | null; created_at: number; expires_at: number; used_at: number | null }>(
    sql`select name, scopes, created_at, expires_at, used_at from links where hash = ${hash}`,
  );
  return (
    row && {
      hash,
      name: row.name,
      scopes: scopesOf(row.scopes),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      usedAt: row.used_at,
    }
  );
}

export const insertLink = (link: Omit<StoredLink, "usedAt">): Statement =>
  statement(sql`
    insert into links (hash, name, scopes, created_at, expires_at)
    values (${link.hash}, ${link.name}, ${link.scopes && JSON.stringify(link.scopes)}, ${link.createdAt}, ${link.expiresAt})`);

/** Matches no row when another has used it first. */
export const useLink = (hash: string, now: number): Statement =>
  statement(sql`update links set used_at = ${now} where hash = ${hash} and used_at is null`);

interface AuditRow {
  id: string;
  at: number;
  actor: string;
  actor_kind: AuditEntry["actorKind"];
  command: string;
  input_hash: string;
}

/** Newest first, behind the position `before`. */
export async function listAudit(read: Reader, filter: { before: { at: number; id: string } | null; limit: number }): Promise<AuditEntry[]> {
  const condition = filter.before ? olderThan(sql`at`, filter.before) : sql`1 = 1`;
  const rows = await read.all<AuditRow>(sql`
    select id, at, actor, actor_kind, command, input_hash from audit
     where ${condition} order by at desc, id desc limit ${filter.limit}`);
  return rows.map(({ actor_kind: actorKind, input_hash: inputHash, ...row }) => ({ ...row, actorKind, inputHash }));
}

const olderThan = (column: Sql, { at, id }: { at: number; id: string }): Sql =>
  sql`(${column} < ${at} or (${column} = ${at} and id < ${id}))`;

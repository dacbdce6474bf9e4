import { sql, statement, type Reader, type Sql, type Statement, join } from "../db/plan.ts";
import { z } from "zod";
import { attemptOfToken, Scope, type AuditEntry, type Token } from "./token.ts";

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

/** A token that still opens doors, with the hashes of which its text must have one. */
export async function findLiveToken(read: Reader, id: string): Promise<{ token: Token; hashes: string[] } | null> {
  const attempt = attemptOfToken(id);
  if (attempt) return await findAgentToken(read, id, attempt);
  const row = await read.one<TokenRow & { hash: string }>(sql`
    select id, kind, name, hash, session, scopes, created_at, expires_at, revoked_at from tokens
     where id = ${id} and kind <> 'agent' and revoked_at is null and (expires_at is null or expires_at > tutti_now())`);
  return row ? { token: toToken(row), hashes: [row.hash] } : null;
}

/** An agent's token lives in its attempt's row and is good as long as that attempt is at work: nothing has to end it. */
async function findAgentToken(
  read: Reader,
  id: string,
  { task, attempt }: { task: string; attempt: number },
): Promise<{ token: Token; hashes: string[] } | null> {
  const row = await read.one<{ agent: string; session: string; token_hashes: string; started_at: number }>(sql`
    select a.agent, a.session, a.token_hashes, a.started_at from attempts a join tasks t on t.id = a.task and t.attempt = a.attempt
     where a.task = ${task} and a.attempt = ${attempt} and a.agent is not null and a.token_hashes is not null
       and t.state in ('starting', 'running', 'needs you')`);
  if (!row) return null;
  const { agent: name, session, started_at: createdAt } = row;
  const token = { id, kind: "agent" as const, name, session, scopes: null, createdAt, expiresAt: null, revokedAt: null };
  return { token, hashes: row.token_hashes.split(" ") };
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

/** One more token for an attempt's agent, beside those that it may be using; the newest eight count. */
export const addAgentToken = (task: string, attempt: number, hash: string): Statement =>
  statement(sql`
    update attempts set token_hashes = substr(${hash} || coalesce(' ' || token_hashes, ''), 1, ${8 * 65 - 1})
     where task = ${task} and attempt = ${attempt} and finished_at is null`);

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

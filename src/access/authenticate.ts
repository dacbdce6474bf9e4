import type { Db, Reader } from "../db/plan.ts";
import type { Actor } from "../registry.ts";
import { hashToken, sameHash } from "./secret.ts";
import { findLiveToken } from "./store.ts";
import { tokenIdOf } from "./token.ts";

/** How long a token that was good is believed without asking the store: the bound on how late a revocation takes effect. */
const believedForMs = 4_000;
const mostRemembered = 10_000;

/** A session's tokens end with its attempt. */
const endsTokens = new Set(["token.revoked", "task.settled", "task.requeued"]);

interface Believed {
  actor: Actor;
  until: number;
}

export interface AuthenticateOptions {
  /** Ask the store, whatever is remembered: for streams, which stay open long after their door. */
  fresh?: boolean;
}

/** Who an Authorization header belongs to, or null. The actor comes from the store's row, never from the caller. */
export type Authenticate = (header: string | undefined, options?: AuthenticateOptions) => Promise<Actor | null>;

/** Makes `authenticate` with a small memory of its own. A revocation takes effect at once on this server and within 5 s on others. */
export function makeAuthenticate(db: Db, now: () => number = Date.now): Authenticate {
  // By hash, so that the memory holds no secret.
  const believed = new Map<string, Believed>();
  db.onCommit(({ streams, events }) => {
    // Without events (another server's news) the instance's stream may mean a revocation.
    const elsewhere = events.length === 0 && streams.includes("instance");
    if (elsewhere || events.some(({ type }) => endsTokens.has(type))) believed.clear();
  });
  return async (header, { fresh = false } = {}) => {
    const text = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
    if (text === undefined) return null;
    const hash = hashToken(text);
    const known = fresh ? undefined : believed.get(hash);
    if (known && known.until > now()) return known.actor;
    believed.delete(hash);
    // Counted from before the read: what is revoked while we read is not believed for longer.
    const until = now() + believedForMs;
    const actor = await actorOf(db.read, text);
    if (!actor) return null;
    if (believed.size >= mostRemembered) believed.clear();
    believed.set(hash, { actor, until });
    return actor;
  };
}

/** Who a token's text belongs to, as the store says now; null when it opens nothing. */
export async function actorOf(read: Reader, text: string): Promise<Actor | null> {
  const id = tokenIdOf(text);
  const row = id === null ? null : await findLiveToken(read, id);
  if (!row) return null;
  const hash = hashToken(text);
  if (!row.hashes.some((known) => sameHash(known, hash))) return null;
  const { kind, name, session, scopes } = row.token;
  return { kind, token: row.token.id, name, session, scopes };
}

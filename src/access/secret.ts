import { hash, randomBytes, timingSafeEqual } from "node:crypto";

const pool = { bytes: randomBytes(0), used: 0 };

/** Bytes of the system's randomness, fetched many at a time: a fetch costs the same for 32 as for 4,096. Each is used once. */
function secretBytes(count: number): Buffer {
  if (pool.used + count > pool.bytes.length) {
    pool.bytes = randomBytes(4_096);
    pool.used = 0;
  }
  const bytes = Buffer.from(pool.bytes.subarray(pool.used, pool.used + count));
  pool.bytes.fill(0, pool.used, pool.used + count);
  pool.used += count;
  return bytes;
}

/** A fresh token: its public id, its text (shown once) and the hash that the store keeps. The secret has 256 random bits. */
export function newToken(id: string = randomBytes(8).toString("hex")): { id: string; text: string; hash: string } {
  const text = `tutti_${id}_${secretBytes(32).toString("base64url")}`;
  return { id, text, hash: hashToken(text) };
}

/** The code of a one-time link, and the hash that the store keeps. 256 random bits. */
export function newCode(): { code: string; hash: string } {
  const code = randomBytes(32).toString("base64url");
  return { code, hash: hashToken(code) };
}

// A plain hash is enough for 256 random bits: there is nothing to guess.
export const hashToken = (text: string): string => hash("sha256", text);

/** Compares two hex hashes in a time that does not depend on where they differ. */
export function sameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, "hex"), Buffer.from(other, "hex")];
  return a.length > 0 && a.length === b.length && timingSafeEqual(a, b);
}

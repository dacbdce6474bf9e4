import { createHmac, randomBytes } from "node:crypto";
import { invalidInput } from "../errors.ts";

/**
 * Signatures of webhooks as in Standard Webhooks 1.0.0 (standardwebhooks.com, "Signature scheme"): HMAC-SHA256 over
 * `id.timestamp.body` with a secret of 24 to 64 random bytes, written `whsec_<base64>`.
 */
const prefix = "whsec_";

export const newSecret = (): string => prefix + randomBytes(32).toString("base64");

/** Throws AppError invalid_input for a text that is no such secret; it is not repeated. */
export function readSecret(secret: string): Buffer {
  const text = secret.slice(prefix.length);
  const key = Buffer.from(text, "base64");
  const isWhole = secret.startsWith(prefix) && key.toString("base64").replaceAll("=", "") === text.replaceAll("=", "");
  if (!isWhole || key.length < 24 || key.length > 64) {
    throw invalidInput(`the secret of a webhook is ${prefix} and the base64 of 24 to 64 bytes`, undefined, [
      "leave it out: the server makes one and shows it once",
      `printf '${prefix}%s' "$(openssl rand -base64 32)"`,
    ]);
  }
  return key;
}

/** The three headers. `at` is the time of the attempt in ms; neither id nor time may hold a full stop. */
export function signatureHeaders({ id, at, body }: { id: string; at: number; body: string }, secret: string): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const signature = createHmac("sha256", readSecret(secret)).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

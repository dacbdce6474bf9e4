import { z } from "zod";

/** What opens the door. The server keeps only the hash of its secret. Agents' tokens are another kind than a person's. */
export const Token = z.object({
  id: z.string(),
  kind: z.enum(["person", "agent"]),
  name: z.string(),
  /** An agent's own session; null for a person. */
  session: z.string().nullable(),
  createdAt: z.number(),
  revokedAt: z.number().nullable(),
});
export type Token = z.infer<typeof Token>;

export const AuditEntry = z.object({
  id: z.string(),
  at: z.number(),
  /** The token's id. */
  actor: z.string(),
  actorKind: z.enum(["person", "agent"]),
  command: z.string(),
  inputHash: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** The id inside a token's text, `tutti_<id>_<secret>`; null when it has another form. */
export const tokenIdOf = (text: string): string | null => /^tutti_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/.exec(text)?.[1] ?? null;

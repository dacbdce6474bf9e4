import { z } from "zod";

/**
 * What a token may be used for: read (all queries and streams), work (tasks, runs, replies), approve (answers to approvals),
 * admin (agents, projects, providers, tokens, notifications). An entry needs one scope; a person's token has some or all.
 */
export const scopes = ["read", "work", "approve", "admin"] as const;
export const Scope = z.enum(scopes);
export type Scope = z.infer<typeof Scope>;

/** What opens the door. The server keeps only the hash of its secret. Agents' tokens are another kind than a person's. */
export const Token = z.object({
  id: z.string(),
  kind: z.enum(["person", "agent"]),
  name: z.string(),
  session: z.string().nullable().describe("an agent's own session; null for a person"),
  scopes: z.array(Scope).nullable().describe("null: all of them"),
  createdAt: z.number(),
  expiresAt: z.number().nullable().describe("null: it has no end"),
  revokedAt: z.number().nullable(),
});
export type Token = z.infer<typeof Token>;

export const AuditEntry = z.object({
  id: z.string(),
  at: z.number(),
  actor: z.string().describe("the token's id"),
  actorKind: z.enum(["person", "agent"]),
  command: z.string(),
  inputHash: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** The id inside a token's text, `tutti_<id>_<secret>`; null when it has another form. */
export const tokenIdOf = (text: string): string | null => /^tutti_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/.exec(text)?.[1] ?? null;

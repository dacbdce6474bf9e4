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
  id: z.string().describe("of an agent's token: its attempt, as T-12.1"),
  kind: z.enum(["person", "agent", "runner"]),
  name: z.string().describe("of a runner's token: the runner's id"),
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
  actorKind: z.enum(["person", "agent", "runner"]),
  command: z.string(),
  inputHash: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** The id inside a token's text, `tutti_<id>_<secret>`; null when it has another form. An agent's is its attempt, `T-12.1`. */
export const tokenIdOf = (text: string): string | null =>
  /^tutti_([0-9a-f]{16}|T-\d{1,15}\.\d{1,6})_[A-Za-z0-9_-]{43}$/.exec(text)?.[1] ?? null;

/** The attempt that an agent's token is good for; null for the id of another token. */
export function attemptOfToken(id: string): { task: string; attempt: number } | null {
  const [, task, attempt] = /^(T-\d+)\.(\d+)$/.exec(id) ?? [];
  return task === undefined ? null : { task, attempt: Number(attempt) };
}

import { join } from "node:path";
import type { Db, Plan } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import { readIfThere, writeSecretFile } from "../secret-file.ts";
import { actorOf } from "./authenticate.ts";
import { newToken } from "./secret.ts";
import { insertToken } from "./store.ts";
import type { Token } from "./token.ts";

/** A token for one runner, with the plan that makes it good. It has no scope: it opens the runners' door and nothing else. */
export function runnerTokenPlan({ runner, now }: { runner: string; now: number }): { token: Token; text: string; plan: Plan } {
  const { id, text, hash } = newToken();
  const token: Token = { id, kind: "runner", name: runner, session: null, scopes: [], createdAt: now, expiresAt: null, revokedAt: null };
  return {
    token,
    text,
    plan: { statements: [insertToken(token, hash)], events: [{ stream: "instance", type: "token.created", data: { id, name: runner } }] },
  };
}

export const runnerTokenFile = (home: string): string => join(home, "runner-token");

/**
 * The token with which this home's runner comes to the runners' door when it is a process of its own: kept in
 * `$home/runner-token` (mode 0600), made anew when there is none or when the store no longer takes it.
 */
export async function ensureRunnerToken(db: Db, { home, runner, now }: { home: string; runner: string; now: number }): Promise<void> {
  const kept = (await readIfThere(runnerTokenFile(home)))?.trim();
  const actor = kept ? await actorOf(db.read, kept) : null;
  if (actor?.kind === "runner" && actor.name === runner) return;
  const { text, plan } = runnerTokenPlan({ runner, now });
  const committed = await db.commit(plan);
  if (committed.kind === "conflict") throw new AppError("busy", "the runner's token could not be written");
  await writeSecretFile(runnerTokenFile(home), `${text}\n`);
}

import { join } from "node:path";
import type { Db } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import { readIfThere, writeSecretFile } from "../secret-file.ts";
import { actorOf } from "./authenticate.ts";
import { newToken } from "./secret.ts";
import { insertToken } from "./store.ts";

/** A token for the agent of one attempt. Whoever starts the attempt keeps its hash in the attempt's row; it is good as long as that runs. */
export const newAgentToken = (task: string, attempt: number): { text: string; hash: string } => newToken(`${task}.${attempt}`);

/**
 * The token by which this home's own command line comes in: kept in `$home/token` (mode 0600), so that it stays the same from
 * start to start. Made anew when there is none or when the store no longer takes it.
 */
export async function ensurePersonToken(db: Db, { home, now }: { home: string; now: number }): Promise<string> {
  const path = join(home, "token");
  const kept = (await readIfThere(path))?.trim();
  const actor = kept ? await actorOf(db.read, kept) : null;
  if (kept && actor?.kind === "person") return kept;
  const { id, text, hash } = newToken();
  const committed = await db.commit({
    statements: [
      insertToken(
        { id, kind: "person", name: "local", session: null, scopes: null, createdAt: now, expiresAt: null, revokedAt: null },
        hash,
      ),
    ],
    events: [{ stream: "instance", type: "token.created", data: { id, name: "local" } }],
  });
  if (committed.kind === "conflict") throw new AppError("busy", "the first token could not be written");
  await writeSecretFile(path, `${text}\n`);
  return text;
}

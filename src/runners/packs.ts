import { AppError } from "../errors.ts";
import { bringCommit } from "../sessions/bring-commit.ts";
import type { Pack } from "../sessions/session.ts";
import type { Attempt } from "./attempt.ts";
import type { TranscriptWriter } from "./transcript.ts";

/**
 * Work between homes that share no disk: what an attempt needs is unpacked before it begins, what it made is packed before it is told.
 * Where one home has everything (`wantsPacks` is not set), nothing of this happens.
 */
export async function bringWork({ assignment, tools, repository, signal }: Attempt, commits: readonly (string | null)[]): Promise<void> {
  if (!assignment.wantsPacks) return;
  const wanted = new Set(commits.filter((commit) => commit !== null));
  for (const commit of wanted) {
    const find = (): Pack | null => assignment.packs?.find((pack) => pack.commit === commit) ?? null;
    await bringCommit(tools, repository, commit, find, signal);
  }
}

/**
 * Begins to pack a commit; the answer waits for it and tells it to the server. So a check can run meanwhile. A pack over the limit is
 * no reason to fail: the work stays usable here, and the transcript says so.
 */
export function startPack(attempt: Attempt, commit: string | null, transcript: TranscriptWriter | null): () => Promise<void> {
  const packing = packOf(attempt, commit);
  // It may fail before anybody waits for it.
  packing.catch(() => undefined);
  return async () => {
    try {
      const pack = await packing;
      if (pack) await attempt.tell("packed", { pack });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "too_large") throw error;
      transcript?.add({ kind: "note", text: `The work stays on this machine: ${error.message}` });
    }
  };
}

/** null: nobody needs it, or every home has it already. Also after a stop: what was done until then is kept. */
async function packOf({ assignment, tools, repository }: Attempt, commit: string | null): Promise<Pack | null> {
  if (!assignment.wantsPacks || commit === null) return null;
  if (assignment.packs?.some((pack) => pack.commit === commit)) return null;
  const bytes = await tools.workspaces.pack({ repository, commit });
  if (bytes === null) return null;
  const { id, size } = await tools.artifacts.put(bytes);
  return { commit, artifact: id, size };
}

import type { Artifacts } from "../artifacts/artifact.ts";
import type { Reader } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import type { TaskSpec } from "../tasks/task.ts";
import type { Repository, Workspaces } from "../workspaces/workspace.ts";
import { listPacks } from "./packs-store.ts";
import type { Pack } from "./session.ts";

/** The commits of others that an attempt needs: what it starts from, what it merges, and what its session had made before. */
export function commitsOf(spec: TaskSpec, goesOn: { base: string; commit: string } | null): string[] {
  const merged = spec.kind === "merge" ? spec.sources.map((source) => source.commit) : [];
  const commits = [goesOn?.commit ?? null, spec.base, ...merged].filter((commit) => commit !== null);
  return [...new Set(commits)];
}

interface Places {
  artifacts: Artifacts;
  workspaces: Workspaces;
}

/**
 * Sees to it that this home has the commit: it is here already, or comes as a pack, or from the person's repository. `findPack` is asked
 * only when it is not here. Throws AppError not_found when no way leads to it, and what `Workspaces.unpack` throws.
 */
export async function bringCommit(
  { artifacts, workspaces }: Places,
  repository: Repository,
  commit: string,
  findPack: () => Promise<Pack | null> | Pack | null,
  signal?: AbortSignal,
): Promise<void> {
  if (await workspaces.has(repository, commit)) return;
  const pack = await findPack();
  if (pack) return workspaces.unpack({ repository, commit, bytes: artifacts.open(pack.artifact), signal });
  await workspaces.refresh(repository);
  if (await workspaces.has(repository, commit)) return;
  throw new AppError("not_found", `commit ${commit} is not on this machine`, {
    why: `it was made on another one, which has left no pack of it, and ${repository.source} does not have it`,
    fix: ["ask again at the server that made it", "run what made it again"],
  });
}

/** For a server that shows what was made elsewhere: the pack is looked up in the store. */
export const ensureCommit = ({ read, ...places }: Places & { read: Reader }, repository: Repository, commit: string): Promise<void> =>
  bringCommit(places, repository, commit, async () => (await listPacks(read, repository.project, [commit]))[0] ?? null);

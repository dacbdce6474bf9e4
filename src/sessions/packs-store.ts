import { nameArtifact } from "../artifacts/store.ts";
import { list, sql, statement, type Reader, type Statement } from "../db/plan.ts";
import type { Pack } from "./session.ts";

/** Goes into the plan that says so: the pack's bytes are durable by then. Told again, the newer bytes count: they are the same commit. */
export const insertPack = (project: string, { commit, artifact, size }: Pack, now: number): Statement[] => [
  nameArtifact({ id: artifact, size }, now),
  statement(sql`
    insert into packs (project, commit_id, artifact, size, created_at) values (${project}, ${commit}, ${artifact}, ${size}, ${now})
        on conflict (project, commit_id) do update set artifact = excluded.artifact, size = excluded.size`),
];

/** Those of the commits that have a pack. */
export async function listPacks(read: Reader, project: string, commits: readonly string[]): Promise<Pack[]> {
  if (commits.length === 0) return [];
  const rows = await read.all<{ commit_id: string; artifact: string; size: number }>(
    sql`select commit_id, artifact, size from packs where project = ${project} and commit_id in (${list(commits)}) order by commit_id`,
  );
  return rows.map(({ commit_id: commit, artifact, size }) => ({ commit, artifact, size: Number(size) }));
}

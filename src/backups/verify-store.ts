import type { Artifacts } from "../artifacts/artifact.ts";
import type { Compared } from "../db/compare-high-water.ts";
import { describeLoss } from "../db/high-water.ts";
import { list, type Reader, sql } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import type { Workspaces } from "../workspaces/workspace.ts";
import type { Damage, Verification } from "./backup.ts";
import { hashOfAll } from "./hashed-file.ts";
import type { Source } from "./own-connection.ts";
import { runThread } from "./thread.ts";
import { mostProblems } from "./verify.ts";
import type { ThreadFindings } from "./verify-thread.ts";

interface VerifyOptions {
  source: Source;
  read: Reader;
  artifacts: Artifacts;
  workspaces: Workspaces;
  /** The store beside its high-water mark; null: not compared. */
  compared: Compared | null;
  signal?: AbortSignal;
}

/** Reads everything that a store has and names, while it works or stands still: pages, chains, states, artifacts, commits. */
export async function verifyStore(options: VerifyOptions): Promise<Verification> {
  const started = performance.now();
  const { source, compared, signal } = options;
  const { checked, problems } = await runThread<ThreadFindings>("./verify-thread.ts", { source }, signal);
  const add = (area: Damage["area"], message: string): void => {
    if (problems.filter((problem) => problem.area === area).length < mostProblems) problems.push({ area, message });
  };
  if (compared?.loss) add("mark", describeLoss(compared.loss));
  checked["artifacts"] = await checkArtifacts(options, add);
  checked["commits"] = await checkCommits(options, add);
  return {
    what: source.kind === "sqlite" ? source.file : "the database of DATABASE_URL",
    checked,
    problems,
    ms: Math.round(performance.now() - started),
  };
}

type Add = (area: Damage["area"], message: string) => void;

async function checkArtifacts({ read, artifacts, signal }: VerifyOptions, add: Add): Promise<number> {
  let count = 0;
  for (let after = ""; ;) {
    const rows = await read.all<{ id: string }>(sql`select id from artifacts where id > ${after} order by id limit 500`);
    for (const { id } of rows) {
      signal?.throwIfAborted();
      count += 1;
      try {
        if ((await hashOfAll(artifacts.open(id))).sha256 !== id) add("artifacts", `the artifact ${id} is damaged`);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "not_found") throw error;
        // One that was cleared away since the page was read is named by no row any more.
        const isNamed = await read.one(sql`select 1 from artifacts where id = ${id}`);
        if (isNamed) add("artifacts", `the artifact ${id} is not there`);
      }
    }
    const last = rows.at(-1);
    if (!last) return count;
    after = last.id;
  }
}

/** Every commit that a row names must be in the project's mirror. */
async function checkCommits({ read, workspaces, signal }: VerifyOptions, add: Add): Promise<number> {
  const projects = await read.all<{ id: string; source: string; base_branch: string }>(
    sql`select id, source, base_branch from projects order by id`,
  );
  let count = 0;
  for (const { id, source, base_branch: baseBranch } of projects) {
    for (let after = ""; ;) {
      signal?.throwIfAborted();
      const sessions = await read.all<{ id: string; commit_id: string | null; base: string | null }>(sql`
        select id, commit_id, base from sessions where project = ${id} and id > ${after} order by id limit 200`);
      const last = sessions.at(-1);
      if (!last) break;
      after = last.id;
      const turns = await read.all<{ commit_id: string }>(sql`
        select distinct commit_id from turns where commit_id is not null and session in (${list(sessions.map((session) => session.id))})`);
      const named = [...sessions.flatMap((session) => [session.commit_id, session.base]), ...turns.map((turn) => turn.commit_id)];
      const commits = [...new Set(named.filter((commit) => commit !== null))];
      count += commits.length;
      if (commits.length === 0) continue;
      for (const commit of await workspaces.missing({ project: id, source, baseBranch }, commits)) {
        add("mirrors", `the mirror of ${id} does not have the commit ${commit}`);
      }
    }
  }
  return count;
}

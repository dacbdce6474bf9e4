import { homedir } from "node:os";
import { removeClone } from "./cleanup.ts";
import { openClone } from "./clone.ts";
import { deliverCommit, publishCommit } from "./deliver.ts";
import { diffCommits, readCommittedFile } from "./diff.ts";
import { defaultLimits, type Limits, openGit } from "./git.ts";
import { inspectFolder, personIdentity } from "./inspect.ts";
import { mergeSources } from "./merge.ts";
import { objectsPath, refreshMirror } from "./mirror.ts";
import { checkId, checkTurn } from "./names.ts";
import { pushBranch } from "./push.ts";
import { openQueue } from "./queue.ts";
import { takeSnapshot } from "./snapshot.ts";
import type { Repository, Workspaces } from "./workspace.ts";

export interface OpenOptions {
  /** $TUTTI_HOME */
  home: string;
  /** Where programs are found, as in PATH. */
  path: string;
  /** Whether git that reads an agent's clone can be confined. */
  sandbox: "bubblewrap" | "none";
  /** Milliseconds since 1970, for the dates of commits. */
  now: () => number;
  limits?: Partial<Limits>;
  /** Where the person's own git configuration is (their name, their ignored files); their home folder by default. */
  personHome?: string;
}

/**
 * Opens the workspaces of one $TUTTI_HOME. Throws AppError failed when git is missing or too old, or bubblewrap is missing.
 *
 * What writes to a project's mirror or to the person's repository runs one after the other per project; what concerns one
 * session, one after the other per session. Snapshots are not in the project's line: they write refs of their own session
 * only, git's object store allows it, and a hostile clone that holds git up must not hold up the other sessions.
 */
export async function openWorkspaces(options: OpenOptions): Promise<Workspaces> {
  const { now, personHome = homedir() } = options;
  const git = await openGit({ ...options, limits: { ...defaultLimits, ...options.limits } });
  const queue = openQueue();
  const forProject = async <T>(repository: Repository, work: () => Promise<T>) =>
    queue(`project ${checkId("project", repository.project)}`, work);
  const forSession = async <T>(session: string, work: () => Promise<T>) => queue(`session ${checkId("session", session)}`, work);

  return {
    inspect: (folder) => inspectFolder(git, personHome, folder),
    refresh: (repository) => forProject(repository, () => refreshMirror(git, repository)),
    open: (given) =>
      forSession(given.session, () =>
        openClone(git, { personHome, now: now(), inLine: (work) => forProject(given.repository, work) }, given),
      ),
    readable: (repository) => [objectsPath(git, repository)],
    snapshot: (given) =>
      forSession(given.session, async () => {
        const { leftOut: _leftOut, ...snapshot } = await takeSnapshot(git, {
          ...given,
          base: given.workspace.base,
          branch: given.workspace.branch,
          ref: `refs/tutti/${given.session}/${checkTurn(given.turn)}`,
          everything: false,
          now: now(),
        });
        return snapshot;
      }),
    diff: ({ repository, ...given }) => diffCommits(git, repository, given),
    readFile: ({ repository, commit, path }) => readCommittedFile(git, repository, commit, path),
    merge: (given) => forProject(given.repository, () => mergeSources(git, now(), given)),
    deliver: (given) => forProject(given.repository, () => deliverCommit(git, given)),
    push: (given) => forProject(given.repository, () => pushBranch(git, personHome, given)),
    publish: (given) => forProject(given.repository, () => publishCommit(git, given)),
    author: (repository) => personIdentity(git, personHome, repository),
    remove: (given) => forSession(given.session, () => removeClone(git, personHome, now(), given)),
  };
}

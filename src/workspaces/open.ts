import { homedir } from "node:os";
import { join } from "node:path";
import { bundleMirror, missingCommits, unbundleMirror } from "./bundle.ts";
import { keepRef, removeClone } from "./cleanup.ts";
import { isOlderClone, openClone } from "./clone.ts";
import { deliverCommit, publishCommit } from "./deliver.ts";
import { diffCommits, readCommittedFile } from "./diff.ts";
import { openGate } from "./gate.ts";
import { defaultLimits, type Limits, openGit } from "./git.ts";
import { inspectFolder, personIdentity } from "./inspect.ts";
import { mergeSources } from "./merge.ts";
import { hasCommit, objectsPath, refreshMirror } from "./mirror.ts";
import { checkId, checkTurn } from "./names.ts";
import { packCommit, unpackCommit } from "./pack.ts";
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
 * What writes to a project's mirror or to the person's repository runs one after the other per project, also between the processes
 * of one home; what concerns one
 * session, one after the other per session. Snapshots are not in the project's line: they write refs of their own session
 * only, git's object store allows it, and a hostile clone that holds git up must not hold up the other sessions.
 */
export async function openWorkspaces(options: OpenOptions): Promise<Workspaces> {
  const { now, personHome = homedir() } = options;
  const git = await openGit({ ...options, limits: { ...defaultLimits, ...options.limits } });
  const queue = openQueue();
  const gate = openGate(join(options.home, "gates"));
  const forProject = async <T>(repository: Repository, work: () => Promise<T>) => {
    const project = checkId("project", repository.project);
    return queue(`project ${project}`, () => gate(project, work));
  };
  const forSession = async <T>(session: string, work: () => Promise<T>) => queue(`session ${checkId("session", session)}`, work);

  return {
    inspect: (folder) => inspectFolder(git, personHome, folder),
    refresh: (repository) => forProject(repository, () => refreshMirror(git, repository)),
    open: (given) =>
      forSession(given.session, async () => {
        if (given.goesOn && (await isOlderClone(git, given.repository, given.session, given.goesOn.commit))) {
          await removeClone(git, personHome, now(), { ...given, keptAs: `${keepRef(given.session)}.${now()}` });
        }
        return openClone(git, { personHome, now: now(), inLine: (work) => forProject(given.repository, work) }, given);
      }),
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
    has: (repository, commit) => hasCommit(git, repository, commit),
    pack: (given) => packCommit(git, given),
    unpack: (given) =>
      queue(`pack ${checkId("project", given.repository.project)} ${given.commit}`, () =>
        unpackCommit(git, { ...given, inLine: (work) => forProject(given.repository, work) }),
      ),
    diff: ({ repository, ...given }) => diffCommits(git, repository, given),
    readFile: ({ repository, commit, path }) => readCommittedFile(git, repository, commit, path),
    merge: (given) => forProject(given.repository, () => mergeSources(git, now(), given)),
    deliver: (given) => forProject(given.repository, () => deliverCommit(git, given)),
    push: (given) => forProject(given.repository, () => pushBranch(git, personHome, given)),
    publish: (given) => forProject(given.repository, () => publishCommit(git, given)),
    author: (repository) => personIdentity(git, personHome, repository),
    remove: (given) => forSession(given.session, () => removeClone(git, personHome, now(), given)),
    bundle: (repository) => forProject(repository, () => bundleMirror(git, repository)),
    unbundle: (repository, bytes) => forProject(repository, () => unbundleMirror(git, repository, bytes)),
    missing: (repository, commits) => missingCommits(git, repository, commits),
  };
}

import { existsSync } from "node:fs";
import { lstat, readdir, readlink, realpath, rename, rm } from "node:fs/promises";
import { join, sep } from "node:path";
import { AppError, conflict } from "../errors.ts";
import { openBench } from "./bench.ts";
import { baseRef, checkCloneFolder, readFacts, sessionPlaces } from "./clone.ts";
import type { Git } from "./git.ts";
import { personIdentity } from "./inspect.ts";
import { inMirror } from "./mirror.ts";
import { makeReadable, takeSnapshot } from "./snapshot.ts";
import type { Repository } from "./workspace.ts";

export const keepRef = (session: string): string => `refs/keep/${session}`;

/**
 * Removing a session's folder. First everything in it is kept under `refs/keep/<session>` (other branches and the stash beside
 * it, as `refs/keep/<session>.heads/...`); when that does not work, or something would be lost with it, nothing is removed.
 * Only `$TUTTI_HOME/sessions/<id>` and the session's bench are ever deleted, and only when they are really where they should be.
 */
export async function removeClone(
  git: Git,
  personHome: string,
  now: number,
  options: { repository: Repository; session: string; keptAs?: string },
): Promise<void> {
  const { repository, session, keptAs = keepRef(session) } = options;
  const places = sessionPlaces(git, session);
  const removing = `${places.work}.removing`;
  if (!existsSync(places.folder)) return;
  await requireOwnFolder(git, places.folder, session);
  await requireNobodyInside(places.folder);

  if (await checkCloneFolder(places)) {
    const base = await keep(git, personHome, now, { repository, session, keptAs });
    // Once it has another name, a crash cannot leave a half-deleted clone that the next `open` takes for the agent's work.
    await makeReadable(await openBench(git, repository, places, base));
    await rm(removing, { recursive: true, force: true });
    await rename(places.work, removing);
  }
  await rm(places.folder, { recursive: true, force: true });
  await rm(places.bench, { recursive: true, force: true });
  await rm(places.keptIndex, { force: true });
}

async function keep(
  git: Git,
  personHome: string,
  now: number,
  { repository, session, keptAs }: { repository: Repository; session: string; keptAs: string },
): Promise<string> {
  const facts = await readFacts(sessionPlaces(git, session));
  const kept = await git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", `${baseRef(session)}^{commit}`));
  const base = kept ?? facts?.base;
  if (base === undefined) throw conflict(`the clone of session ${session} cannot be kept`, "nothing is known about where it started");
  const snapshot = await takeSnapshot(git, {
    repository,
    session,
    base,
    branch: facts?.branch ?? repository.baseBranch,
    ref: keptAs,
    everything: true,
    author: await personIdentity(git, personHome, repository),
    committer: { name: "Tutti", email: "tutti@localhost" },
    message: `The work of session ${session} when it was removed`,
    now,
  });
  if (snapshot.leftOut.length === 0) return base;
  throw conflict(
    `the clone of session ${session} was not removed`,
    `this would be lost with it: ${snapshot.leftOut.slice(0, 5).join(", ")}`,
    [`move what you need out of ${sessionPlaces(git, session).work}, delete it there, then try again`],
  );
}

/** The folder must be a real one, at its own place: a symbolic link on the way would make us delete something else. */
async function requireOwnFolder(git: Git, folder: string, session: string): Promise<void> {
  const kind = await lstat(folder);
  if (kind.isDirectory() && (await realpath(folder)) === join(git.home, "sessions", session)) return;
  throw conflict(`${folder} is not the folder that Tutti made`, "it is a link or lies elsewhere, so nothing is deleted", [
    `ls -ld ${folder}`,
  ]);
}

/** A process that works in the folder would go on writing, and what it writes would be lost. Where there is no /proc, the caller knows. */
async function requireNobodyInside(folder: string): Promise<void> {
  const pids = existsSync("/proc/self/cwd") ? (await readdir("/proc")).filter((name) => /^\d+$/.test(name)) : [];
  for (const pid of pids) {
    // A process that is gone, or not ours, tells nothing.
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (cwd !== folder && !cwd.startsWith(folder + sep)) continue;
    throw new AppError("busy", "the clone is still in use", {
      why: `process ${pid} works in ${cwd}`,
      fix: [`stop it: kill ${pid}`, "try again"],
    });
  }
}

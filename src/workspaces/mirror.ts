import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, notFound } from "../errors.ts";
import { fetchFlags, type Git, GitError } from "./git.ts";
import { checkBranch, checkCommit, checkId, cleanIdentity } from "./names.ts";
import type { Identity, Repository } from "./workspace.ts";

/**
 * The mirror: a bare repository per project, `$TUTTI_HOME/repositories/<project>.git`, that only the control plane writes.
 * It is filled by a fetch of the source's branches, never by copying its object folder: that one also holds what the person
 * stashed, amended away or deleted, and every agent of the project can read the mirror's objects. It is never garbage collected.
 *
 * Its refs: `refs/heads/*` as the source has them; `refs/tutti/<session>/{base,<turn>}`; `refs/keep/<session>`;
 * `refs/tutti/published/*`, what we put into the person's repository; `refs/tutti/outgoing/*`, while something is brought there;
 * `refs/tutti/packs/<commit>`, work of another home (pack.ts).
 */
export const mirrorPath = (git: Git, repository: Repository): string =>
  join(git.home, "repositories", `${checkId("project", repository.project)}.git`);

export const objectsPath = (git: Git, repository: Repository): string => join(mirrorPath(git, repository), "objects");

/** Whether the person's repository is a bare one: results are pushed to it, and it has no files. */
export const isBare = async (git: Git, repository: Repository): Promise<boolean> =>
  (await git.text(inSource(repository, "rev-parse", "--is-bare-repository"))) === "true";

/** Arguments of git for the mirror. */
export const inMirror = (git: Git, repository: Repository, ...args: string[]): string[] => [
  `--git-dir=${mirrorPath(git, repository)}`,
  ...args,
];

/** Arguments of git for the person's repository, which may be a bare one (ours to deliver to, unlike one that an agent planted). */
export const inSource = (repository: Repository, ...args: string[]): string[] => [
  "-c",
  "safe.bareRepository=all",
  "-C",
  repository.source,
  ...args,
];

/**
 * Makes the mirror, or brings the source's branches into it. Branches that are gone in the source go here too (their commits
 * stay). Resolves to the head of the base branch; throws AppError not_found when the source has no such branch.
 */
export async function refreshMirror(git: Git, repository: Repository): Promise<{ head: string; mirror: string }> {
  checkBranch(repository.baseBranch);
  const mirror = mirrorPath(git, repository);
  if (existsSync(mirror)) {
    await removeLeftovers(join(mirror, "objects", "pack"));
    await fetchBranches(git, repository, mirror);
  } else {
    await makeMirror(git, repository, mirror);
  }
  const head = await branchHead(git, repository, repository.baseBranch);
  return { head, mirror };
}

/** The head of a branch in the mirror. */
export async function branchHead(git: Git, repository: Repository, branch: string): Promise<string> {
  const head = await git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", `refs/heads/${checkBranch(branch)}^{commit}`));
  if (head === null) throw notFound("branch", branch, [`git -C ${repository.source} branch ${branch}`]);
  return head;
}

/** Throws AppError not_found when the mirror does not have the commit. */
export async function requireCommit(git: Git, repository: Repository, commit: string): Promise<string> {
  const found = await git.run(inMirror(git, repository, "cat-file", "-e", `${checkCommit(commit)}^{commit}`), { ok: [1, 128] });
  if (found.code !== 0) throw notFound("commit", commit);
  return commit;
}

/** Whether the mirror has the commit; false while there is no mirror. */
export async function hasCommit(git: Git, repository: Repository, commit: string): Promise<boolean> {
  if (!existsSync(mirrorPath(git, repository))) return false;
  const found = await git.run(inMirror(git, repository, "cat-file", "-e", `${checkCommit(commit)}^{commit}`), { ok: [1, 128] });
  return found.code === 0;
}

/** Which of these objects the mirror has. */
export async function knownObjects(git: Git, repository: Repository, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const end = await git.run(inMirror(git, repository, "cat-file", "--batch-check=%(objectname)"), { input: `${ids.join("\n")}\n` });
  return new Set(
    end.stdout
      .toString("utf8")
      .trim()
      .split("\n")
      .filter((line) => !line.endsWith(" missing")),
  );
}

/** Whether `ancestor` is contained in `commit`. Both must be there. */
export async function isContained(git: Git, where: string[], ancestor: string, commit: string): Promise<boolean> {
  const end = await git.run([...where, "merge-base", "--is-ancestor", checkCommit(ancestor), checkCommit(commit)], { ok: [1] });
  return end.code === 0;
}

/** Brings a commit of the mirror into the person's repository, as an object without a ref: a crash leaves nothing to clean. */
export async function bringToSource(git: Git, repository: Repository, commit: string): Promise<void> {
  const outgoing = `refs/tutti/outgoing/${commit}`;
  await git.run(inMirror(git, repository, "update-ref", outgoing, commit));
  await git.run(inSource(repository, "fetch", ...fetchFlags, "--", mirrorPath(git, repository), outgoing));
  await git.run(inMirror(git, repository, "update-ref", "-d", outgoing));
}

/** Who stands in a commit, and when (`now` in milliseconds). */
export function commitEnvironment(author: Identity, committer: Identity, now: number): Record<string, string> {
  const [writer, keeper] = [cleanIdentity(author), cleanIdentity(committer)];
  const date = `${Math.floor(now / 1000)} +0000`;
  return {
    GIT_AUTHOR_NAME: writer.name,
    GIT_AUTHOR_EMAIL: writer.email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: keeper.name,
    GIT_COMMITTER_EMAIL: keeper.email,
    GIT_COMMITTER_DATE: date,
  };
}

/** "sha1" or "sha256". The mirror's configuration is ours, so its text is enough. */
export async function objectFormat(git: Git, repository: Repository): Promise<string> {
  const config = await readFile(join(mirrorPath(git, repository), "config"), "utf8");
  return /^\s*objectformat\s*=\s*(\w+)/im.exec(config)?.[1] ?? "sha1";
}

/** The head of a branch in the person's repository, or null. */
export const sourceHead = (git: Git, repository: Repository, branch: string): Promise<string | null> =>
  git.text(inSource(repository, "rev-parse", "--quiet", "--verify", `refs/heads/${checkBranch(branch)}^{commit}`));

async function makeMirror(git: Git, repository: Repository, mirror: string): Promise<void> {
  const making = `${mirror}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(join(git.home, "repositories"), { recursive: true, mode: 0o700 });
  const format = (await readSource(repository, () => git.text(inSource(repository, "rev-parse", "--show-object-format")))) ?? "sha1";
  await git.run(["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", making]);
  await fetchBranches(git, repository, making);
  await git.run([`--git-dir=${making}`, "symbolic-ref", "HEAD", `refs/heads/${repository.baseBranch}`]);
  await rename(making, mirror);
}

// A source with a shallow history gives a mirror with one: the person's own limits are taken over, an agent's never are.
const fetchBranches = (git: Git, repository: Repository, mirror: string): Promise<unknown> =>
  readSource(repository, () =>
    git.run([
      `--git-dir=${mirror}`,
      "fetch",
      ...fetchFlags,
      "--force",
      "--prune",
      "--update-shallow",
      "--",
      repository.source,
      "+refs/heads/*:refs/heads/*",
    ]),
  );

async function readSource<T>(repository: Repository, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof GitError) || error.code === "disk_full") throw error;
    throw new AppError("failed", `the repository ${repository.source} cannot be read`, {
      why: error.why ?? undefined,
      fix: [`git -C ${repository.source} status`, "look whether the folder was moved or deleted"],
      cause: error,
    });
  }
}

/** What a killed fetch left behind (`tmp_*`). A day is longer than any fetch may take. */
export async function removeLeftovers(folder: string): Promise<void> {
  const dayAgo = Date.now() - 24 * 3_600_000;
  const names = await readdir(folder).catch(missingIsEmpty);
  for (const name of names.filter((each) => each.startsWith("tmp_"))) {
    const file = join(folder, name);
    const found = await stat(file).catch(() => null);
    if (found !== null && found.mtimeMs < dayAgo) await rm(file, { recursive: true, force: true });
  }
}

function missingIsEmpty(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, conflict, notFound } from "../errors.ts";
import { type Git, GitError } from "./git.ts";
import { bringToSource, inMirror, inSource, isBare, isContained, requireCommit, sourceHead } from "./mirror.ts";
import { packRef } from "./pack.ts";
import { checkBranch, checkCommit, shellWord, splitNul } from "./names.ts";
import type { Delivery, Repository } from "./workspace.ts";

/**
 * Bringing commits into the person's repository. Their branches move only from a value that we saw to a value that contains
 * it, their files change only where git's own fast-forward would change them, and no hook of theirs runs for it: hooks may
 * live in the tree (`core.hooksPath=.husky`), where an agent can write them.
 *
 * Every step can be repeated after a crash: what is there already counts as delivered.
 */
interface DeliverOptions {
  repository: Repository;
  into: string;
  before: string;
  commit: string;
  waitingBranch: string;
}

export async function deliverCommit(git: Git, options: DeliverOptions): Promise<Delivery> {
  const { repository } = options;
  const into = checkBranch(options.into);
  const before = checkCommit(options.before);
  const commit = await requireCommit(git, repository, options.commit);
  const bare = await isBare(git, repository);
  const current = await sourceHead(git, repository, into);
  if (current === null) throw notFound("branch", into, [`git -C ${shellWord(repository.source)} branch ${shellWord(into)} ${before}`]);

  const place = bare ? null : await checkedOutAt(git, repository, into);
  const how = bare ? "push" : place === null ? "update-ref" : "fast-forward";
  if (await hasAlready(git, repository, commit, current)) return { kind: "delivered", branch: into, how };
  if (current !== before) return { kind: "moved" };
  if (bare) return push(git, repository, { into, before, commit });
  await bringToSource(git, repository, commit);
  return place === null ? updateRef(git, repository, { into, before, commit }) : fastForward(git, options, place);
}

async function hasAlready(git: Git, repository: Repository, commit: string, current: string): Promise<boolean> {
  if (commit === current) return true;
  const there = await git.run(inSource(repository, "cat-file", "-e", `${commit}^{commit}`), { ok: [1, 128] });
  return there.code === 0 && isContained(git, inSource(repository), commit, current);
}

interface Move {
  into: string;
  before: string;
  commit: string;
}

async function updateRef(git: Git, repository: Repository, { into, before, commit }: Move): Promise<Delivery> {
  try {
    await git.run(inSource(repository, "update-ref", "-m", "tutti: merge", `refs/heads/${into}`, commit, before));
    return { kind: "delivered", branch: into, how: "update-ref" };
  } catch (error) {
    return movedOrThrow(git, repository, { into, before, commit }, error);
  }
}

async function push(git: Git, repository: Repository, { into, before, commit }: Move): Promise<Delivery> {
  const ref = `refs/heads/${into}`;
  try {
    // The receiving side runs no hooks either: our configuration stands in for every configuration but its own.
    const args = ["push", "--quiet", "--no-verify", `--force-with-lease=${ref}:${before}`, "--", repository.source, `${commit}:${ref}`];
    await git.run(inMirror(git, repository, ...args));
    return { kind: "delivered", branch: into, how: "push" };
  } catch (error) {
    return movedOrThrow(git, repository, { into, before, commit }, error);
  }
}

async function movedOrThrow(git: Git, repository: Repository, move: Move, error: unknown): Promise<Delivery> {
  if (!(error instanceof GitError)) throw error;
  const current = await sourceHead(git, repository, move.into);
  if (current !== move.before) return { kind: "moved" };
  throw new AppError("busy", `the branch ${move.into} could not be moved`, {
    why: error.why ?? undefined,
    fix: ["try again", `look for a .lock file in ${repository.source}`],
    cause: error,
  });
}

/** The branch is checked out: the files must follow, and nothing of the person's may be overwritten. */
async function fastForward(git: Git, options: DeliverOptions, place: Place): Promise<Delivery> {
  const { repository, into, before, commit } = options;
  if (place.rebasing) return wait(git, options, place, `${into} is being rebased in ${place.path}`);
  const at = (...args: string[]) => ["-C", place.path, ...args];
  const status = await git.run(at("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=dirty"));
  const dirty = splitNul(status.stdout).map((entry) => entry.slice(3));
  if (dirty.length > 0) {
    const named = dirty.slice(0, 3).join(", ") + (dirty.length > 3 ? `, and ${dirty.length - 3} more` : "");
    return wait(git, options, place, `${into} is checked out in ${place.path} with uncommitted changes: ${named}`);
  }
  // Without --no-overwrite-ignore a commit that adds a path which the person ignores (.env) would silently replace their file.
  const only = ["--ff-only", "--no-squash", "--no-autostash", "--no-overwrite-ignore", "--no-verify-signatures", "--no-stat", "--quiet"];
  try {
    await git.run(at("merge", ...only, commit));
    return { kind: "delivered", branch: into, how: "fast-forward" };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const current = await sourceHead(git, repository, into);
    if (current === commit) return { kind: "delivered", branch: into, how: "fast-forward" };
    if (current !== before) return { kind: "moved" };
    return wait(git, options, place, whyNot(error));
  }
}

/** git names the files one per line, indented, below a sentence. */
function whyNot(error: GitError): string {
  const files = error.stderr.split("\n").filter((line) => line.startsWith("\t"));
  if (files.length > 0) return `files that git does not track would be overwritten: ${files.map((line) => line.trim()).join(", ")}`;
  return error.why ?? "git could not fast-forward it";
}

async function wait(git: Git, options: DeliverOptions, place: Place, why: string): Promise<Delivery> {
  const branch = checkBranch(options.waitingBranch);
  await publishCommit(git, { repository: options.repository, branch, commit: options.commit });
  const where = place.isSource ? "" : ` -C ${shellWord(place.path)}`;
  return { kind: "waiting", branch, why, command: `git${where} merge ${shellWord(branch)}` };
}

interface Place {
  path: string;
  /** Whether it is the project's own folder. */
  isSource: boolean;
  rebasing: boolean;
}

/** The working tree that has the branch checked out, or that is in the middle of rebasing it. */
async function checkedOutAt(git: Git, repository: Repository, branch: string): Promise<Place | null> {
  const list = await git.run(inSource(repository, "worktree", "list", "--porcelain", "-z"));
  const top = await git.text(inSource(repository, "rev-parse", "--show-toplevel"));
  const trees = list.stdout
    .toString("utf8")
    .split("\0\0")
    .map((text) => new Map(text.split("\0").map((line) => [line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)])));
  for (const tree of trees) {
    const path = tree.get("worktree");
    if (path === undefined || tree.has("prunable") || tree.has("bare")) continue;
    const isSource = path === top;
    if (tree.get("branch") === `refs/heads/${branch}`) return { path, isSource, rebasing: false };
    if (tree.has("detached") && (await rebasedBranch(git, path)) === `refs/heads/${branch}`) return { path, isSource, rebasing: true };
  }
  return null;
}

async function rebasedBranch(git: Git, path: string): Promise<string | null> {
  const folder = (await git.text(["-C", path, "rev-parse", "--path-format=absolute", "--git-dir"])) ?? "";
  for (const kind of ["rebase-merge", "rebase-apply"]) {
    const name = await readFile(join(folder, kind, "head-name"), "utf8").catch(() => null);
    if (name !== null) return name.trim();
  }
  return null;
}

const publishedRef = (kind: "published" | "publishing", branch: string): string => `refs/tutti/${kind}/${encodeURIComponent(branch)}`;

/**
 * Puts a commit on a branch of the person's repository. A value that somebody else put there is never replaced. The mirror
 * notes the value before (publishing) and after (published), so that a crash between does not make our own value look foreign.
 * Throws AppError conflict when the branch is not ours, is checked out, or cannot have this name.
 */
export async function publishCommit(git: Git, options: { repository: Repository; branch: string; commit: string }): Promise<void> {
  const { repository } = options;
  const branch = checkBranch(options.branch);
  const commit = await requireCommit(git, repository, options.commit);
  const current = await sourceHead(git, repository, branch);
  if (current !== commit) {
    await requireOurs(git, repository, branch, current);
    await remember(git, repository, "publishing", branch, commit);
    await bringToSource(git, repository, commit);
    await setBranch(git, repository, { branch, commit, current });
  }
  await remember(git, repository, "published", branch, commit);
}

async function requireOurs(git: Git, repository: Repository, branch: string, current: string | null): Promise<void> {
  const rename = [`git -C ${shellWord(repository.source)} branch -m ${shellWord(branch)} ${shellWord(`${branch}-mine`)}`];
  const bare = await isBare(git, repository);
  const place = bare ? null : await checkedOutAt(git, repository, branch);
  if (place !== null) {
    throw conflict(`the branch ${branch} is checked out in ${place.path}`, "its files would no longer be those of the branch", [
      `git -C ${shellWord(place.path)} switch ${shellWord(repository.baseBranch)}`,
    ]);
  }
  if (current === null) return;
  const ours = await Promise.all((["published", "publishing"] as const).map((kind) => recall(git, repository, kind, branch)));
  // What another home put there came here as a pack, before the session went on.
  const packed = await git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", packRef(current)));
  if (packed === null && !ours.includes(current))
    throw conflict(`the branch ${branch} holds work that Tutti did not put there`, "it is not replaced", rename);
}

async function setBranch(
  git: Git,
  repository: Repository,
  { branch, commit, current }: { branch: string; commit: string; current: string | null },
): Promise<void> {
  const nothing = "0".repeat(commit.length);
  try {
    await git.run(inSource(repository, "update-ref", "-m", "tutti: publish", `refs/heads/${branch}`, commit, current ?? nothing));
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw conflict(`the branch ${branch} could not be set`, error.why ?? undefined, [
      `git -C ${shellWord(repository.source)} branch --list ${shellWord(branch)}`,
      "try again",
    ]);
  }
}

const remember = (git: Git, repository: Repository, kind: "published" | "publishing", branch: string, commit: string): Promise<unknown> =>
  git.run(inMirror(git, repository, "update-ref", publishedRef(kind, branch), commit));

const recall = (git: Git, repository: Repository, kind: "published" | "publishing", branch: string): Promise<string | null> =>
  git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", publishedRef(kind, branch)));

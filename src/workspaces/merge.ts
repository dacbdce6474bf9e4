import { type AppError, conflict } from "../errors.ts";
import type { Git } from "./git.ts";
import { commitEnvironment, inMirror, refreshMirror, requireCommit } from "./mirror.ts";
import { checkBranch, checkCommit, checkStep, oneLine, splitNul } from "./names.ts";
import type { Identity, MergeResult, MergeSource, Repository } from "./workspace.ts";

/**
 * Merges are computed in the mirror, on trees and commits: no work tree, so no hook, filter or driver can run. Each source
 * becomes one merge commit whose first parent is the branch and whose message ends with `Tutti-Step: <run>/<step>`.
 *
 * Once, also across a crash: a source is passed over when the branch contains its commit, or when the branch has a merge with
 * its trailer. Only merges on the branch's own line (first parents) by Tutti count: an agent can write any trailer into
 * its commits, and those always arrive as a second parent.
 */
const trailer = "Tutti-Step";
const committerEmail = "tutti@localhost";
const maxMergesLookedAt = 5000;

export async function mergeSources(
  git: Git,
  now: number,
  options: { repository: Repository; into: string; sources: MergeSource[]; author: Identity },
): Promise<MergeResult> {
  const { repository, sources, author } = options;
  const into = checkBranch(options.into);
  for (const source of sources) checkStep(source.step);
  const before = (await refreshMirror(git, { ...repository, baseBranch: into })).head;
  let head = before;
  const commits: string[] = [];
  for (const source of sources) {
    await requireCommit(git, repository, source.commit);
    const common = await commonCommit(git, repository, head, source.commit);
    if (common === null) throw unrelated(source, into);
    if (await isMergedAlready(git, repository, head, common, source)) continue;
    const merged = await mergeTrees(git, repository, head, source);
    if (merged.kind === "conflict") return merged;
    head = await commitMerge(git, repository, { head, tree: merged.tree, source, author, into, now });
    commits.push(head);
  }
  return { kind: "merged", commit: head, before, commits, nothingToDo: commits.length === 0 };
}

/** The commit that both come from, or null: two histories with nothing in common. */
const commonCommit = (git: Git, repository: Repository, head: string, commit: string): Promise<string | null> =>
  git.text(inMirror(git, repository, "merge-base", head, commit));

async function isMergedAlready(git: Git, repository: Repository, head: string, common: string, source: MergeSource): Promise<boolean> {
  if (common === source.commit) return true;
  const format = `--format=%ce%x00%(trailers:key=${trailer},valueonly,only,unfold,separator=%x01)%x00`;
  const flags = ["--first-parent", "--min-parents=2", "-n", String(maxMergesLookedAt), format];
  const log = splitNul((await git.run(inMirror(git, repository, "log", ...flags, head, `^${checkCommit(common)}`, "--"))).stdout);
  for (let at = 0; at + 1 < log.length; at += 2) {
    const steps = (log[at + 1] ?? "").split("\u0001");
    if (log[at]?.trim() === committerEmail && steps.includes(source.step)) return true;
  }
  return false;
}

async function mergeTrees(
  git: Git,
  repository: Repository,
  head: string,
  source: MergeSource,
): Promise<{ kind: "clean"; tree: string } | { kind: "conflict"; step: string; files: string[] }> {
  const flags = ["--write-tree", "-z", "--name-only", "--no-messages"];
  const end = await git.run(inMirror(git, repository, "merge-tree", ...flags, head, source.commit), { ok: [1] });
  const [tree = "", ...files] = splitNul(end.stdout);
  if (end.code === 0) return { kind: "clean", tree: checkCommit(tree) };
  return { kind: "conflict", step: source.step, files: [...new Set(files.filter((file) => file !== ""))] };
}

async function commitMerge(
  git: Git,
  repository: Repository,
  merge: { head: string; tree: string; source: MergeSource; author: Identity; into: string; now: number },
): Promise<string> {
  const { head, tree, source, author, into, now } = merge;
  const title = oneLine(source.title) || `Merge ${source.step} into ${into}`;
  const committer = { name: `Tutti (${oneLine(source.agent, 100)})`, email: committerEmail };
  const end = await git.run(inMirror(git, repository, "commit-tree", tree, "-p", head, "-p", source.commit, "-F", "-"), {
    env: commitEnvironment(author, committer, now),
    input: `${title}\n\n${trailer}: ${source.step}\n`,
  });
  return checkCommit(end.stdout.toString("utf8").trim());
}

const unrelated = (source: MergeSource, into: string): AppError =>
  conflict(`${source.step} cannot be merged into ${into}`, "the two have no commit in common: was the branch written anew?", [
    `git log --oneline ${into}`,
  ]);

import { lstatSync, readFileSync } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import { addFiles, type Files } from "./add.ts";
import { type Bench, openBench } from "./bench.ts";
import { requireClone, sessionPlaces } from "./clone.ts";
import { faultsOf } from "./faults.ts";
import { fetchFlags, type Git, GitError, skipList } from "./git.ts";
import { commitEnvironment, inMirror, mirrorPath, objectsPath, requireCommit } from "./mirror.ts";
import { checkBranch, checkCommit, oneLine, splitNul } from "./names.ts";
import type { Identity, Repository, Snapshot } from "./workspace.ts";

/**
 * A snapshot: everything of the clone as one commit in the mirror. The clone may be anything by now: its `.git` destroyed,
 * pointing elsewhere or poisoned, its configuration full of programs, its files swapped while we read. So:
 *
 * 1. the commits of HEAD and of the session's branch are fetched onto the bench, checked object by object;
 * 2. the files are added on top by our own index and repository, with the clone as a mere folder;
 * 3. the mirror fetches the result from the bench, checked again.
 *
 * When 1 fails, 2 still takes every file, on top of the base. Nothing in the clone can name a program to be run, and all of
 * it happens where only the clone can be seen. What is left out is named in the commit's message: files over the limit, and
 * what git itself refuses to carry (a `.gitmodules` made to attack).
 */
export interface SnapshotOptions {
  repository: Repository;
  session: string;
  base: string;
  branch: string;
  /** Where it goes in the mirror. Commits that are not part of the result go to `<ref>.<name>`. */
  ref: string;
  /** All local branches and the stash as well: the clone is about to be removed. */
  everything: boolean;
  author: Identity;
  committer: Identity;
  message: string;
  /** Milliseconds, for the dates of the commit. */
  now: number;
  signal?: AbortSignal;
}

export interface TakenSnapshot extends Snapshot {
  /** What the commit does not have, each with its reason. */
  leftOut: string[];
}

export async function takeSnapshot(git: Git, options: SnapshotOptions): Promise<TakenSnapshot> {
  const { repository, session, signal } = options;
  const places = sessionPlaces(git, session);
  await requireClone(places, session);
  await chmod(places.work, 0o700);
  const base = await requireCommit(git, repository, options.base);
  checkBranch(options.branch);
  const bench = await openBench(git, repository, places, base);

  const large = await clearTheWay(bench, git.limits.fileBytes, signal);
  const commits = await bringCommits(git, bench, options);
  const tooLarge = await notExpected(git, bench, { repository, base, large, signal });
  const files = await withRepairs(bench, signal, (lastTry) => addFiles(bench, { parent: commits.parent, tooLarge, lastTry, signal }));
  const notes = [...commits.notes, ...files.leftOut.map((each) => `Left out: ${each}`)];
  const result = await bringToMirror(git, bench, { ...options, parent: commits.parent, files, notes });

  const leftOut = [...files.leftOut, ...result.leftOut];
  if (result.commit === base) return { commit: null, ref: options.ref, files: [], leftOut };
  const changed = await git.run(inMirror(git, repository, "diff-tree", "-r", "-z", "--no-renames", "--name-only", base, result.commit));
  return { commit: result.commit, ref: options.ref, files: splitNul(changed.stdout), leftOut };
}

const special = ["(", "-type", "p", "-o", "-type", "s", ")"];
const remove = ["-exec", "rm", "-f", "--", "{}", ";"];

/**
 * Looks over the work tree before git does: a FIFO where git reads a file (`.gitignore`, a nested `.git/HEAD`) would stop it
 * forever. FIFOs and sockets hold nothing, so these are removed. Resolves to the files over the limit.
 */
async function clearTheWay(bench: Bench, fileBytes: number, signal?: AbortSignal): Promise<string[]> {
  const readByGit = ["(", "-name", ".git*", "-o", "-path", "*/.git/*", ")"];
  const large = ["-type", "f", "-size", `+${fileBytes}c`, "!", "-path", "*/.git/*", "-print0"];
  const end = await bench.find(["(", ...readByGit, ...special, ...remove, ")", "-o", "(", ...large, ")"], signal);
  return splitNul(end.stdout, "latin1").map((path) => path.replace(/^\.\//, ""));
}

/** Files over the limit that would come into the snapshot: neither ignored, nor as large already in the base. */
async function notExpected(
  git: Git,
  bench: Bench,
  options: { repository: Repository; base: string; large: string[]; signal?: AbortSignal },
): Promise<string[]> {
  const { repository, base, large, signal } = options;
  if (large.length === 0) return [];
  const input = Buffer.from(large.map((path) => `${path}\0`).join(""), "latin1");
  const ignored = await bench.git(["check-ignore", "--no-index", "-z", "--stdin"], { input, ok: [1, 128], signal });
  const tree = await git.run(inMirror(git, repository, "ls-tree", "-r", "-l", "-z", "--full-tree", base));
  const sizes = splitNul(tree.stdout, "latin1").map(
    (line) => [line.slice(line.indexOf("\t") + 1), Number(/\s(\d+)\t/.exec(line)?.[1] ?? 0)] as const,
  );
  const expected = new Set(sizes.filter(([, size]) => size > git.limits.fileBytes).map(([path]) => path));
  const hidden = new Set(splitNul(ignored.stdout, "latin1"));
  return large.filter((path) => !expected.has(path) && !hidden.has(path));
}

const incoming = "refs/incoming/";

/** The agent's commits, onto the bench. `parent` is what the files are put on: HEAD, else the branch, else the base. */
async function bringCommits(git: Git, bench: Bench, options: SnapshotOptions): Promise<{ parent: string; notes: string[] }> {
  const { base, branch, everything, repository, signal } = options;
  if (!git.confined && !looksOwn(bench.session.work, objectsPath(git, repository))) {
    return { parent: base, notes: ["The commits of the clone were not read: its .git is not the one that Tutti made."] };
  }
  const head = `+HEAD:${incoming}head`;
  const own = `+refs/heads/${branch}:${incoming}branch`;
  // A pattern that matches nothing is no error, unlike a ref that does not exist; "stas*" is the stash.
  const all = [`+refs/heads/*:${incoming}heads/*`, `+refs/stas*:${incoming}stas*`];
  const attempts = [...(everything ? [[head, own, ...all], [head, ...all], all] : []), [head, own], [head], [own]];
  let problem: AppError | null = null;
  for (const refspecs of attempts) {
    problem = await fetchFromClone(git, bench, options, refspecs);
    // A clone that holds git up will do it again.
    if (problem === null || problem.code === "timed_out") break;
  }
  // The usual case, an agent that did not commit, needs no question.
  const [atHead, atBranch] = [looseRef(bench, "head"), looseRef(bench, "branch")];
  if (!everything && atHead === base && atBranch === base) return { parent: base, notes: [] };
  const valid = await bench.git(["for-each-ref", `--contains=${base}`, "--format=%(refname) %(objectname)", incoming], { signal });
  const lines = valid.stdout.toString("utf8").split("\n");
  const heads = new Map(lines.map((line) => [line.split(" ")[0], line.split(" ")[1]]));
  const parent = heads.get(`${incoming}head`) ?? heads.get(`${incoming}branch`) ?? base;
  return {
    parent: checkCommit(parent),
    notes: problem === null ? [] : [`The commits of the clone could not be read: ${oneLine(problem.why ?? problem.message)}`],
  };
}

function looseRef(bench: Bench, name: string): string | null {
  const file = join(bench.folder, "refs", "incoming", name);
  const kind = lstatSync(file, { throwIfNoEntry: false });
  return kind?.isFile() && kind.size < 100 ? readFileSync(file, "utf8").trim() : null;
}

/** One attempt, with a repair or an exemption where that helps. Resolves to null, or to what went wrong. */
async function fetchFromClone(git: Git, bench: Bench, options: SnapshotOptions, refspecs: string[]): Promise<AppError | null> {
  const { signal, repository, base } = options;
  const args = [...skipList, "fetch", ...fetchFlags, "--force", "--", bench.session.work, ...refspecs];
  const fetch = () => bench.git(args, { cwd: bench.folder, signal });
  try {
    await withRepairs(bench, signal, fetch);
    return null;
  } catch (error) {
    if (!isOfTheClone(error)) throw error;
    const stderr = error instanceof GitError ? error.stderr : "";
    const exempt = await exemptKnown(git, bench, { repository, base, ids: offenders(stderr) });
    if (!exempt) return error;
  }
  return fetch().then(
    () => null,
    (error: unknown) => {
      if (!isOfTheClone(error)) throw error;
      return error;
    },
  );
}

/** Whatever goes wrong inside of the clone is the agent's doing, and the files are still taken. A full disk is not. */
const isOfTheClone = (error: unknown): error is AppError =>
  (error instanceof GitError && error.code !== "disk_full") ||
  (error instanceof AppError && ["timed_out", "too_large"].includes(error.code));

/**
 * Only where nothing confines: the plain ways by which a clone leads to another repository. An agent that runs without a
 * sandbox can change this between the look and the fetch, but it could also read that repository itself.
 */
function looksOwn(work: string, objects: string): boolean {
  const kind = (path: string) => lstatSync(join(work, ".git", path), { throwIfNoEntry: false });
  if (!kind(".")?.isDirectory() || lstatSync(join(work, ".git")).isSymbolicLink() || !kind("objects")?.isDirectory()) return false;
  if (["objects/pack", "objects/info", "refs", "HEAD", "packed-refs"].some((name) => kind(name)?.isSymbolicLink())) return false;
  if (kind("commondir") !== undefined) return false;
  const alternates = kind("objects/info/alternates");
  if (alternates === undefined) return true;
  return (
    alternates.isFile() && alternates.size < 4096 && readFileSync(join(work, ".git/objects/info/alternates"), "utf8").trim() === objects
  );
}

/**
 * Does it; when git could not read something or was held up, makes everything readable, removes what holds nothing but can
 * hold up (FIFOs, sockets), and does it once more. The clone belongs to us, only its modes were changed.
 */
async function withRepairs<T>(bench: Bench, signal: AbortSignal | undefined, act: (lastTry: boolean) => Promise<T>): Promise<T> {
  try {
    return await act(false);
  } catch (error) {
    const unreadable = error instanceof GitError && /permission denied/i.test(error.stderr);
    const heldUp = error instanceof AppError && error.code === "timed_out";
    if (!unreadable && !heldUp) throw error;
    await makeReadable(bench, signal);
    return act(true);
  }
}

export async function makeReadable(bench: Bench, signal?: AbortSignal): Promise<void> {
  const folders = ["-type", "d", "!", "-perm", "-700", "-exec", "chmod", "u+rwx", "--", "{}", ";"];
  const files = ["-type", "f", "!", "-perm", "-400", "-exec", "chmod", "u+r", "--", "{}", ";"];
  await bench.find(["(", ...folders, ")", "-o", "(", ...files, ")", "-o", "(", ...special, ...remove, ")"], signal);
}

interface Arrival extends SnapshotOptions {
  parent: string;
  files: Files;
  notes: string[];
}

/** Commits what was added and lets the mirror fetch it. What git refuses there (fsck) is left out, file by file. */
async function bringToMirror(git: Git, bench: Bench, arrival: Arrival): Promise<{ commit: string; leftOut: string[] }> {
  const { repository, ref, parent, signal } = arrival;
  const leftOut: string[] = [];
  let { changed } = arrival.files;
  for (let round = 0; round < 10; round += 1) {
    const notes = [...arrival.notes, ...leftOut.map((each) => `Left out: ${each}`)];
    const env = commitEnvironment(arrival.author, arrival.committer, arrival.now);
    const { commit, strays } = await bench.finish(parent, changed ? messageOf(arrival, notes) : null, { env, signal });
    try {
      await fetchResult(git, bench, arrival, [`+refs/heads/result:${ref}`, ...keepBeside(strays, ref)]);
      return { commit, leftOut };
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const ids = offenders(error.stderr);
      const exempt = await exemptKnown(git, bench, { repository, base: arrival.base, ids });
      const refused = exempt ? [] : await restoreFromParent(bench, parent, ids, signal);
      if (!exempt && refused.length === 0) throw refusal(error, arrival);
      leftOut.push(...refused.map((path) => `${oneLine(path)} (git refuses it: ${reasonIn(error.stderr)})`));
      changed = (await bench.git(["diff-index", "--cached", "--quiet", parent], { ok: [1], signal })).code === 1;
    }
  }
  throw new AppError("check_failed", `the work of session ${arrival.session} cannot be taken over`, {
    why: "git refuses too many of its files",
  });
}

async function fetchResult(git: Git, bench: Bench, arrival: Arrival, refspecs: string[]): Promise<void> {
  const gitDir = mirrorPath(git, arrival.repository);
  const objects = objectsPath(git, arrival.repository);
  await git.fetchConfined({ gitDir, from: bench.folder, objects, refspecs, signal: arrival.signal });
}

function refusal(error: GitError, arrival: Arrival): AppError {
  if (error.code !== "too_large") return error;
  return new AppError("too_large", `the changes of session ${arrival.session} are too large to be taken over`, {
    why: "together they are over the limit for one snapshot",
    fix: ["add what need not be kept (build output, downloads) to .gitignore", "remove large files from the agent's commits"],
    cause: error,
  });
}

function messageOf(arrival: Arrival, notes: string[]): string {
  const text = arrival.message.replaceAll("\0", "").trim() || "Work of an agent";
  return `${[text, notes.slice(0, 50).join("\n")].filter((part) => part !== "").join("\n\n")}\n`;
}

/** Commits that came and are not part of the result (another branch was checked out, a stash): kept beside it. */
function keepBeside(strays: { id: string; ref: string }[], ref: string): string[] {
  const seen = new Set<string>();
  const fresh = strays.filter(({ id }) => !seen.has(id) && seen.add(id) !== undefined);
  // More branches than anybody works on are a flood, not work.
  return fresh.slice(0, 500).map((stray) => `+${stray.ref}:${ref}.${stray.ref.slice(incoming.length)}`);
}

/** The objects that git's checks name in their errors. */
export const offenders = (stderr: string): string[] => [...stderr.matchAll(/object ([0-9a-f]{40,64}): /g)].map((match) => match[1] ?? "");

export const reasonIn = (stderr: string): string => /object [0-9a-f]+: (\w+)/.exec(stderr)?.[1] ?? "fsck";

/**
 * A file that the base has already cannot be held against the agent, even when today's git would refuse it: such objects are
 * exempt from the check. Resolves to false when none of them is of this kind.
 */
async function exemptKnown(git: Git, bench: Bench, options: { repository: Repository; base: string; ids: string[] }): Promise<boolean> {
  if (options.ids.length === 0) return false;
  const known = await faultsOf(git, options.repository, options.base);
  const listed = new Set(readFileSync(bench.skipList, "utf8").split("\n"));
  const fresh = options.ids.filter((id) => known.has(id) && !listed.has(id));
  if (fresh.length === 0) return false;
  await rm(bench.skipList);
  await writeFile(
    bench.skipList,
    [...listed, ...fresh]
      .filter((id) => id !== "")
      .map((id) => `${id}\n`)
      .join(""),
    { flag: "wx" },
  );
  return true;
}

/** Takes the files with these contents out of the index; where the parent had such a file, it stays as it was. */
async function restoreFromParent(bench: Bench, parent: string, ids: string[], signal?: AbortSignal): Promise<string[]> {
  if (ids.length === 0) return [];
  const staged = splitNul((await bench.git(["ls-files", "--stage", "-z"], { signal })).stdout, "latin1");
  const paths = staged.filter((line) => ids.includes(line.split(" ")[1] ?? "")).map((line) => line.slice(line.indexOf("\t") + 1));
  if (paths.length === 0) return [];
  const tree = splitNul((await bench.git(["ls-tree", "-r", "-z", "--full-tree", parent], { signal })).stdout, "latin1");
  const before = new Map(tree.map((line) => [line.slice(line.indexOf("\t") + 1), line.slice(0, line.indexOf("\t")).split(" ")]));
  const lines = paths.map((path) => {
    const [mode = "0", , id = "0".repeat(parent.length)] = before.get(path) ?? [];
    return `${mode} ${id}\t${path}\0`;
  });
  await bench.git(["update-index", "-z", "--index-info"], { input: Buffer.from(lines.join(""), "latin1"), signal });
  return paths;
}

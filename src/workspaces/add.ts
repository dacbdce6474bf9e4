import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { GitError } from "./git.ts";
import { oneLine, splitNul } from "./names.ts";

/**
 * The files of a clone into the bench's index. `git add` does the work (ignore rules, executable bits, symbolic links stored
 * as links), and is kept away from what it does with repositories inside of repositories:
 *
 * - nested repositories: `git add` would record a bare commit id and lose the files, so they are added as ordinary files (their
 *   `.git` is not taken);
 * - submodules: `git add` would run `git status` inside of one, with the configuration that it finds there. They are excluded
 *   and stay as the parent has them: changes inside a submodule are not taken.
 *
 * No filter (clean, LFS) can run: none is configured where this git looks. Line ends and encodings that the tree's own
 * attributes ask for are converted as a commit of the agent would do it.
 */
export interface Files {
  /** Whether the index differs from the parent's tree. */
  changed: boolean;
  /** Paths with their reasons. */
  leftOut: string[];
}

interface AddOptions {
  parent: string;
  /** Paths (bytes as latin1) that are not added. */
  tooLarge: string[];
  /** False: throw when something is not readable, so that it can be made so. True: what is unreadable stays as the parent has it. */
  lastTry: boolean;
  signal?: AbortSignal;
}

/** Where files are added: the clone itself, or a nested repository within it. */
interface Place {
  /** "" or the path from the clone's top with a slash at its end. Bytes as latin1. */
  prefix: string;
  /** The name of its index on the bench. */
  index: string;
  depth: number;
  lastTry: boolean;
  signal?: AbortSignal;
}

const maxDepth = 5;
const maxNested = 100;

/** Throws GitError when something in the clone cannot be read and `lastTry` is false. */
export async function addFiles(bench: Bench, options: AddOptions): Promise<Files> {
  const { parent, tooLarge, lastTry, signal } = options;
  const top: Place = { prefix: "", index: "index", depth: 0, lastTry, signal };
  await readParent(bench, parent, signal);
  const { gitlinks: pinned, nested } = await lookAt(bench, top);
  const leftOut = await addPlace(bench, top, { exclude: [...tooLarge, ...pinned], nested });
  const same = await bench.git(["diff-index", "--cached", "--quiet", parent], { ok: [1], signal });
  return { changed: same.code === 1, leftOut: [...tooLarge.map((path) => `${shown(path)} (larger than the limit)`), ...leftOut] };
}

async function readParent(bench: Bench, parent: string, signal?: AbortSignal): Promise<void> {
  try {
    // Keeps what the index knows about unchanged files, and takes the parent's entry for all others.
    await bench.git(["read-tree", "-m", parent], { signal });
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    // An index that an interrupted turn left behind: without it everything is read again, which is only slower.
    await bench.git(["read-tree", "--empty"], { signal });
    await bench.git(["read-tree", parent], { signal });
  }
}

/** Resolves to what was left out. `nested` are repositories inside of it, `exclude` paths that are not added. */
async function addPlace(bench: Bench, place: Place, given: { exclude: string[]; nested: string[] }): Promise<string[]> {
  const { exclude } = given;
  const nested = given.nested.filter((path) => !exclude.includes(path));
  await add(bench, place, [...exclude, ...nested]);
  // A repository that appeared between the list and the addition is in the index as a commit id now.
  const late = (await lookAt(bench, place, ["--stage"])).gitlinks.filter((path) => !exclude.includes(path));
  await forget(bench, place, late);
  const leftOut: string[] = [];
  for (const [at, path] of [...nested, ...late].entries()) {
    // A name that is no UTF-8 cannot be an argument.
    const nameable = Buffer.from(utf8(path), "utf8").toString("latin1") === path;
    const taken = nameable && place.depth < maxDepth && at < maxNested;
    const within = exclude.filter((each) => each.startsWith(`${path}/`)).map((each) => each.slice(path.length + 1));
    if (taken) leftOut.push(...(await addNested(bench, place, path, within)));
    else leftOut.push(`${shown(place.prefix + path)} (a git repository inside of others)`);
  }
  return leftOut;
}

/** Adds a nested repository's files with an index of its own, and puts their tree in its place. */
async function addNested(bench: Bench, outer: Place, path: string, exclude: string[]): Promise<string[]> {
  const depth = outer.depth + 1;
  const place: Place = { ...outer, prefix: `${outer.prefix}${path}/`, index: `index-${depth}`, depth };
  const { index, signal } = place;
  await bench.git(["read-tree", "--empty"], { index, signal });
  const { nested } = await lookAt(bench, place);
  const leftOut = await addPlace(bench, place, { exclude, nested });
  const isEmpty = (await bench.git(["ls-files", "--stage", "-z"], { index, signal })).stdout.length === 0;
  if (isEmpty) return leftOut;
  const tree = (await bench.git(["write-tree"], { index, signal })).stdout.toString("utf8").trim();
  await bench.git(["read-tree", `--prefix=${utf8(path)}/`, tree], { index: outer.index, signal });
  return leftOut;
}

/** `git add --all`; where a conversion that the tree asks for is impossible, all as it is. */
async function add(bench: Bench, place: Place, exclude: string[]): Promise<void> {
  const specs = [".", ...exclude.map((path) => `:(exclude,top,literal)${path}`)].map((spec) => `${spec}\0`).join("");
  const args = ["add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"];
  const { index, signal } = place;
  const options = { input: Buffer.from(specs, "latin1"), workTree: workTreeOf(bench, place), index, ok: [1], signal };
  const failure = await bench.git(args, options).then(
    (end) => (end.code === 0 && !isUnreadable(end.stderr) ? null : new GitError("add", end)),
    (error: unknown) => {
      if (error instanceof GitError && error.code === "failed") return error;
      throw error;
    },
  );
  if (failure === null) return;
  // An unreadable folder is a warning and no failure for git, and its files would be gone.
  if (!place.lastTry && isUnreadable(failure.stderr)) throw failure;
  await bench.withoutConversions(() => bench.git(args, options));
}

const isUnreadable = (stderr: string): boolean => /permission denied/i.test(stderr);

interface Sight {
  /** Folders for which the index has a commit id: submodules. */
  gitlinks: string[];
  /** Untracked folders that have a repository of their own, without a slash at the end. */
  nested: string[];
}

/** What of a place is a repository. The letters tell apart what the index says and what untracked files are called. */
async function lookAt(bench: Bench, place: Place, show = ["--stage", "--others", "--exclude-standard"]): Promise<Sight> {
  const { index, signal } = place;
  const end = await bench.git(["ls-files", "-t", "-z", ...show], { workTree: workTreeOf(bench, place), index, signal });
  const lines = splitNul(end.stdout, "latin1");
  const links = lines.filter((line) => /^[A-Z] 160000 /.test(line));
  const folders = lines.filter((line) => line.startsWith("? ") && line.endsWith("/"));
  return {
    gitlinks: links.map((line) => line.slice(line.indexOf("\t") + 1)),
    nested: folders.map((line) => line.slice(2, -1)),
  };
}

async function forget(bench: Bench, { index, signal }: Place, paths: string[]): Promise<void> {
  if (paths.length === 0) return;
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(""), "latin1");
  await bench.git(["update-index", "--force-remove", "-z", "--stdin"], { index, input, signal });
}

const workTreeOf = (bench: Bench, place: Place): string => join(bench.session.work, utf8(place.prefix));

const utf8 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

const shown = (path: string): string => oneLine(utf8(path), 300);

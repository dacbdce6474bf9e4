import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, cp, lstat, mkdir, readFile, realpath, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { conflict, invalidInput, notFound } from "../errors.ts";
import { layOutRepository } from "./empty.ts";
import type { Git } from "./git.ts";
import { copyIncluded } from "./include.ts";
import { dirtyPaths, personExcludes, personIdentity } from "./inspect.ts";
import {
  commitEnvironment,
  hasCommit,
  inMirror,
  inSource,
  isBare,
  mirrorPath,
  objectsPath,
  refreshMirror,
  requireCommit,
} from "./mirror.ts";
import { checkBranch, checkId, splitNul } from "./names.ts";
import type { GoesOn, Repository, Workspace, Workspaces } from "./workspace.ts";

/**
 * A session's clone. It is built under another name and renamed when it is complete, so that what is found under its name is
 * always whole. What must not be taken from the clone later (where it started) is kept beside it and in the mirror.
 */
export interface SessionPlaces {
  /** $TUTTI_HOME/sessions/<id> */
  folder: string;
  work: string;
  home: string;
  /** What we know of it, out of the agent's reach in a sandbox. */
  facts: string;
  /** Where its snapshots are prepared ($TUTTI_HOME/snapshots/<id>). */
  bench: string;
  /** The bench's index while there is no bench. */
  keptIndex: string;
}

const Facts = z.object({
  base: z.string(),
  /** What was checked out when it was made; left out: the base. */
  at: z.string().optional(),
  branch: z.string(),
  notIncluded: z.array(z.string()),
  /** Copied by `.worktreeinclude`: the person's private files, which never enter a snapshot. */
  included: z.array(z.string()),
});
export type Facts = z.infer<typeof Facts>;

export function sessionPlaces(git: Git, session: string): SessionPlaces {
  const folder = join(git.home, "sessions", checkId("session", session));
  return {
    folder,
    work: join(folder, "work"),
    home: join(folder, "home"),
    facts: join(folder, "workspace.json"),
    bench: join(git.home, "snapshots", session),
    keptIndex: join(git.home, "snapshots", `${session}.index`),
  };
}

type OpenOptions = Parameters<Workspaces["open"]>[0];

export const baseRef = (session: string): string => `refs/tutti/${session}/base`;

/** What was written when the clone was made, or null. */
export async function readFacts(places: SessionPlaces): Promise<Facts | null> {
  if (!existsSync(places.facts)) return null;
  return Facts.parse(JSON.parse(await readFile(places.facts, "utf8")));
}

/** Throws AppError conflict when the place of the clone holds anything but the folder that we made: a symbolic link leads elsewhere. */
export async function checkCloneFolder(places: SessionPlaces): Promise<boolean> {
  const found = await lstat(places.work).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (found === null) return false;
  if (found.isDirectory() && (await realpath(places.work)) === places.work) return true;
  throw conflict(`${places.work} is not the folder that Tutti made`, "something replaced it, and Tutti does not follow it", [
    `ls -ld ${places.work}`,
  ]);
}

interface Surroundings {
  /** The person's home folder: their git configuration. */
  personHome: string;
  /** Milliseconds. */
  now: number;
  /** Runs what needs the mirror to stand still. */
  inLine: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Makes the session's clone, or finds it with its work in it. */
export async function openClone(git: Git, { personHome, now, inLine }: Surroundings, options: OpenOptions): Promise<Workspace> {
  const { repository, session } = options;
  const places = sessionPlaces(git, session);
  const branch = checkBranch(options.branch);
  await mkdir(places.home, { recursive: true, mode: 0o700 });
  if (await checkCloneFolder(places)) return found(git, repository, session, places, branch);

  const start = await inLine(async () => {
    const point = await (options.goesOn ? pointOf(git, options, options.goesOn) : startingPoint(git, personHome, now, options));
    await git.run(inMirror(git, repository, "update-ref", baseRef(session), point.base));
    return point;
  });
  const making = `${places.work}.making`;
  await rm(making, { recursive: true, force: true });
  await rm(places.bench, { recursive: true, force: true });
  // Sharing only reads the mirror's place; copying its objects needs them to stand still.
  const initialised = () => initialise(git, personHome, repository, making, { branch, at: start.at, shared: options.sandboxed });
  await (options.sandboxed ? initialised() : inLine(initialised));
  await git.inside(["git", "-C", making, "reset", "--quiet", "--hard"], {
    readable: [objectsPath(git, repository)],
    writable: [making],
    timeoutMs: git.limits.trustedMs,
  });
  await handIndexToBench(join(making, ".git", "index"), places);
  const included = start.bare ? [] : await copyIncluded(git, repository, making);
  const facts: Facts = { base: start.base, at: start.at, branch, notIncluded: start.notIncluded, included };
  await writeFile(places.facts, JSON.stringify(facts), { mode: 0o600 });
  await rename(making, places.work);
  return { path: places.work, home: places.home, base: start.base, branch, notIncluded: start.notIncluded, existed: false };
}

/** Whether a clone lies here that knows nothing of this commit of its session: it was neither made from it, nor is it a snapshot of it. */
export async function isOlderClone(git: Git, repository: Repository, session: string, commit: string): Promise<boolean> {
  const places = sessionPlaces(git, session);
  if (!(await checkCloneFolder(places))) return false;
  // A mirror that lost the commit says nothing about the clone, which may be the only place that has it.
  if (!(await hasCommit(git, repository, commit)) || (await readFacts(places))?.at === commit) return false;
  const own = await git.text(
    inMirror(git, repository, "for-each-ref", `--points-at=${commit}`, "--format=%(refname)", `refs/tutti/${session}/`),
  );
  return !own;
}

async function found(git: Git, repository: Repository, session: string, places: SessionPlaces, branch: string): Promise<Workspace> {
  const facts = await readFacts(places);
  const kept = await git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", `${baseRef(session)}^{commit}`));
  const base = kept ?? facts?.base;
  if (base === undefined) {
    throw conflict(`the clone of session ${session} belongs to nothing that is known`, "the mirror does not know where it started", [
      `look into ${places.work} and move away what you want to keep`,
    ]);
  }
  const known = { branch: facts?.branch ?? branch, notIncluded: facts?.notIncluded ?? [] };
  return { path: places.work, home: places.home, base, ...known, existed: true };
}

interface StartingPoint {
  base: string;
  /** What is checked out: the base, or what the session made of it in another clone. */
  at: string;
  notIncluded: string[];
  /** Whether the person's repository is a bare one, without files to look at. */
  bare: boolean;
}

/** A clone that is made anew for a session that has work already. */
async function pointOf(git: Git, { repository }: OpenOptions, goesOn: GoesOn): Promise<StartingPoint> {
  const base = await requireCommit(git, repository, goesOn.base);
  const at = await requireCommit(git, repository, goesOn.commit);
  return { base, at, notIncluded: [], bare: await isBare(git, repository) };
}

async function startingPoint(git: Git, personHome: string, now: number, options: OpenOptions): Promise<StartingPoint> {
  const { repository } = options;
  const fresh = options.base === null || options.includeDirty || !existsSync(mirrorPath(git, repository));
  const head = fresh ? (await refreshMirror(git, repository)).head : null;
  const base = options.base === null && head !== null ? head : await requireCommit(git, repository, options.base ?? "");
  if (await isBare(git, repository)) return { base, at: base, notIncluded: [], bare: true };
  const dirty = await dirtyPaths(git, personHome, repository.source);
  if (!options.includeDirty || dirty.length === 0) return { base, at: base, notIncluded: dirty, bare: false };
  const taken = await snapshotOfPerson(git, personHome, repository, base, now);
  return { ...taken, at: taken.base, bare: false };
}

/**
 * The person's uncommitted work as a commit on their head: with an index of our own, and objects written to the mirror. Their
 * index, their objects and their refs stay as they are. Nested repositories are left out: their files are not this repository's.
 */
async function snapshotOfPerson(
  git: Git,
  personHome: string,
  repository: Repository,
  base: string,
  now: number,
): Promise<{ base: string; notIncluded: string[] }> {
  const asTheySeeIt = await personExcludes(git, personHome, repository.source);
  const source = (...args: string[]) => [...asTheySeeIt, ...inSource(repository, ...args)];
  const head = await git.text(source("rev-parse", "--quiet", "--verify", "HEAD^{commit}"));
  if (head !== base) {
    throw invalidInput(
      `the uncommitted changes in ${repository.source} are not changes of ${repository.baseBranch}`,
      "another commit is checked out there than the one that the work starts from",
      [`git -C ${repository.source} switch ${repository.baseBranch}`, "start without the uncommitted changes"],
    );
  }
  const folder = join(git.home, "tmp");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const index = join(folder, `${randomUUID()}.index`);
  const path = async (name: string) => (await git.text(source("rev-parse", "--path-format=absolute", "--git-path", name))) ?? "";
  const env = {
    GIT_INDEX_FILE: index,
    GIT_OBJECT_DIRECTORY: objectsPath(git, repository),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: quotedForAlternates(await path("objects")),
  };
  try {
    // A copy of their index knows which files are unchanged; without one everything is read.
    const theirs = await path("index");
    if (existsSync(theirs)) await copyFile(theirs, index);
    else await git.run(source("read-tree", "HEAD"), { env });
    await git.run(source("add", "--all", "--ignore-errors"), { env, ok: [1] });
    const added = await git.run(source("diff-index", "--cached", "--raw", "-z", "--no-renames", "--diff-filter=AT", head), { env });
    const fields = splitNul(added.stdout);
    const nested = fields.filter((_, at) => at % 2 === 1 && /^:\d{6} 160000 /.test(fields[at - 1] ?? ""));
    await git.run(source("update-index", "--force-remove", "-z", "--stdin"), { env, input: nested.map((each) => `${each}\0`).join("") });
    const missed = await git.run(source("ls-files", "--others", "--modified", "--exclude-standard", "-z"), { env });
    const tree = (await git.text(source("write-tree"), { env })) ?? "";
    const person = await personIdentity(git, personHome, repository);
    const identity = commitEnvironment(person, { name: "Tutti", email: "tutti@localhost" }, now);
    const message = "Uncommitted changes, as they were when the agent started\n";
    const commit = await git.text(inMirror(git, repository, "commit-tree", tree, "-p", head, "-F", "-"), { env: identity, input: message });
    return { base: commit ?? head, notIncluded: splitNul(missed.stdout) };
  } finally {
    await rm(index, { force: true });
    await rm(`${index}.lock`, { force: true });
  }
}

const quotedForAlternates = (path: string): string => (/[:"\\]/.test(path) ? `"${path.replace(/["\\]/g, "\\$&")}"` : path);

/**
 * A repository that borrows the mirror's objects, or owns copies of them; never hard links, never a remote. The agent commits as
 * the person, and its git never packs away what it borrows.
 */
async function initialise(
  git: Git,
  personHome: string,
  repository: Repository,
  clone: string,
  start: { branch: string; at: string; shared: boolean },
): Promise<void> {
  const person = await personIdentity(git, personHome, repository);
  const quote = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const user = `[user]\n\tname = ${quote(person.name)}\n\temail = ${quote(person.email)}\n`;
  const gitDir = join(clone, ".git");
  await layOutRepository(git, repository, gitDir, {
    bare: false,
    config: `${user}[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n`,
    head: `refs/heads/${start.branch}`,
    refs: { ...(await baseBranchRef(git, repository, start.branch)), [`refs/heads/${start.branch}`]: start.at },
    shared: start.shared,
  });
  if (start.shared) return;
  const isWhole = (file: string) => !/\/tmp_[^/]*$/.test(file);
  await cp(objectsPath(git, repository), join(gitDir, "objects"), { recursive: true, filter: isWhole });
}

/** The agent can compare with the base branch by its name, where the two names can stand beside each other. */
async function baseBranchRef(git: Git, repository: Repository, branch: string): Promise<Record<string, string>> {
  const { baseBranch } = repository;
  if (`${branch}/`.startsWith(`${baseBranch}/`) || baseBranch.startsWith(`${branch}/`)) return {};
  const name = `refs/heads/${baseBranch}`;
  const head = await git.text(inMirror(git, repository, "rev-parse", "--quiet", "--verify", `${name}^{commit}`));
  return head === null ? {} : { [name]: head };
}

/**
 * The first snapshot need not read what the checkout has just written: git's own record of the unchanged files, taken before
 * any agent could touch it. (50,000 files: 10 s become 1 s.) The time of the record is a part of what it says.
 */
async function handIndexToBench(index: string, places: SessionPlaces): Promise<void> {
  await mkdir(dirname(places.bench), { recursive: true, mode: 0o700 });
  await copyFile(index, places.keptIndex);
  const { atime, mtime } = await stat(index);
  await utimes(places.keptIndex, atime, mtime);
}

/** Throws AppError not_found when the session has no clone. */
export async function requireClone(places: SessionPlaces, session: string): Promise<void> {
  if (!(await checkCloneFolder(places))) throw notFound("workspace of session", session);
}

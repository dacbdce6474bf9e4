import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import { layOutRepository } from "./empty.ts";
import { faultsOf } from "./faults.ts";
import { type Git, GitError } from "./git.ts";
import {
  branchHead,
  hasCommit,
  inMirror,
  isContained,
  knownObjects,
  mirrorPath,
  objectsPath,
  refreshMirror,
  removeLeftovers,
  requireCommit,
} from "./mirror.ts";
import { checkCommit } from "./names.ts";
import { offenders, reasonIn } from "./snapshot.ts";
import type { Repository } from "./workspace.ts";

/**
 * A commit that was made in one home becomes usable in another one, which shares no disk with it: as a pack, a git bundle (any git
 * can read it) of the commit without what the project's base branch has. What every home can fetch from the person's
 * repository is not carried; the commits where the two meet are the bundle's prerequisites. The base branch alone counts: other
 * branches come and go, our own (`tutti/*`) first of all. A chain of steps over several homes therefore needs only its last pack.
 */
const bundleRef = "refs/tutti/pack";
/** About 20,000 prerequisites: a branch meets its base in one or two places. */
const maxHeaderBytes = 1024 ** 2;

/** In the mirror: the commit as it came, kept for good. */
export const packRef = (commit: string): string => `refs/tutti/packs/${checkCommit(commit)}`;

/**
 * The commit as bytes, or null when the base branch has it already: then every home gets it from the person's repository.
 * Throws AppError not_found when the mirror does not have it; while it is read too_large, or what git says.
 */
export async function packCommit(
  git: Git,
  { repository, commit, signal }: { repository: Repository; commit: string; signal?: AbortSignal },
): Promise<AsyncIterable<Uint8Array> | null> {
  await requireCommit(git, repository, commit);
  const base = await git.text(
    inMirror(git, repository, "rev-parse", "--quiet", "--verify", `refs/heads/${repository.baseBranch}^{commit}`),
  );
  const listed = await git.run(inMirror(git, repository, "rev-list", "--boundary", commit, ...(base === null ? [] : [`^${base}`]), "--"), {
    signal,
  });
  const lines = listed.stdout.toString("utf8").split("\n");
  if (!lines.includes(commit)) return null;
  const meeting = lines.filter((line) => line.startsWith("-")).map((line) => line.slice(1));
  return packed(git, repository, { commit, meeting, signal });
}

async function* packed(
  git: Git,
  repository: Repository,
  { commit, meeting, signal }: { commit: string; meeting: string[]; signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(headerOf(commit, meeting), "latin1");
  // One thread, so that the same commit gives the same bytes: they are stored by their hash.
  const args = [
    "-c",
    "pack.threads=1",
    ...inMirror(git, repository, "pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q"),
  ];
  const input = [commit, ...meeting.map((id) => `^${id}`)].map((line) => `${line}\n`).join("");
  yield* git.stream(args, { input, maxBytes: git.limits.snapshotBytes, signal });
}

/** `git help format-bundle`; version 3 is for repositories with SHA-256. */
export function headerOf(commit: string, prerequisites: readonly string[]): string {
  const version = commit.length === 40 ? "# v2 git bundle\n" : "# v3 git bundle\n@object-format=sha256\n";
  return `${version}${prerequisites.map((id) => `-${id}\n`).join("")}${commit} ${bundleRef}\n\n`;
}

/** The prerequisites in a header that is exactly as we write it for this commit. Throws AppError check_failed. */
export function readHeader(header: string, commit: string): string[] {
  const prerequisites = header.split("\n").flatMap((line) => (line.startsWith("-") ? [line.slice(1)] : []));
  const own = prerequisites.every((id) => id.length === commit.length && /^[0-9a-f]+$/.test(id));
  if (own && header === headerOf(commit, prerequisites)) return prerequisites;
  throw refused(commit, "its header is not that of a pack of this commit alone");
}

interface UnpackOptions {
  repository: Repository;
  commit: string;
  bytes: AsyncIterable<Uint8Array>;
  /** Runs what needs the mirror to stand still. */
  inLine: <T>(work: () => Promise<T>) => Promise<T>;
  signal?: AbortSignal;
}

/**
 * Takes a pack into the mirror. The bytes are not trusted: whoever can write to the store can forge them. So they come into a
 * quarantine first, a repository of their own that is removed in any case, where a confined git checks each object and
 * each link; then the mirror fetches the one commit from there as it fetches from a bench, checked again. What else the bytes
 * may hold never gets into the mirror, and a refusal leaves nothing there.
 *
 * Throws AppError check_failed for bytes that are not a sound pack of this commit, not_found when it builds on something that the
 * person's repository does not have (any more), too_large, timed_out, disk_full.
 */
export async function unpackCommit(git: Git, options: UnpackOptions): Promise<void> {
  const { repository, commit, inLine } = options;
  checkCommit(commit);
  if (await hasCommit(git, repository, commit)) return;
  if (!existsSync(mirrorPath(git, repository))) await inLine(() => refreshMirror(git, repository));
  const folder = join(git.home, "packs");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeLeftovers(folder);
  const quarantine = join(folder, `tmp_${randomUUID()}`);
  try {
    await mkdir(quarantine, { mode: 0o700 });
    const prerequisites = await writeIncoming(git, quarantine, options);
    await requirePrerequisites(git, options, prerequisites);
    await admit(git, quarantine, options, prerequisites);
  } finally {
    await rm(quarantine, { recursive: true, force: true });
  }
}

/** Writes the pack behind the header to a file; answers the header's prerequisites. */
async function writeIncoming(git: Git, quarantine: string, { bytes, commit, signal }: UnpackOptions): Promise<string[]> {
  const { snapshotBytes, confinedMs } = git.limits;
  let prerequisites: string[] | null = null;
  async function* behindHeader(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let head = Buffer.alloc(0);
    let size = 0;
    for await (const chunk of source) {
      size += chunk.byteLength;
      if (size > snapshotBytes + maxHeaderBytes) throw tooLarge(commit, snapshotBytes);
      if (prerequisites) {
        yield chunk;
        continue;
      }
      head = Buffer.concat([head, chunk]);
      const last = head.subarray(0, maxHeaderBytes).indexOf("\n\n");
      if (last === -1 && head.length >= maxHeaderBytes) throw refused(commit, "its header is too long");
      if (last === -1) continue;
      prerequisites = readHeader(head.toString("latin1", 0, last + 2), commit);
      yield head.subarray(last + 2);
    }
  }
  const late = AbortSignal.timeout(confinedMs);
  const arriving = until(signal ? AbortSignal.any([signal, late]) : late, bytes);
  try {
    await writeFile(join(quarantine, "incoming"), behindHeader(arriving), { flag: "wx", mode: 0o600 });
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted)
      throw new AppError("timed_out", `the pack of ${commit} did not arrive within ${confinedMs / 1000} s`, { cause: error });
    throw error;
  }
  if (prerequisites === null) throw refused(commit, "it ends within its header");
  return prerequisites;
}

/** The same bytes; throws the signal's reason as soon as it aborts, also while the next ones never come. */
async function* until(signal: AbortSignal, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reading = bytes[Symbol.asyncIterator]();
  let giveUp: () => void = () => undefined;
  signal.addEventListener("abort", () => giveUp(), { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      // Not Promise.race with one promise for the signal: that one would hold every chunk until it settles.
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        giveUp = () => reject(signal.reason as Error);
        reading.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: what never answers would not answer this either.
    reading.return?.().catch(() => undefined);
  }
}

/** What the pack builds on must be here; the person's repository is asked when it is not. */
async function requirePrerequisites(git: Git, { repository, commit, inLine }: UnpackOptions, prerequisites: string[]): Promise<void> {
  const missing = async () => {
    const known = await knownObjects(git, repository, prerequisites);
    return prerequisites.filter((id) => !known.has(id));
  };
  if ((await missing()).length === 0) return;
  await inLine(() => refreshMirror(git, repository));
  const [first] = await missing();
  if (first === undefined) return;
  throw new AppError("not_found", `commit ${commit} cannot be brought here`, {
    why: `it builds on ${first}, which ${repository.source} does not have: was its ${repository.baseBranch} written anew?`,
    fix: ["run what made it again"],
  });
}

// One confined shell for all, as on the bench. From a file, git also notices what is appended to a pack.
const indexScript = `commit=$1; shift
"$@" index-pack --stdin --fix-thin --strict=skiplist=skip <incoming >index-pack.out && "$@" cat-file commit "$commit" >commit`;

/** Checks in the quarantine, and fetches from there. */
async function admit(
  git: Git,
  quarantine: string,
  { repository, commit, signal }: UnpackOptions,
  prerequisites: readonly string[],
): Promise<void> {
  await layOutRepository(git, repository, quarantine, {
    bare: true,
    config: "",
    head: "refs/heads/none",
    refs: { "refs/heads/result": commit },
    shared: true,
  });
  const objects = objectsPath(git, repository);
  const check = async (skip: readonly string[]) => {
    await writeFile(join(quarantine, "skip"), skip.map((id) => `${id}\n`).join(""));
    const script = { text: indexScript, words: [commit] };
    await git.inside(["git", `--git-dir=${quarantine}`], { script, cwd: quarantine, readable: [objects], writable: [quarantine], signal });
  };
  try {
    await check([]).catch(async (error: unknown) => {
      const known = error instanceof GitError ? await faultsOfBase(git, repository, prerequisites, offenders(error.stderr)) : [];
      if (known.length === 0) throw error;
      await check(known);
    });
    await git.fetchConfined({
      gitDir: mirrorPath(git, repository),
      from: quarantine,
      objects,
      refspecs: [`+refs/heads/result:${packRef(commit)}`],
      signal,
    });
  } catch (error) {
    if (!(error instanceof GitError) || error.code !== "failed") throw error;
    const named = reasonIn(error.stderr);
    throw refused(commit, named === "fsck" ? (error.why ?? "git refuses it") : `git refuses an object of it: ${named}`, error);
  }
}

/** Those of the objects that the person's own branch had, where the pack begins: its old sins are not held against the pack. */
async function faultsOfBase(git: Git, repository: Repository, prerequisites: readonly string[], ids: string[]): Promise<string[]> {
  const head = await branchHead(git, repository, repository.baseBranch);
  const faults = new Set<string>();
  for (const commit of ids.length === 0 ? [] : prerequisites) {
    if (!(await isContained(git, inMirror(git, repository), commit, head))) continue;
    for (const id of await faultsOf(git, repository, commit)) faults.add(id);
  }
  return ids.filter((id) => faults.has(id));
}

const refused = (commit: string, why: string, cause?: unknown): AppError =>
  new AppError("check_failed", `the pack of commit ${commit} was refused`, { why, fix: ["run what made it again"], cause });

const tooLarge = (commit: string, limit: number): AppError =>
  new AppError("too_large", `the pack of commit ${commit} is too large`, { why: `a pack may have at most ${limit} bytes` });

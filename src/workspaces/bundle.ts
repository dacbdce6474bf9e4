import { createWriteStream, existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { AppError, conflict } from "../errors.ts";
import { fetchFlags, type Git, GitError } from "./git.ts";
import { inMirror, mirrorPath } from "./mirror.ts";
import { checkBranch } from "./names.ts";
import type { Repository } from "./workspace.ts";

/**
 * A whole mirror as one stream of bytes, a git bundle of all its refs, and back. For backups: the bytes are as good as the store that
 * lies beside them. One commit of another home, which is not trusted, comes by pack.ts.
 */
export async function bundleMirror(git: Git, repository: Repository): Promise<AsyncIterable<Uint8Array> | null> {
  if (!existsSync(mirrorPath(git, repository))) return null;
  const some = await git.text(inMirror(git, repository, "for-each-ref", "--count=1", "--format=%(refname)"));
  if (!some) return null;
  const args = inMirror(git, repository, "bundle", "create", "--quiet", "-", "--all");
  return git.stream(args, { maxBytes: Infinity, timeoutMs: git.limits.trustedMs });
}

/**
 * Makes the project's mirror of a bundle. Every object is checked on the way in; the mirror appears under its name when it is whole.
 * Throws AppError conflict when there is a mirror already, check_failed for bytes that are no sound bundle.
 */
export async function unbundleMirror(git: Git, repository: Repository, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const mirror = mirrorPath(git, repository);
  if (existsSync(mirror))
    throw conflict(`the mirror of ${repository.project} is there already`, "a mirror is never replaced", [`ls ${mirror}`]);
  const making = `${mirror}.making`;
  const bundle = `${mirror}.bundle`;
  try {
    await rm(making, { recursive: true, force: true });
    await mkdir(join(git.home, "repositories"), { recursive: true, mode: 0o700 });
    await pipeline(bytes, createWriteStream(bundle, { mode: 0o600 }));
    const format = (await git.text(["bundle", "list-heads", "--", bundle]))?.split(/\s/, 1)[0]?.length === 64 ? "sha256" : "sha1";
    await git.run(["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", making]);
    await git.run(["-c", "fetch.fsckObjects=true", `--git-dir=${making}`, "fetch", ...fetchFlags, "--", bundle, "+refs/*:refs/*"]);
    await git.run([`--git-dir=${making}`, "symbolic-ref", "HEAD", `refs/heads/${checkBranch(repository.baseBranch)}`]);
    await rename(making, mirror);
  } catch (error) {
    if (!(error instanceof GitError) || error.code === "disk_full") throw error;
    throw new AppError("check_failed", `the bundle of ${repository.project} cannot be taken`, {
      why: error.why ?? undefined,
      cause: error,
    });
  } finally {
    await rm(making, { recursive: true, force: true });
    await rm(bundle, { force: true });
  }
}

/** Those of the commits that the mirror does not have with all that they are made of, as far as one look at each tells. */
export async function missingCommits(git: Git, repository: Repository, commits: readonly string[]): Promise<string[]> {
  if (!existsSync(mirrorPath(git, repository))) return [...commits];
  const input = commits.map((commit) => `${commit}^{commit}\n`).join("");
  const { stdout } = await git.run(inMirror(git, repository, "cat-file", "--batch-check=%(objectname)"), { input });
  return stdout
    .toString("utf8")
    .split("\n")
    .flatMap((line, index) => (line.endsWith(" missing") ? (commits[index] ?? []) : []));
}

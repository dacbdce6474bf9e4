import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, lstat, mkdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { AppError } from "../errors.ts";
import type { Git } from "./git.ts";
import { inMirror, inSource } from "./mirror.ts";
import { checkBranch, plainPath, splitNul } from "./names.ts";
import type { Repository } from "./workspace.ts";

/**
 * `.worktreeinclude`: files that are not committed but that the work needs (`.env`, local settings), named by patterns in
 * gitignore's syntax. The patterns are those of the base branch as committed, never those of an agent's commit that another
 * agent starts from: an agent must not choose which of the person's private files are copied. Only files inside the source
 * are copied; a symbolic link that leads out of it is not followed. Resolves to the copied paths.
 */
export async function copyIncluded(git: Git, repository: Repository, clone: string): Promise<string[]> {
  const file = `refs/heads/${checkBranch(repository.baseBranch)}:.worktreeinclude`;
  const patterns = await git.run(inMirror(git, repository, "cat-file", "blob", file), { ok: [128], maxBytes: 1024 ** 2 });
  if (patterns.code !== 0) return [];
  const candidates = await listMatching(git, repository, patterns.stdout);
  const top = await realpath(repository.source);
  const copied: string[] = [];
  let left = git.limits.includeBytes;
  for (const path of candidates) {
    const from = await insideOf(top, path);
    if (from === null) continue;
    left -= (await stat(from)).size;
    if (left < 0) throw tooMuch(git.limits.includeBytes);
    if (await copyInto(clone, path, from)) copied.push(path);
  }
  return copied;
}

async function listMatching(git: Git, repository: Repository, patterns: Buffer): Promise<string[]> {
  const folder = join(git.home, "tmp");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${randomUUID()}.include`);
  await writeFile(file, patterns, { mode: 0o600 });
  try {
    const flags = ["-z", "--others", "--ignored", `--exclude-from=${file}`];
    const end = await git.run(inSource(repository, "ls-files", ...flags));
    return splitNul(end.stdout).filter((path) => plainPath(path) !== null && !path.includes("\n"));
  } finally {
    await rm(file, { force: true });
  }
}

/** The regular file that a path of the source stands for, when it lies inside the source. */
async function insideOf(top: string, path: string): Promise<string | null> {
  const real = await realpath(join(top, path)).catch(() => null);
  if (real === null || !real.startsWith(top + sep) || real.startsWith(join(top, ".git") + sep)) return null;
  return (await stat(real)).isFile() ? real : null;
}

/** Never over a file that is there, and never through a symbolic link that the commit has where the source has a folder. */
async function copyInto(clone: string, path: string, from: string): Promise<boolean> {
  const folders = dirname(path) === "." ? [] : dirname(path).split("/");
  let at = clone;
  for (const folder of folders) {
    at = join(at, folder);
    const kind = await lstat(at).catch(() => null);
    if (kind === null) await mkdir(at);
    else if (!kind.isDirectory()) return false;
  }
  try {
    await copyFile(from, join(clone, path), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

const tooMuch = (limit: number): AppError =>
  new AppError("too_large", "the files of .worktreeinclude are too large to be copied", {
    why: `together they have more than ${limit} bytes`,
    fix: ["make the patterns of .worktreeinclude narrower"],
  });

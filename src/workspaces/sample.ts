import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "../errors.ts";
import { runCommand } from "./command.ts";

/**
 * Makes the tour's sample repository: a copy of `from` at `to` with one commit on main. `path` is where git is found. It is
 * built under another name and renamed when it is complete; what is there already stays as it is. Resolves to `to`.
 * Throws AppError failed when git is missing or `from` cannot be read.
 */
export async function makeSampleRepository({ from, to, path }: { from: string; to: string; path: string }): Promise<string> {
  if (existsSync(to)) return to;
  const making = `${to}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await readdir(from).catch((cause: Error) => {
    throw new AppError("failed", "the sample of the tour is missing", { why: cause.message, cause });
  });
  await cp(from, making, { recursive: true });
  const git = async (...args: string[]): Promise<void> => {
    const end = await runCommand({
      argv: ["git", "-c", "core.hooksPath=/dev/null", "-C", making, ...args],
      cwd: making,
      env: { PATH: path, HOME: "/dev/null", LC_ALL: "C", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", ...identity },
      timeoutMs: 60_000,
      maxBytes: 1024 ** 2,
      whenFull: "fail",
    });
    if (end.code !== 0) throw new AppError("failed", "the sample repository could not be made", { why: end.stderr.trim() });
  };
  await git("init", "--quiet", "--template=", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--no-gpg-sign", "--message=A small sample with two bugs");
  await rename(making, to);
  return to;
}

const identity = {
  GIT_AUTHOR_NAME: "Tutti user",
  GIT_AUTHOR_EMAIL: "tutti@localhost",
  GIT_COMMITTER_NAME: "Tutti user",
  GIT_COMMITTER_EMAIL: "tutti@localhost",
};

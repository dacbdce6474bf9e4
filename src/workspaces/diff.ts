import { AppError } from "../errors.ts";
import type { Git } from "./git.ts";
import { inMirror, requireCommit } from "./mirror.ts";
import { plainPath } from "./names.ts";
import type { Repository } from "./workspace.ts";

const defaultDiffBytes = 1024 ** 2;
const maxFileBytes = 1024 ** 2;

/** A unified diff between two commits of the mirror; no program that attributes name can run. A longer one ends with a line that says so. */
export async function diffCommits(
  git: Git,
  repository: Repository,
  options: { from: string; to: string; maxBytes?: number },
): Promise<string> {
  const maxBytes = options.maxBytes ?? defaultDiffBytes;
  const from = await requireCommit(git, repository, options.from);
  const to = await requireCommit(git, repository, options.to);
  const flags = ["-r", "-p", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short"];
  const end = await git.run(inMirror(git, repository, "diff-tree", ...flags, from, to), { maxBytes, whenFull: "cut" });
  if (!end.cut) return end.stdout.toString("utf8");
  const lastLine = end.stdout.lastIndexOf("\n");
  return `${end.stdout.subarray(0, lastLine + 1).toString("utf8")}\\ The diff is longer than ${maxBytes} bytes and ends here.\n`;
}

/** The text of a file, or null where the commit has no file of this name (a folder, a link and a submodule are none). Throws too_large over 1 MB. */
export async function readCommittedFile(git: Git, repository: Repository, commit: string, path: string): Promise<string | null> {
  await requireCommit(git, repository, commit);
  if (plainPath(path) === null) return null;
  const env = { GIT_LITERAL_PATHSPECS: "1" };
  const entry = await git.text(inMirror(git, repository, "ls-tree", "-z", "-l", "--full-tree", commit, "--", path), { env });
  const [, id, size] = /^100\d{3} blob ([0-9a-f]+) +(\d+)\t/.exec(entry ?? "") ?? [];
  if (id === undefined) return null;
  if (Number(size) > maxFileBytes) {
    throw new AppError("too_large", `${path} is too large to be shown`, { why: `it has ${size} bytes, the limit is ${maxFileBytes}` });
  }
  return (await git.run(inMirror(git, repository, "cat-file", "blob", id))).stdout.toString("utf8");
}

import type { Git } from "./git.ts";
import { inMirror } from "./mirror.ts";
import { splitNul } from "./names.ts";
import type { Repository } from "./workspace.ts";

// .gitmodules, .gitattributes and the like, also as short names of Windows: what git itself reads, and so checks.
const readByGit = /^(?:\.git|git[a-z0-9]{1,4}~)/i;

/**
 * Objects of a commit for which git's checks cannot be held against whoever builds on it: its folders, and its files of the names that
 * the checks are about. A file of another name is none of them: else an attack could be stored under a harmless name first.
 */
export async function faultsOf(git: Git, repository: Repository, commit: string): Promise<Set<string>> {
  const tree = await git.run(inMirror(git, repository, "ls-tree", "-r", "-t", "-z", "--full-tree", commit));
  const known = splitNul(tree.stdout, "latin1").filter((line) => {
    const [about = "", path = ""] = line.split("\t", 2);
    return about.includes(" tree ") || readByGit.test(path.slice(path.lastIndexOf("/") + 1));
  });
  return new Set(known.map((line) => line.split(/[ \t]/)[2] ?? ""));
}

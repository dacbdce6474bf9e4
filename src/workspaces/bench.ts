import { existsSync } from "node:fs";
import { lstat, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CommandEnd } from "./command.ts";
import { readFacts, type SessionPlaces } from "./clone.ts";
import { layOutRepository } from "./empty.ts";
import type { Git, InsideOptions } from "./git.ts";
import { objectsPath } from "./mirror.ts";
import { checkCommit, excludeLine } from "./names.ts";
import type { Repository } from "./workspace.ts";

/**
 * The bench: a small bare repository per session, `$TUTTI_HOME/snapshots/<session>`, between the clone and the mirror. What
 * comes out of a clone arrives here first, by a confined git that sees the clone (read-only), the mirror's objects (read-only)
 * and this folder, and nothing else. Only then does the mirror fetch the finished result from here, through the confined
 * upload-pack, with every object checked again. So no command ever holds both what an agent writes and the mirror's refs,
 * and what an attack leaves half done lies here, where it is wiped.
 *
 * Its index is kept from turn to turn: it remembers which files are unchanged, so that a large tree is not read again.
 */
export interface Bench {
  readonly folder: string;
  readonly session: SessionPlaces;
  /** git on the bench, confined; the work tree is the clone or a folder below it. */
  git(args: readonly string[], options?: BenchOptions): Promise<CommandEnd>;
  /** Makes `refs/heads/result`: a commit of the index on top of `parent`, or (message null) the parent itself. */
  finish(parent: string, message: string | null, options: BenchOptions): Promise<{ commit: string; strays: { id: string; ref: string }[] }>;
  /** find in the clone, which it may change. Exit code 1 (a folder that cannot be read, a file that went away) is an answer. */
  find(args: readonly string[], signal?: AbortSignal): Promise<CommandEnd>;
  /** While `work` runs, files are taken byte by byte, whatever the tree's attributes say. */
  withoutConversions<T>(work: () => Promise<T>): Promise<T>;
  /** A file with objects that the checks of `git fetch` pass over. */
  readonly skipList: string;
}

export interface BenchOptions extends Omit<InsideOptions, "readable" | "writable" | "cwd" | "script"> {
  workTree?: string;
  /** The work tree by default. */
  cwd?: string;
  /** The name of the index within the bench. */
  index?: string;
}

// One confined shell for four gits: starting the confinement costs more than what each of them does. "$@" is git with its options.
const finishScript = `parent=$1; changed=$2; shift 2
commit=$parent
if [ "$changed" = yes ]; then
  tree=$("$@" write-tree) && commit=$("$@" commit-tree "$tree" -p "$parent" -F -) || exit 1
fi
"$@" update-ref refs/heads/result "$commit" && echo "$commit" &&
exec "$@" for-each-ref --no-merged="$commit" "--format=%(objectname) %(refname)" refs/incoming/`;

/** `base`: a commit of the mirror that the bench starts from (its `refs/base`). */
export async function openBench(git: Git, repository: Repository, places: SessionPlaces, base: string): Promise<Bench> {
  const folder = places.bench;
  await layOut(git, repository, places, base);
  return {
    folder,
    session: places,
    git: (args, { workTree = places.work, cwd = workTree, index = "index", ...options } = {}) =>
      git.inside(["git", `--git-dir=${folder}`, `--work-tree=${workTree}`, ...args], {
        ...options,
        cwd,
        env: { ...options.env, GIT_INDEX_FILE: join(folder, index) },
        readable: [places.work, objectsPath(git, repository)],
        writable: [folder],
      }),
    async finish(parent, message, options) {
      const end = await git.inside(["git", `--git-dir=${folder}`], {
        ...options,
        input: message ?? "",
        script: { text: finishScript, words: [parent, message === null ? "no" : "yes"] },
        env: { ...options.env, GIT_INDEX_FILE: join(folder, "index") },
        readable: [objectsPath(git, repository)],
        writable: [folder],
      });
      const [commit = "", ...lines] = end.stdout.toString("utf8").trim().split("\n");
      const strays = lines.map((line) => ({ id: line.slice(0, line.indexOf(" ")), ref: line.slice(line.indexOf(" ") + 1) }));
      return { commit: checkCommit(commit), strays };
    },
    find: (args, signal) =>
      git.inside(["find", ".", ...args], { cwd: places.work, readable: [], writable: [places.work], ok: [1], signal }),
    async withoutConversions(work) {
      const attributes = join(folder, "info", "attributes");
      await writeFile(attributes, "* -text -working-tree-encoding -ident -filter\n", { flag: "wx" });
      try {
        return await work();
      } finally {
        await rm(attributes, { force: true });
      }
    },
    skipList: join(folder, "skip"),
  };
}

/** Everything but the index is new each time: refs, objects and configuration of an earlier turn are not looked at again. */
async function layOut(git: Git, repository: Repository, places: SessionPlaces, base: string): Promise<void> {
  const { bench } = places;
  const kept = places.keptIndex;
  const index = await lstat(join(bench, "index")).catch(() => null);
  if (index?.isFile()) await rename(join(bench, "index"), kept);
  await rm(bench, { recursive: true, force: true });
  await layOutRepository(git, repository, bench, {
    bare: true,
    config: "",
    head: "refs/heads/none",
    refs: { "refs/base": base },
    shared: true,
  });
  await writeFile(join(bench, "skip"), "");
  // The clone's own exclude file counts for nothing. Ours names the person's private files that were copied into the clone.
  const included = (await readFacts(places))?.included ?? [];
  await writeFile(join(bench, "info", "exclude"), included.map((path) => `${excludeLine(path)}\n`).join(""));
  if (existsSync(kept)) await rename(kept, join(bench, "index"));
}

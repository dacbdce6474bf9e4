import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";

/** A symbolic link that was passed on the way: where it lies (itself without links) and what it says. */
export interface Link {
  at: string;
  to: string;
}

export interface Followed {
  real: string;
  links: Link[];
}

// The kernel's own limit (ELOOP).
const linkLimit = 40;

/**
 * Walks an absolute path name by name, as the kernel does, and tells which symbolic links it passed.
 * `realpath` would hide them, and a link in a place that an agent can write must never decide what its sandbox shows.
 * null when the path does not exist, loops, or cannot be looked at.
 */
export function follow(path: string): Followed | null {
  const links: Link[] = [];
  const names = path.split("/");
  let current = "/";
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      current = dirname(current);
      continue;
    }
    const at = join(current, name);
    const to = linkTarget(at);
    if (to === undefined) return null;
    if (to === null) {
      current = at;
      continue;
    }
    if (links.push({ at, to }) > linkLimit) return null;
    if (to.startsWith("/")) current = "/";
    names.unshift(...to.split("/"));
  }
  return { real: current, links };
}

/** What the link says; null when it is no link; undefined when there is nothing. */
function linkTarget(path: string): string | null | undefined {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return undefined;
    return stat.isSymbolicLink() ? readlinkSync(path) : null;
  } catch {
    // Not a folder on the way, or not allowed: for us the same as not there.
    return undefined;
  }
}

/** Whether `path` is `folder` or lies below it. Both absolute and without links. */
export const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);

/** The real paths of those that exist, each once. */
export function realPaths(paths: Iterable<string>): string[] {
  const real = new Set<string>();
  for (const path of paths) {
    const found = follow(path);
    if (found && existsSync(found.real)) real.add(found.real);
  }
  return [...real];
}

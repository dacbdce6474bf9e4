import { mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openWorkspaces as openClones, type OpenOptions } from "../../src/workspaces/open.ts";
import type { Repository, Workspaces } from "../../src/workspaces/workspace.ts";

export const plainPrefix = "plain-";

const isPlain = ({ project }: Repository): boolean => project.startsWith(plainPrefix);

/** The product's workspaces; a project called so works in plain folders, from which nothing is taken back. */
export async function openWorkspaces(options: OpenOptions): Promise<Workspaces> {
  const clones = await openClones(options);
  const head = "0".repeat(40);
  return {
    ...clones,
    refresh: async (repository) => (isPlain(repository) ? { head, mirror: "" } : await clones.refresh(repository)),
    has: async (repository, commit) => isPlain(repository) || (await clones.has(repository, commit)),
    readable: (repository) => (isPlain(repository) ? [] : clones.readable(repository)),
    readFile: async (given) => (isPlain(given.repository) ? null : await clones.readFile(given)),
    author: async (repository) =>
      isPlain(repository) ? { name: "Ada Example", email: "ada@example.org" } : await clones.author(repository),
    async open(given) {
      if (!isPlain(given.repository)) return await clones.open(given);
      const folder = join(options.home, "sessions", given.session);
      const [path, home] = [join(folder, "work"), join(folder, "home")];
      const existed = existsSync(path);
      for (const place of [path, home]) await mkdir(place, { recursive: true, mode: 0o700 });
      return { path, home, base: given.base ?? head, branch: given.branch, notIncluded: [], existed };
    },
    async snapshot(given) {
      if (!isPlain(given.repository)) return await clones.snapshot(given);
      return { commit: null, ref: `refs/tutti/${given.session}/${given.turn}`, files: [] };
    },
  };
}

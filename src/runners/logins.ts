import { lstat, mkdir, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Agent } from "../agents/agent.ts";
import { loginFolders, presetNamed } from "../agents/backends/presets/table.ts";

/** What an agent's session sees of the person's own logins. */
export interface LoginMounts {
  /** Folders of the person's home, at their own paths, visible and writable in the agent's sandbox: programs renew their logins there. */
  writable: string[];
  /** `from`, below the session's home, is to be a symbolic link to `to`. */
  links: { from: string; to: string }[];
}

/**
 * The login folders of an agent's program, as far as the person has them; nothing unless the agent's settings say `credentials:
 * vendor` and name a preset. Never copied: a copy that is renewed signs the person out.
 */
export function loginMounts({ settings }: Pick<Agent, "settings">, personHome: string): LoginMounts {
  const writable = settings.credentials === "vendor" && settings.preset !== undefined ? loginFolders(settings.preset, personHome) : [];
  return { writable, links: writable.map((to) => ({ from: relative(personHome, to), to })) };
}

/**
 * Makes the links in a session's home, and takes away those that the agent's settings no longer give. The home belongs to the
 * agent, which may have left links of its own there: what is no plain folder on the way is removed, so that nothing is made or
 * removed through a link. No process of the session runs at that time.
 */
export async function linkLogins({ settings }: Pick<Agent, "settings">, home: string, { links }: LoginMounts): Promise<void> {
  for (const from of presetNamed(settings.preset)?.login ?? []) {
    const to = links.find((link) => link.from === from)?.to;
    const place = join(home, from);
    await makePlainFolders(home, dirname(from));
    const found = await lstat(place).catch(() => null);
    if (to === undefined && !found?.isSymbolicLink()) continue;
    await rm(place, { recursive: true, force: true });
    if (to !== undefined) await symlink(to, place);
  }
}

async function makePlainFolders(home: string, path: string): Promise<void> {
  let folder = home;
  for (const name of path.split("/")) {
    folder = join(folder, name);
    const found = await lstat(folder).catch(() => null);
    if (found?.isDirectory()) continue;
    if (found) await rm(folder);
    await mkdir(folder, { mode: 0o700 });
  }
}

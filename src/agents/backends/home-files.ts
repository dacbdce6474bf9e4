import { constants } from "node:fs";
import { lstat, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { HomeFile } from "./presets/preset.ts";

/**
 * Writes the files that a program reads into a session's home. The home belongs to the agent, which may have left links there in
 * an earlier turn: whatever is no plain folder on the way is removed, and the file is made anew, so that nothing is written
 * through a link. No process of the session runs at that time.
 */
export async function writeHomeFiles(home: string, files: readonly HomeFile[]): Promise<void> {
  for (const file of files) await writeHomeFile(home, file);
}

async function writeHomeFile(home: string, { path, text }: HomeFile): Promise<void> {
  const names = path.split("/");
  const last = names.pop() ?? "";
  let folder = home;
  for (const name of names) {
    folder = join(folder, name);
    const found = await lstat(folder).catch(() => null);
    if (found?.isDirectory()) continue;
    if (found) await rm(folder);
    await mkdir(folder, { mode: 0o700 });
  }
  const target = join(folder, last);
  await rm(target, { recursive: true, force: true });
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const handle = await open(target, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
}

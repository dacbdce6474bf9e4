import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, writeSecretFile } from "../secret-file.ts";

/**
 * The secrets of channels: each in a file of its own that never changes, named by its channel's row. A row that is not committed
 * leaves a file that no row names; it is swept up later.
 */
const folderOf = (home: string): string => join(home, "channel-keys");

/** For the server alone (0600 in a folder of 0700); on disk when it resolves. Answers the name for the row. */
export async function writeSecret(home: string, secret: string): Promise<string> {
  const keyName = crypto.randomUUID();
  await mkdir(folderOf(home), { recursive: true, mode: 0o700 });
  await writeSecretFile(join(folderOf(home), keyName), `${secret}\n`);
  return keyName;
}

/** null when it is not on this machine. For the server's own use: the answer goes to no caller. */
export const readKept = async (home: string, keyName: string): Promise<string | null> =>
  (await readIfThere(join(folderOf(home), keyName)))?.trim() || null;

/** Harmless when it is gone already. */
export const removeSecret = (home: string, keyName: string): Promise<void> => rm(join(folderOf(home), keyName), { force: true });

/** Younger files may belong to a row that is being written. */
const youngMs = 600_000;

/** Removes the files that no row names any more. */
export async function sweepSecrets(home: string, named: readonly string[]): Promise<void> {
  await mkdir(folderOf(home), { recursive: true, mode: 0o700 });
  for (const keyName of await readdir(folderOf(home))) {
    if (named.includes(keyName)) continue;
    const { mtimeMs } = await stat(join(folderOf(home), keyName));
    if (Date.now() - mtimeMs > youngMs) await removeSecret(home, keyName);
  }
}

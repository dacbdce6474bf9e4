import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readIfThere, writeSecretFile } from "../secret-file.ts";

/** How the command line finds the running server. It holds a token: only its owner may read it. */
export const ServerFile = z.object({ url: z.string(), token: z.string(), pid: z.int().positive(), version: z.string() });
export type ServerFile = z.infer<typeof ServerFile>;

const pathOf = (home: string): string => join(home, "server.json");

/** Writes `$home/server.json` (mode 0600) whole or not at all. */
export const writeServerFile = (home: string, file: ServerFile): Promise<void> =>
  writeSecretFile(pathOf(home), `${JSON.stringify(file, null, 2)}\n`);

/** The server of this home, or null when there is none: no file, a damaged one, or its process is gone (killed before it could tidy up). */
export async function readServerFile(home: string): Promise<ServerFile | null> {
  const file = parse(await readIfThere(pathOf(home)));
  return file && processAlive(file.pid) ? file : null;
}

/** Removes the file when it is the one that process `pid` wrote; a newer server's file stays. */
export async function removeServerFile(home: string, pid: number): Promise<void> {
  const file = parse(await readIfThere(pathOf(home)));
  if (file?.pid === pid) await rm(pathOf(home), { force: true });
}

function parse(text: string | null): ServerFile | null {
  if (text === null) return null;
  try {
    return ServerFile.parse(JSON.parse(text));
  } catch {
    // A damaged file says nothing about a server; the next start replaces it.
    return null;
  }
}

/** Whether a process with this id is there. */
export function processAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives when we only may not signal it.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

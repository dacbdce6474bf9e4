import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { notFound } from "../../errors.ts";
import { readIfThere, writeSecretFile } from "../../secret-file.ts";

/**
 * The token that a program's bridge comes with lies in $TUTTI_HOME/mcp (mode 0600) and nowhere else: the program's own settings
 * only name it (`tutti mcp --as claude`).
 */
export const tokenFile = (home: string, name: string): string => join(home, "mcp", `${name}.token`);

/** Throws AppError not_found when none was made. */
export async function readToken(home: string, name: string): Promise<string> {
  const text = await findToken(home, name);
  if (text === null) throw notFound("the token of", name, [`tutti mcp install ${name}`]);
  return text;
}

export async function findToken(home: string, name: string): Promise<string | null> {
  if (!/^[a-z0-9-]{1,50}$/.test(name)) return null;
  return (await readIfThere(tokenFile(home, name)))?.trim() || null;
}

export async function writeToken(home: string, name: string, text: string): Promise<void> {
  await mkdir(dirname(tokenFile(home, name)), { recursive: true, mode: 0o700 });
  await writeSecretFile(tokenFile(home, name), `${text}\n`);
}

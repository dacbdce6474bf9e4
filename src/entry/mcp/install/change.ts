import { copyFile, constants, mkdir, open, realpath, rename, rm, stat } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { conflict } from "../../../errors.ts";
import { readIfThere } from "../../../secret-file.ts";

/** One change of another program's file: shown first, then written whole or not at all, with the old text kept beside it. */
export interface Change {
  /** The file itself, behind any links. */
  path: string;
  /** null for a file that is not there yet. */
  before: string | null;
  after: string;
}

/** What a person is shown: the lines that go and come, with two lines around them. */
export function shown({ path, before, after }: Change): string {
  const [old, fresh] = [linesOf(before ?? ""), linesOf(after)];
  let same = 0;
  while (same < old.length && same < fresh.length && old[same] === fresh[same]) same += 1;
  let tail = 0;
  while (tail < old.length - same && tail < fresh.length - same && old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]) tail += 1;
  const from = Math.max(0, same - 2);
  const around = (line: string): string => ` ${line}`;
  return [
    `--- ${before === null ? "(not there yet)" : path}`,
    `+++ ${path}`,
    `@@ line ${from + 1} @@`,
    ...old.slice(from, same).map(around),
    ...old.slice(same, old.length - tail).map((line) => `-${line}`),
    ...fresh.slice(same, fresh.length - tail).map((line) => `+${line}`),
    ...fresh.slice(fresh.length - tail, fresh.length - tail + 2).map(around),
  ].join("\n");
}

const linesOf = (text: string): string[] => (text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/));

/** Where a file really lies, so that a link of a person's own stays a link. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return path;
    throw error;
  }
}

/** Writes the change; answers where the old text is kept. Throws AppError conflict when the file is another one than was shown. */
export async function apply({ path, before, after }: Change): Promise<string | null> {
  if ((await readIfThere(path)) !== before) throw conflict(`${path} has changed meanwhile`, "another program wrote it", ["try again"]);
  await mkdir(dirname(path), { recursive: true });
  const backup = before === null ? null : await keep(path);
  const mode = before === null ? 0o600 : (await stat(path)).mode & 0o777;
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.chmod(mode);
      await file.writeFile(after);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return backup;
}

/** An earlier backup is never written over. */
async function keep(path: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const backup = `${path}.before-tutti${number === 1 ? "" : `-${number}`}`;
    try {
      await copyFile(path, backup, constants.COPYFILE_EXCL);
      return backup;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

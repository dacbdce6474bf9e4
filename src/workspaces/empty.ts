import { existsSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Git } from "./git.ts";
import { mirrorPath, objectFormat, objectsPath } from "./mirror.ts";
import type { Repository } from "./workspace.ts";

interface Empty {
  bare: boolean;
  /** Configuration beside the necessary one. */
  config: string;
  /** The full name of the branch that HEAD names. */
  head: string;
  /** Full names of refs and their commits. */
  refs: Record<string, string>;
  /** Whether it uses the mirror's objects where they are. */
  shared: boolean;
}

/** The files of an empty repository of the mirror's kind, in a folder that does not exist yet: what `git init` would do, without a process. */
export async function layOutRepository(git: Git, repository: Repository, gitDir: string, empty: Empty): Promise<void> {
  for (const folder of ["objects/info", "objects/pack", "refs/heads", "info"]) {
    await mkdir(join(gitDir, folder), { recursive: true, mode: 0o700 });
  }
  const format = await objectFormat(git, repository);
  const extension = format === "sha1" ? "" : `[extensions]\n\tobjectFormat = ${format}\n`;
  const version = format === "sha1" ? 0 : 1;
  await writeFile(
    join(gitDir, "config"),
    `[core]\n\trepositoryformatversion = ${version}\n\tbare = ${empty.bare}\n${extension}${empty.config}`,
  );
  await writeFile(join(gitDir, "HEAD"), `ref: ${empty.head}\n`);
  if (empty.shared) await writeFile(join(gitDir, "objects/info/alternates"), `${objectsPath(git, repository)}\n`);
  for (const [name, commit] of Object.entries(empty.refs)) {
    await mkdir(dirname(join(gitDir, name)), { recursive: true });
    await writeFile(join(gitDir, name), `${commit}\n`);
  }
  const shallow = join(mirrorPath(git, repository), "shallow");
  if (existsSync(shallow)) await copyFile(shallow, join(gitDir, "shallow"));
}

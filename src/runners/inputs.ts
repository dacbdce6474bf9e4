import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { inputAddress } from "../artifacts/artifact.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import { inputsFolder, type Attempt } from "./attempt.ts";

/** The large results that an attempt is given, as files. */
export interface Inputs {
  /** The same text with paths in the place of the files' addresses. */
  fill(text: string): string;
  fillAll(texts: Record<string, string>): Record<string, string>;
  /** The files are gone when it resolves. */
  remove(): Promise<void>;
}

/**
 * Writes the artifacts that the attempt's work is given into the session's inputs folder, which the sandbox shows read-only. They are
 * copies: where there is no sandbox, what is done to them does nothing to the artifacts. Throws AppError as Artifacts.open does.
 */
export async function placeInputs({ assignment, tools, signal }: Attempt, workspace: Workspace): Promise<Inputs> {
  const ids = assignment.spec.inputs ?? [];
  const folder = inputsFolder(workspace);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  // An attempt that was killed may have left some, and some of those half written.
  await remove();
  if (ids.length > 0) await mkdir(folder, { mode: 0o700 });
  for (const id of ids) {
    await pipeline(tools.artifacts.open(id), createWriteStream(join(folder, id), { flags: "wx", mode: 0o400 }), { signal });
  }
  const fill = (text: string): string => ids.reduce((filled, id) => filled.replaceAll(inputAddress(id), () => join(folder, id)), text);
  return {
    fill,
    fillAll: (texts) => Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fill(text)])),
    remove,
  };
}

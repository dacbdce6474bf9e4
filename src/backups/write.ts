import { existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Artifacts } from "../artifacts/artifact.ts";
import { AppError, conflict } from "../errors.ts";
import type { Workspaces } from "../workspaces/workspace.ts";
import { type Backup, type Manifest, notIncluded } from "./backup.ts";
import { writeHashed } from "./hashed-file.ts";
import type { Source } from "./own-connection.ts";
import { readColumn } from "./read.ts";
import type { Snapshot, SnapshotStart } from "./snapshot-thread.ts";
import { runThread } from "./thread.ts";

interface WriteOptions {
  source: Source;
  /** The folder that is made. */
  to: string;
  artifacts: Artifacts;
  workspaces: Workspaces;
  version: string;
  signal?: AbortSignal;
}

/**
 * Writes a backup of a store that goes on working. First the tables, as they were in one moment; then the artifacts and mirrors that
 * their rows name, which only ever grow. The folder has its name when it is whole: what ends in `.writing` is none.
 * Throws AppError conflict when there is such a folder, disk_full, and what its parts throw; then nothing of it is left.
 */
export async function writeBackup(options: WriteOptions): Promise<Backup> {
  const { to, source, version, signal } = options;
  const started = performance.now();
  if (existsSync(to)) throw conflict(`${to} is there already`, "a backup is never written over", [`tutti backup --to ${to}-2`]);
  const folder = `${to}.writing`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const snapshot = await runThread<Snapshot>("./snapshot-thread.ts", { source, folder } satisfies SnapshotStart, signal);
    const artifacts = await writeArtifacts(options, folder, snapshot);
    const mirrors = await writeMirrors(options, folder, snapshot);
    const { at, schema, commits, tables, streams } = snapshot;
    const manifest: Manifest = {
      format: 1,
      version,
      at,
      store: source.kind,
      schema,
      commits,
      tables,
      streams,
      artifacts,
      mirrors,
      notIncluded: [...notIncluded],
    };
    const { bytes, sha256 } = await writeHashed(join(folder, "manifest.json"), once(`${JSON.stringify(manifest, null, 1)}\n`));
    await writeHashed(join(folder, "manifest.sha256"), once(`${sha256}  manifest.json\n`));
    await rename(folder, to);
    await syncFolder(dirname(to));
    return {
      path: to,
      at,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      events: tables.find(({ name }) => name === "events")?.rows ?? 0,
      artifacts: artifacts.count,
      mirrors: mirrors.length,
      bytes: [...tables, ...mirrors].reduce((sum, file) => sum + file.bytes, bytes + artifacts.bytes),
      ms: Math.round(performance.now() - started),
      notIncluded: [...notIncluded],
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Their bytes are hashed on the way: one that is not what its name says is no part of a backup, and is named. */
async function writeArtifacts({ artifacts, signal }: WriteOptions, folder: string, { tables }: Snapshot): Promise<Manifest["artifacts"]> {
  const written = { count: 0, bytes: 0, missing: [] as string[] };
  for await (const id of readColumn(folder, tables, "artifacts", "id")) {
    signal?.throwIfAborted();
    const file = join(folder, artifactFile(id));
    try {
      const { bytes, sha256 } = await writeHashed(file, artifacts.open(id));
      if (sha256 !== id) throw new AppError("check_failed", `the artifact ${id} is damaged`);
      written.count += 1;
      written.bytes += bytes;
    } catch (error) {
      if (!(error instanceof AppError) || !["not_found", "check_failed"].includes(error.code)) throw error;
      await rm(file, { force: true });
      written.missing.push(id);
    }
  }
  return written;
}

export const artifactFile = (id: string): string => `artifacts/${id.slice(0, 2)}/${id}`;

async function writeMirrors({ workspaces, signal }: WriteOptions, folder: string, { projects }: Snapshot): Promise<Manifest["mirrors"]> {
  const mirrors: Manifest["mirrors"] = [];
  for (const { id, source, baseBranch } of projects) {
    signal?.throwIfAborted();
    const bytes = await workspaces.bundle({ project: id, source, baseBranch });
    if (bytes === null) continue;
    const file = `mirrors/${id}.bundle`;
    mirrors.push({ project: id, baseBranch, file, ...(await writeHashed(join(folder, file), bytes)) });
  }
  return mirrors;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

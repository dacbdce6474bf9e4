import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { notFound } from "../errors.ts";
import { type Artifacts, type ArtifactStore, artifactLimits, unreferencedMs } from "./artifact.ts";
import { checkArtifactId, limited } from "./limits.ts";

const incoming = "incoming-";
const leaving = "leaving-";

interface FileOptions {
  /** Of one artifact, in bytes. */
  maxBytes?: number;
  /** Milliseconds since 1970: the clock by which artifacts are old. */
  now?: () => number;
}

/**
 * Artifacts as files, `$home/artifacts/ab/<sha256>`; a file's modification time says when it was last put. In `open`, `start` and
 * `end` are byte positions as in `slice`: the byte at `end` is not included.
 *
 * Removing needs no lock, whoever puts at the same time, also from another process: the file is moved aside under one name first,
 * and what was moved is looked at. When a put has replaced it meanwhile it is young, and goes back to its place.
 */
export async function openFileArtifacts(
  home: string,
  { maxBytes = artifactLimits.each, now = Date.now }: FileOptions = {},
): Promise<ArtifactStore> {
  const folder = join(home, "artifacts");
  await mkdir(folder, { recursive: true, mode: 0o700 });

  const folderOf = (id: string): string => join(folder, checkArtifactId(id).slice(0, 2));
  const pathOf = (id: string): string => join(folderOf(id), id);
  const ageOf = async (path: string): Promise<number | null> => {
    const found = await unlessMissing(stat(path));
    return found && now() - found.mtimeMs;
  };

  async function size(id: string): Promise<number> {
    return (await orNotFound(id, stat(pathOf(id)))).size;
  }

  async function removeLeftovers(): Promise<number> {
    await putBack();
    const names = (await readdir(folder)).filter((name) => name.startsWith(incoming));
    let removed = 0;
    for (const path of names.map((name) => join(folder, name))) {
      // Younger ones may be under way in another process.
      if (((await ageOf(path)) ?? 0) <= unreferencedMs) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    return removed;
  }

  /** What a crash caught while it was moved aside; if it is unreferenced still, it will be found again. */
  async function putBack(): Promise<void> {
    const names = (await readdir(folder)).filter((name) => name.startsWith(leaving));
    for (const name of names) await unlessMissing(rename(join(folder, name), pathOf(name.slice(leaving.length, leaving.length + 64))));
  }

  await removeLeftovers();
  return {
    async put(content) {
      const temporary = join(folder, `${incoming}${randomUUID()}`);
      try {
        const { id, size: written } = await writeSynced(temporary, limited(content, maxBytes), now);
        await mkdir(folderOf(id), { mode: 0o700, recursive: true });
        // The same content under the same name: replacing it changes nothing for its readers, and makes it young.
        await rename(temporary, pathOf(id));
        await syncFolder(folderOf(id));
        await syncFolder(folder);
        return { id, size: written };
      } finally {
        await rm(temporary, { force: true });
      }
    },
    size,
    async *open(id, start = 0, end = Infinity) {
      const until = Math.min(end, await size(id));
      if (start >= until) return;
      // Its end is included in Node's range.
      yield* createReadStream(pathOf(id), { start, end: until - 1 }) as AsyncIterable<Uint8Array>;
    },
    async text(id) {
      return orNotFound(id, readFile(pathOf(id), "utf8"));
    },
    async listOlderThan(ageMs, { after, limit }) {
      const old: string[] = [];
      for (const part of (await readdir(folder)).filter((name) => /^[0-9a-f]{2}$/.test(name)).toSorted()) {
        if (after !== null && part < after.slice(0, 2)) continue;
        for (const id of (await readdir(join(folder, part))).toSorted()) {
          if (old.length === limit) return old;
          if (after !== null && id <= after) continue;
          if (((await ageOf(join(folder, part, id))) ?? 0) > ageMs) old.push(id);
        }
      }
      return old;
    },
    async remove(id, ageMs) {
      const path = pathOf(id);
      const isOld = async (file: string): Promise<boolean> => ((await ageOf(file)) ?? 0) > ageMs;
      if (!(await isOld(path))) return null;
      const aside = join(folder, `${leaving}${id}-${randomUUID()}`);
      await unlessMissing(rename(path, aside));
      if (!(await isOld(aside))) {
        await unlessMissing(rename(aside, path));
        return null;
      }
      const found = await unlessMissing(stat(aside));
      await rm(aside, { force: true });
      return found && found.size;
    },
    removeLeftovers,
    close: () => Promise.resolve(),
  };
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === "ENOENT";

async function unlessMissing<Result>(result: Promise<Result>): Promise<Result | null> {
  try {
    return await result;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function orNotFound<Result>(id: string, result: Promise<Result>): Promise<Result> {
  try {
    return await result;
  } catch (error) {
    if (isMissing(error)) throw notFound("artifact", id);
    throw error;
  }
}

/** Writes a new file so that its bytes are on disk; answers their hash. */
async function writeSynced(
  file: string,
  content: AsyncIterable<Uint8Array>,
  now: () => number,
): Promise<Awaited<ReturnType<Artifacts["put"]>>> {
  const handle = await open(file, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of content) {
      size += chunk.byteLength;
      hash.update(chunk);
      await writeWhole(handle, chunk);
    }
    // Its age begins now: a command may have been silent for long before it ended.
    await handle.utimes(now() / 1000, now() / 1000);
    await handle.sync();
    return { id: hash.digest("hex"), size };
  } finally {
    await handle.close();
  }
}

/** A disk that is nearly full takes a part of a write before it refuses the rest. */
async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength;) {
    offset += (await handle.write(chunk, offset)).bytesWritten;
  }
}

/** A file's name is on disk only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

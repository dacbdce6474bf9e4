import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, notFound } from "../errors.ts";
import type { Artifacts } from "./artifact.ts";

const defaultMaxBytes = 1024 ** 3;
const leftoverMs = 24 * 60 * 60 * 1000;
const temporaryPrefix = "incoming-";

/**
 * Artifacts as files, `$home/artifacts/ab/<sha256>`. `maxBytes` is the limit of one artifact. In `open`, `start` and `end` are
 * byte positions as in `slice`: the byte at `end` is not included.
 */
export async function openArtifacts(home: string, { maxBytes = defaultMaxBytes }: { maxBytes?: number } = {}): Promise<Artifacts> {
  const folder = join(home, "artifacts");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeLeftovers(folder);

  /** Throws not_found for anything that is no id, so that no id ever leads out of the folder. */
  function pathOf(id: string): string {
    if (!/^[0-9a-f]{64}$/.test(id)) throw notFound("artifact", id);
    return join(folder, id.slice(0, 2), id);
  }

  async function size(id: string): Promise<number> {
    return (await orNotFound(id, stat(pathOf(id)))).size;
  }

  return {
    async put(content) {
      const temporary = join(folder, `${temporaryPrefix}${randomUUID()}`);
      try {
        const { id, size: written } = await writeSynced(temporary, content, maxBytes);
        await mkdir(join(folder, id.slice(0, 2)), { mode: 0o700, recursive: true });
        // The same content under the same name: replacing it changes nothing for its readers.
        await rename(temporary, pathOf(id));
        await syncFolder(join(folder, id.slice(0, 2)));
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
  };
}

async function orNotFound<Result>(id: string, result: Promise<Result>): Promise<Result> {
  try {
    return await result;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") throw notFound("artifact", id);
    throw error;
  }
}

/** Writes a new file so that its bytes are on disk; answers their hash. */
async function writeSynced(
  file: string,
  content: Parameters<Artifacts["put"]>[0],
  maxBytes: number,
): Promise<{ id: string; size: number }> {
  const handle = await open(file, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of chunksOf(content)) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      hash.update(chunk);
      await writeWhole(handle, chunk);
    }
    await handle.sync();
    return { id: hash.digest("hex"), size };
  } finally {
    await handle.close();
  }
}

function chunksOf(content: Parameters<Artifacts["put"]>[0]): AsyncIterable<Uint8Array> | Uint8Array[] {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
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

/** What a crash left half written. Younger ones may be under way in another process. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(temporaryPrefix));
  for (const file of names.map((name) => join(folder, name))) {
    const age = Date.now() - (await stat(file)).mtimeMs;
    if (age > leftoverMs) await rm(file, { force: true });
  }
}

const tooLarge = (maxBytes: number): AppError =>
  new AppError("too_large", `an artifact may have at most ${maxBytes} bytes`, {
    why: "the content is larger; nothing of it was kept",
    fix: ["split it, or keep it in the repository"],
  });

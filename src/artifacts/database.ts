import { createHash, randomUUID } from "node:crypto";
import { Pool, type PoolClient } from "pg";
import { connectionConfig, fromPostgres, isLost } from "../db/postgres-connection.ts";
import { AppError, notFound } from "../errors.ts";
import { type ArtifactStore, artifactLimits } from "./artifact.ts";
import { checkArtifactId, limited } from "./limits.ts";

/** Of every chunk but the last. Rows depend on it: it never changes. */
const chunkBytes = 256 * 1024;

/** What is read at once. An answer is text, twice as long, and several of them wait to be collected as garbage. */
const pieceBytes = 32 * 1024;

/** No put takes so long: an attempt ends after a week at most. */
const leftoverMs = 8 * 24 * 60 * 60 * 1000;

interface DatabaseOptions {
  /** postgres://... of a database with our schema. */
  url: string;
  /** Of one artifact, in bytes. */
  maxBytes?: number;
  poolSize?: number;
}

/**
 * Artifacts in PostgreSQL, for several servers that share no disk: 256 KB chunks, written and read one at a time, so that memory
 * stays flat. They go over connections of their own and not through plans: a gigabyte among them would hold up the queue, whose
 * plans are written together and in order. That is no loss, because nothing sees an artifact before its last statement, and the
 * plan with the row that names it comes after that.
 *
 * An artifact's age is judged by the database's clock. Putting the same content again and removing it lock the same row: whoever
 * comes second sees what the first has done.
 */
export function openDatabaseArtifacts({ url, maxBytes = artifactLimits.each, poolSize = 4 }: DatabaseOptions): ArtifactStore {
  const pool = new Pool({ ...connectionConfig(url, "tutti artifacts"), max: poolSize });
  // Whatever waits on a lost connection fails with the same error; without listeners it would end the process.
  pool.on("error", ignoreLostConnection);
  pool.on("connect", (client) => client.on("error", ignoreLostConnection));
  let closing: Promise<void> | null = null;

  async function all<Row>(text: string, values: unknown[]): Promise<Row[]> {
    try {
      return (await pool.query(text, values)).rows as Row[];
    } catch (error) {
      throw fromPostgres(error);
    }
  }

  async function find(id: string): Promise<{ upload: string; size: number }> {
    const [row] = await all<{ upload: string; size: number }>("select upload, size from artifact_contents where id = $1", [
      checkArtifactId(id),
    ]);
    if (!row) throw notFound("artifact", id);
    return row;
  }

  async function addChunk(upload: string, n: number, data: Uint8Array): Promise<void> {
    await all("insert into artifact_chunks (upload, n, data) values ($1, $2, $3)", [upload, n, data]);
  }

  /** Writes the content under the upload's name; answers its hash. */
  async function upload(name: string, content: AsyncIterable<Uint8Array>): Promise<{ id: string; size: number }> {
    await all("insert into artifact_uploads (id, started_at) values ($1, tutti_now())", [name]);
    const hash = createHash("sha256");
    let size = 0;
    let chunks = 0;
    for await (const chunk of inChunks(content)) {
      hash.update(chunk);
      size += chunk.byteLength;
      await addChunk(name, chunks, chunk);
      chunks += 1;
    }
    return { id: hash.digest("hex"), size };
  }

  /** Only what is an upload still: when the answer to a COMMIT was lost, it is an artifact by now. */
  async function discard(name: string): Promise<void> {
    await all(`delete from artifact_uploads where id = $1 and ${isUnseen}`, [name]);
  }

  async function* open(id: string, start = 0, end = Infinity): AsyncGenerator<Uint8Array> {
    const { upload: name, size } = await find(id);
    const until = Math.min(end, size);
    for (let at = start; at < until;) {
      const n = Math.floor(at / chunkBytes);
      const from = at % chunkBytes;
      const length = Math.min(pieceBytes - (from % pieceBytes), until - at);
      const [row] = await all<{ data: Uint8Array }>(
        "select substring(data from $3::integer for $4::integer) as data from artifact_chunks where upload = $1 and n = $2",
        [name, n, from + 1, length],
      );
      // It was removed while it was read.
      if (!row) throw notFound("artifact", id);
      yield row.data;
      at += length;
    }
  }

  return {
    async put(content) {
      const name = randomUUID();
      try {
        const written = await upload(name, limited(content, maxBytes));
        await inTransaction(pool, (client) => show(client, name, written));
        return written;
      } catch (error) {
        // If this fails too, it is a leftover for the collector.
        await discard(name).catch(() => undefined);
        throw isOfGoneUpload(error) ? tooSlow(error) : fromPostgres(error);
      }
    },
    size: async (id) => (await find(id)).size,
    open,
    async text(id) {
      const pieces: Uint8Array[] = [];
      for await (const piece of open(id)) pieces.push(piece);
      return Buffer.concat(pieces).toString("utf8");
    },
    async listOlderThan(ageMs, { after, limit }) {
      const rows = await all<{ id: string }>(
        "select id from artifact_contents where id > $1 and put_at < tutti_now() - $2::bigint order by id limit $3",
        [after ?? "", ageMs, limit],
      );
      return rows.map(({ id }) => id);
    },
    async remove(id, ageMs) {
      const [gone] = await all<{ size: number }>(
        `with gone as (delete from artifact_contents where id = $1 and put_at < tutti_now() - $2::bigint returning upload, size),
              bytes as (delete from artifact_uploads using gone where artifact_uploads.id = gone.upload)
         select size from gone`,
        [checkArtifactId(id), ageMs],
      );
      return gone?.size ?? null;
    },
    async removeLeftovers() {
      const gone = await all<{ id: string }>(
        `delete from artifact_uploads where started_at < tutti_now() - $1::bigint and ${isUnseen} returning id`,
        [leftoverMs],
      );
      return gone.length;
    },
    close: () => (closing ??= pool.end()),
  };
}

/** Nothing but its own put knows of the upload. If a put is about to show it, deleting it waits, and is then refused. */
const isUnseen = "not exists (select 1 from artifact_contents where upload = artifact_uploads.id)";

const isOfGoneUpload = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === "23503";

const tooSlow = (cause: unknown): AppError =>
  new AppError("failed", "an artifact took too long to be written", {
    why: "its beginning was cleaned up meanwhile",
    retryable: true,
    cause,
  });

/** The upload becomes the artifact, or, when there is one with this content, goes away and makes that one young. */
async function show(client: PoolClient, upload: string, { id, size }: { id: string; size: number }): Promise<void> {
  const kept = await client.query<{ upload: string }>(
    `insert into artifact_contents (id, upload, size, put_at) values ($1, $2, $3, tutti_now())
     on conflict (id) do update set put_at = excluded.put_at returning upload`,
    [id, upload, size],
  );
  if (kept.rows[0]?.upload !== upload) await client.query("delete from artifact_uploads where id = $1", [upload]);
}

async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  let isUsable = false;
  try {
    await client.query("begin");
    await work(client);
    await client.query("commit");
    isUsable = true;
  } catch (error) {
    isUsable =
      !isLost(error) &&
      (await client.query("rollback").then(
        () => true,
        () => false,
      ));
    throw error;
  } finally {
    client.release(!isUsable);
  }
}

/** The same bytes in chunks of one size. A chunk is valid until the next one is asked for: they share their memory. */
async function* inChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let filled = 0;
  for await (const piece of content) {
    for (let at = 0; at < piece.byteLength;) {
      const taken = piece.subarray(at, at + chunkBytes - filled);
      chunk.set(taken, filled);
      filled += taken.byteLength;
      at += taken.byteLength;
      if (filled < chunkBytes) continue;
      yield chunk;
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

const ignoreLostConnection = (): undefined => undefined;

import { join } from "node:path";
import { Readable } from "node:stream";
import { parentPort, workerData } from "node:worker_threads";
import { createGzip } from "node:zlib";
import { sql } from "../db/plan.ts";
import { leftOut, type TableFile, toCell } from "./backup.ts";
import { writeHashed } from "./hashed-file.ts";
import { openOwn, type Rows, type Source } from "./own-connection.ts";

/** The thread that writes the tables of a backup, all of them as they were in one moment, some rows in memory at a time. */
export interface SnapshotStart {
  source: Source;
  folder: string;
}

export interface Snapshot {
  at: number;
  schema: { version: number; oldestServer: number };
  commits: number;
  tables: TableFile[];
  streams: { id: string; seq: number; head: string }[];
  projects: { id: string; source: string; baseBranch: string }[];
}

/** Lines are compressed in pieces of this many characters. */
const pieceLength = 64 * 1024;

async function takeSnapshot({ source, folder }: SnapshotStart): Promise<Snapshot> {
  const own = await openOwn(source);
  const at = Date.now();
  try {
    const schema = await own.read.one<{ version: number; oldest_server: number }>(sql`select version, oldest_server from schema`);
    const tables: TableFile[] = [];
    for (const name of (await own.tables()).filter((table) => !leftOut.includes(table))) {
      tables.push(await writeTable(folder, name, await own.rows(name, name === "events" ? "stream, seq" : null)));
    }
    const commits = await own.read.one<{ n: number }>(sql`select coalesce(max(commits), 0) as n from streams`);
    return {
      at,
      schema: { version: schema?.version ?? 0, oldestServer: schema?.oldest_server ?? 0 },
      commits: commits?.n ?? 0,
      tables,
      streams: (await own.read.all<Snapshot["streams"][number]>(sql`select id, seq, head from streams order by id`)).map((row) => ({
        ...row,
      })),
      projects: (
        await own.read.all<Snapshot["projects"][number]>(sql`
        select id, source, base_branch as "baseBranch" from projects order by id`)
      ).map((row) => ({ ...row })),
    };
  } finally {
    await own.close();
  }
}

/** The first line has the columns, each other one a row. */
async function writeTable(folder: string, name: string, { columns, pages }: Rows): Promise<TableFile> {
  let rows = 0;
  async function* pieces(): AsyncGenerator<string> {
    let piece = `${JSON.stringify(columns)}\n`;
    for await (const page of pages) {
      rows += page.length;
      for (const row of page) {
        piece += `${JSON.stringify(row.map(toCell))}\n`;
        if (piece.length < pieceLength) continue;
        yield piece;
        piece = "";
      }
    }
    yield piece;
  }
  const file = `tables/${name}.jsonl.gz`;
  const packed = Readable.from(pieces(), { objectMode: false }).compose(createGzip({ level: 4 })) as AsyncIterable<Uint8Array>;
  const written = await writeHashed(join(folder, file), packed);
  return { name, rows, file, ...written };
}

parentPort?.postMessage(await takeSnapshot(workerData as SnapshotStart));

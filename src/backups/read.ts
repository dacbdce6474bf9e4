import { createReadStream, existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { sha256 } from "../db/chain.ts";
import { AppError, notFound } from "../errors.ts";
import { type Cell, fromCell, Manifest, type TableFile, type Value } from "./backup.ts";

/** Throws AppError not_found for a folder without a manifest, check_failed for one whose manifest is damaged. */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) {
    const unfinished = folder.endsWith(".writing")
      ? "it was not finished: a backup gets its name when it is whole"
      : "there is no manifest.json in it";
    throw notFound("backup", folder, [unfinished, "ls $TUTTI_HOME/backups"]);
  }
  const hashed = await readFile(join(folder, "manifest.sha256"), "utf8").catch(() => "");
  const text = await readFile(file, "utf8");
  if (hashed.slice(0, 64) !== sha256(text)) throw unreadable(file, "it is not what was written: its hash is not that in manifest.sha256");
  try {
    return Manifest.parse(JSON.parse(text));
  } catch (cause) {
    throw unreadable(file, cause instanceof Error ? cause.message.slice(0, 500) : String(cause), cause);
  }
}

const unreadable = (file: string, why: string, cause?: unknown): AppError =>
  new AppError("check_failed", `${file} cannot be read`, { why, cause });

export interface TablePage {
  columns: string[];
  rows: Value[][];
}

/** The rows of a table, some at a time, in the order of the file. */
export async function* readTable(folder: string, { file }: TableFile, rowsAtOnce = 200): AsyncGenerator<TablePage> {
  const unpacked = createGunzip();
  // What goes wrong on the way ends the lines with that error.
  pipeline(createReadStream(join(folder, file)), unpacked, () => undefined);
  let columns: string[] | null = null;
  let rows: Value[][] = [];
  for await (const line of createInterface({ input: unpacked, crlfDelay: Infinity })) {
    if (columns === null) {
      columns = JSON.parse(line) as string[];
      continue;
    }
    rows.push((JSON.parse(line) as Cell[]).map(fromCell));
    if (rows.length < rowsAtOnce) continue;
    yield { columns, rows };
    rows = [];
  }
  if (columns && rows.length > 0) yield { columns, rows };
}

/** One column of a table as texts; nothing when the backup has no such table. */
export async function* readColumn(folder: string, tables: readonly TableFile[], table: string, column: string): AsyncGenerator<string> {
  const found = tables.find(({ name }) => name === table);
  if (!found) return;
  for await (const { columns, rows } of readTable(folder, found)) {
    const at = columns.indexOf(column);
    for (const row of rows) if (row[at] !== null && row[at] !== undefined) yield String(row[at]);
  }
}

import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { emptyHead, type Head, nextHead, sha256 } from "../db/chain.ts";
import type { Manifest, Damage, Value, Verification } from "./backup.ts";
import { hashOfAll, hashOfFile } from "./hashed-file.ts";
import { readColumn, readManifest, readTable } from "./read.ts";
import { artifactFile } from "./write.ts";

/** Problems of one area beyond these are only counted. */
export const mostProblems = 100;

/**
 * Reads all of a backup: the hash of each file, every row, the chain of every stream up to the manifest's heads, and every artifact.
 * Throws AppError not_found or check_failed when there is no manifest to hold it against.
 */
export async function verifyBackup(folder: string): Promise<Verification> {
  const started = performance.now();
  const manifest = await readManifest(folder);
  const problems: Damage[] = [];
  const checked: Record<string, number> = { files: 0, rows: 0, events: 0, streams: 0, artifacts: 0 };
  const add = (area: Damage["area"], message: string): void => {
    if (problems.filter((problem) => problem.area === area).length < mostProblems) problems.push({ area, message });
  };

  const whole = new Set<string>();
  for (const { file, bytes, sha256: expected } of [...manifest.tables, ...manifest.mirrors]) {
    checked["files"] = (checked["files"] ?? 0) + 1;
    const path = join(folder, file);
    if (!existsSync(path)) {
      add("files", `${file} is not there`);
      continue;
    }
    const found = await hashOfFile(path);
    if (found.sha256 === expected && found.bytes === bytes) whole.add(file);
    else add("files", `${file} is not what was written (${found.bytes} of ${bytes} bytes)`);
  }

  for (const table of manifest.tables) {
    if (!whole.has(table.file)) continue;
    const rows = table.name === "events" ? await followChains(folder, manifest, add) : await countRows(folder, table);
    if (rows !== table.rows) add("files", `${table.file} has ${rows} rows instead of ${table.rows}`);
    checked["rows"] = (checked["rows"] ?? 0) + rows;
    if (table.name === "events") checked["events"] = rows;
  }
  checked["streams"] = manifest.streams.length;

  for (const id of manifest.artifacts.missing) add("artifacts", `the artifact ${id} was not there when the backup was written`);
  if (whole.has("tables/artifacts.jsonl.gz")) checked["artifacts"] = await checkArtifacts(folder, manifest, add);
  return { what: folder, checked, problems, ms: Math.round(performance.now() - started) };
}

type Add = (area: Damage["area"], message: string) => void;

async function countRows(folder: string, table: Manifest["tables"][number]): Promise<number> {
  let rows = 0;
  for await (const page of readTable(folder, table)) rows += page.rows.length;
  return rows;
}

/** Follows the chain of each stream; the file has them one after the other. Answers the number of events. */
async function followChains(folder: string, { tables, streams }: Manifest, add: Add): Promise<number> {
  const table = tables.find(({ name }) => name === "events");
  if (!table) return 0;
  const heads = new Map<string, Head>();
  const broken = new Set<string>();
  let rows = 0;
  for await (const page of readTable(folder, table)) {
    const field = (row: Value[], name: string): Value => row[page.columns.indexOf(name)] ?? null;
    for (const row of page.rows) {
      rows += 1;
      const [stream, type, data] = [String(field(row, "stream")), String(field(row, "type")), String(field(row, "data"))];
      if (broken.has(stream)) continue;
      const payloadHash = String(field(row, "payload_hash"));
      const next = nextHead(heads.get(stream) ?? emptyHead, { stream, type }, payloadHash);
      const dataFits = data === "" || sha256(data) === payloadHash;
      if (next.seq === field(row, "seq") && next.head === field(row, "hash") && dataFits) heads.set(stream, next);
      else {
        broken.add(stream);
        add("events", `the chain of ${stream} is broken at event ${next.seq}`);
      }
    }
  }
  for (const { id, seq, head } of streams) {
    const found = heads.get(id) ?? emptyHead;
    if (!broken.has(id) && (found.seq !== seq || found.head !== head)) add("events", `${id} ends at event ${found.seq} instead of ${seq}`);
  }
  return rows;
}

async function checkArtifacts(folder: string, { tables, artifacts }: Manifest, add: Add): Promise<number> {
  const missing = new Set(artifacts.missing);
  let count = 0;
  for await (const id of readColumn(folder, tables, "artifacts", "id")) {
    if (missing.has(id)) continue;
    count += 1;
    const file = join(folder, artifactFile(id));
    if (!existsSync(file)) add("artifacts", `the artifact ${id} is not there`);
    else if ((await hashOfAll(createReadStream(file) as AsyncIterable<Uint8Array>)).sha256 !== id)
      add("artifacts", `the artifact ${id} is damaged`);
  }
  return count;
}

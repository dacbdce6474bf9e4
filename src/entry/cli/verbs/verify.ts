import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Verification } from "../../../backups/backup.ts";
import { openOwn, type Source } from "../../../backups/own-connection.ts";
import { verifyBackup } from "../../../backups/verify.ts";
import { verifyStore } from "../../../backups/verify-store.ts";
import { readConfig, type Config } from "../../../config.ts";
import { comparePostgresAt, compareSqlite } from "../../../db/compare-high-water.ts";
import { describeLoss, type Loss } from "../../../db/high-water.ts";
import { lockHome } from "../../../db/lock.ts";
import { openDb } from "../../../db/open.ts";
import { notFound } from "../../../errors.ts";
import { readServerFile } from "../../server-file.ts";
import { connect } from "../connect.ts";
import { note, oneLine, print, printJson } from "../output.ts";
import { placesOf } from "./restore.ts";

/**
 * Reads a backup, or the whole store: through its server where one runs, otherwise by itself. Exit code 5 when something is wrong.
 * With `acceptLoss` a store that has lost something since it was marked may be used again, and its events say what it lost.
 */
export async function verify(folder: string | undefined, { acceptLoss = false }: { acceptLoss?: boolean }, json: boolean): Promise<void> {
  const config = readConfig();
  if (folder !== undefined) return say(await verifyBackup(resolve(folder)), json);
  if (acceptLoss) return await accept(config, json);
  const server = (config.url && config.token) || (await readServerFile(config.home));
  say(server ? await (await connect()).client.query("backup.verify", {}) : await verifyAlone(config), json);
}

async function verifyAlone(config: Config): Promise<Verification> {
  const { home, databaseUrl } = config;
  const file = join(home, "tutti.db");
  if (databaseUrl === undefined && !existsSync(file)) throw notFound("store", file, ["tutti up"]);
  const source: Source = databaseUrl === undefined ? { kind: "sqlite", file } : { kind: "postgres", url: databaseUrl };
  const lock = lockHome(home);
  try {
    const compared = databaseUrl === undefined ? compareSqlite(file) : await comparePostgresAt(home, databaseUrl);
    const places = placesOf(home, config);
    const workspaces = await places.openWorkspaces();
    const artifacts = await places.openArtifacts();
    // A connection that only reads: a damaged log stays as it is.
    const own = await openOwn(source);
    try {
      return await verifyStore({ source, read: own.read, artifacts, workspaces, compared });
    } finally {
      await own.close();
      await artifacts.close();
    }
  } finally {
    lock.release();
  }
}

/** Writes the loss into the events of the instance; only that takes the mark back. The damaged log is kept. */
async function accept({ home, databaseUrl }: Config, json: boolean): Promise<void> {
  const lock = lockHome(home);
  try {
    const kept = await keepLog(home);
    const losses: Loss[] = [];
    const db = await openDb({ home, databaseUrl, crashAt: null, acceptLoss: (loss) => void losses.push(loss) });
    try {
      const [loss] = losses;
      if (loss) {
        const data = { commits: loss.commits, streams: loss.streams.slice(0, 20), lost: describeLoss(loss), kept };
        await db.commit({ statements: [], events: [{ stream: "instance", type: "store.loss-accepted", data }] });
      }
      if (json) return printJson({ accepted: loss ?? null, kept: loss ? kept : null });
      print(loss ? `accepted: ${describeLoss(loss)}` : "nothing is missing");
      if (loss && kept) note(`the write-ahead log as it was found: ${kept}`);
    } finally {
      await db.close();
    }
  } finally {
    lock.release();
  }
}

/** SQLite takes what it can of a damaged log and removes it; whoever wants to look into it later has a copy. */
async function keepLog(home: string): Promise<string | null> {
  const log = join(home, "tutti.db-wal");
  if (!existsSync(log)) return null;
  await mkdir(join(home, "backups"), { recursive: true, mode: 0o700 });
  const kept = join(home, "backups", `damaged-${Date.now()}.db-wal`);
  await copyFile(log, kept);
  return kept;
}

function say({ what, checked, problems, ms }: Verification, json: boolean): void {
  if (problems.length > 0) process.exitCode = 5;
  if (json) return printJson({ what, checked, problems, ms });
  const counts = Object.entries(checked).map(([name, count]) => `${count} ${name}`);
  print(`${what}: ${problems.length === 0 ? "sound" : `${problems.length} problems`}`);
  for (const { area, message } of problems) print(`✗ ${area}: ${oneLine(message)}`);
  note(`${counts.join(", ")} in ${(ms / 1000).toFixed(1)} s`);
}

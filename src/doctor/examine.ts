import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { migrations } from "../db/migrate.ts";
import { sql, type Db } from "../db/plan.ts";
import type { DatabaseFacts } from "./judge.ts";

const checkLimitMs = 20_000;

/** The store as the server sees it. `deep` reads all of it (SQLite), which may take seconds. */
export async function examineDatabase(db: Db, { home, deep }: { home: string; deep: boolean }): Promise<DatabaseFacts> {
  const before = Date.now();
  const theirs = await db.now();
  const ours = (before + Date.now()) / 2;
  const schema = await db.read.one<{ version: number }>(sql`select version from schema`);
  return {
    kind: db.kind,
    version: db.kind === "sqlite" ? (process.versions["sqlite"] ?? "?") : await postgresVersion(db),
    schema: Number(schema?.version ?? 0),
    newestSchema: migrations.at(-1)?.version ?? 0,
    integrity: deep && db.kind === "sqlite" ? await quickCheck(join(home, "tutti.db")) : null,
    skewMs: Math.round(theirs - ours),
  };
}

async function postgresVersion(db: Db): Promise<string> {
  const row = await db.read.one<{ version: string }>(sql`select current_setting('server_version') as version`);
  return row?.version ?? "?";
}

/** SQLite's own check of its pages, without that of the indexes: "ok", the first things that are wrong, or null when the time ran out. Never rejects. */
export function quickCheck(file: string, limitMs = checkLimitMs): Promise<string | null> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./quick-check.ts", import.meta.url), { workerData: { file } });
    const end = (answer: string | null): void => {
      clearTimeout(timer);
      resolve(answer);
      void worker.terminate();
    };
    const timer = setTimeout(() => end(null), limitMs);
    worker.once("message", (answer: string) => end(answer));
    worker.once("error", (error) => end(error instanceof Error ? error.message : String(error)));
  });
}

/** Whether the server's log takes what is written; null when it does. */
export async function examineLog(file: string): Promise<string | null> {
  if (!existsSync(file)) return "is gone: what the server says is lost";
  try {
    await (await open(file, "a")).close();
    return null;
  } catch (error) {
    return `cannot be written: ${error instanceof Error ? error.message : String(error)}`;
  }
}

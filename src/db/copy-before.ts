import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Migration, migrations, pendingMigrations } from "./migrate.ts";

const keptCopies = 2;

/** Where the copy is that was made before the store came to this schema version. */
export const copyPath = (file: string, version: number): string => join(dirname(file), "backups", `before-${version}.db`);

/**
 * A copy of a SQLite store as it is before its migration, under `backups/before-<version>.db`: who wants the older Tutti back puts it
 * in the store's place. The newest two are kept. A start that goes on with a broken-off migration keeps the copy of its first try.
 * Answers the copy, or null when there was nothing to copy. What goes wrong (no space) is thrown: without a copy nothing is migrated.
 */
export function copyBeforeMigration(file: string, db: DatabaseSync, known: readonly Migration[] = migrations): string | null {
  const found = versionOf(db);
  const newest = known.at(-1)?.version ?? 0;
  if (found === null || pendingMigrations(found, known).length === 0) return null;
  const copy = copyPath(file, newest);
  if (existsSync(copy) && isEarlierTry(copy, found.version)) return copy;
  mkdirSync(dirname(copy), { recursive: true, mode: 0o700 });
  const writing = `${copy}.writing`;
  rmSync(writing, { force: true });
  // SQLite takes an empty file, and this one only its owner can read.
  closeSync(openSync(writing, "wx", 0o600));
  try {
    db.prepare("vacuum into ?").run(writing);
    sync(writing);
    renameSync(writing, copy);
    sync(dirname(copy));
  } finally {
    rmSync(writing, { force: true });
  }
  removeOlder(dirname(copy));
  return copy;
}

type SchemaRow = { version: number; oldest_server: number };

/** null for a store that is new. */
function versionOf(db: DatabaseSync): SchemaRow | null {
  if (!db.prepare("select 1 from sqlite_schema where name = 'schema'").get()) return null;
  return (db.prepare("select version, oldest_server from schema").get() as SchemaRow | undefined) ?? null;
}

/** The migrations are several transactions: after some of them the store is newer than the copy that was made before the first. */
function isEarlierTry(copy: string, version: number): boolean {
  const db = new DatabaseSync(copy, { readOnly: true });
  try {
    return (versionOf(db)?.version ?? version) < version;
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function removeOlder(folder: string): void {
  const copies = readdirSync(folder).flatMap((name) => {
    const version = /^before-(\d+)\.db$/.exec(name)?.[1];
    return version === undefined ? [] : [{ name, version: Number(version) }];
  });
  for (const { name } of copies.toSorted((a, b) => b.version - a.version).slice(keptCopies)) rmSync(join(folder, name), { force: true });
}

import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../errors.ts";

const sqliteBusy = 5;

// A connection that is collected as garbage gives its lock up: held ones stay reachable from here.
const held = new Set<DatabaseSync>();

/**
 * Takes the folder for this process, for as long as it lives: an open `begin exclusive` on `$home/lock.db`, which the kernel
 * releases when the process dies, however it dies. Throws AppError already_running when another process (or this one) holds it.
 * Nothing in this process may open and close lock.db by other means: closing any descriptor of it would drop the lock (POSIX).
 */
export function lockHome(home: string): { release(): void } {
  const file = join(home, "lock.db");
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
  const db = new DatabaseSync(file, { timeout: 0 });
  try {
    db.exec("begin exclusive");
  } catch (error) {
    db.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== sqliteBusy) throw error;
    throw new AppError("already_running", "a server is already running on this data folder", {
      why: `another process holds ${file}`,
      fix: ["tutti status", "tutti down"],
      cause: error,
    });
  }
  held.add(db);
  return {
    release() {
      if (held.delete(db)) db.close();
    },
  };
}

import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../errors.ts";

const sqliteBusy = 5;

// A connection that is collected as garbage gives its lock up: held ones stay reachable from here.
const held = new Set<DatabaseSync>();

/** What a home has one of: a server, and a runner (the server's own, or a process of its own). */
const locks = {
  server: { file: "lock.db", what: "a server is already running on this data folder", fix: ["tutti status", "tutti down"] },
  runner: { file: "runner-lock.db", what: "a runner is already running on this data folder", fix: ["tutti doctor"] },
};

/**
 * Takes the folder for this process, for as long as it lives: an open `begin exclusive` on `$home/lock.db`, which the kernel
 * releases when the process dies, however it dies. Throws AppError already_running when another process (or this one) holds it.
 * Nothing in this process may open and close lock.db by other means: closing any descriptor of it would drop the lock (POSIX).
 */
export function lockHome(home: string, as: keyof typeof locks = "server"): { release(): void } {
  const lock = locks[as];
  const file = join(home, lock.file);
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
  const db = new DatabaseSync(file, { timeout: 0 });
  try {
    db.exec("begin exclusive");
  } catch (error) {
    db.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== sqliteBusy) throw error;
    throw new AppError("already_running", lock.what, {
      why: `another process holds ${file}`,
      fix: lock.fix,
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

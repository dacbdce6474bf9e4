import { existsSync } from "node:fs";
import { join } from "node:path";
import { conflict, invalidInput } from "../errors.ts";
import { postgresMark } from "./compare-high-water.ts";
import type { CrashPoint } from "./crash.ts";
import type { Db } from "./plan.ts";
import type { MarkOptions } from "./high-water.ts";
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";

interface OpenOptions extends MarkOptions {
  home: string;
  /** DATABASE_URL. */
  databaseUrl: string | undefined;
  crashAt: CrashPoint | null;
  clockOffset?: SharedArrayBuffer;
  /** Told of each write that was refused for want of room on the disk: see space.ts. */
  onFull?: () => void;
}

/**
 * The store that the settings name: PostgreSQL with a postgres:// url, without any url SQLite in `$home/tutti.db`.
 * Throws AppError invalid_input for another url, unreachable, conflict for a store that a newer server changed, and
 * damaged for one that has lost what it had acknowledged.
 */
export async function openDb({ home, databaseUrl, clockOffset, ...options }: OpenOptions): Promise<Db> {
  if (existsSync(join(home, "restoring"))) {
    throw conflict("a restore into this home was not finished", "what is in it is a part of a backup", [
      "tutti restore <backup>   (once more)",
    ]);
  }
  if (databaseUrl === undefined) return openSqlite({ file: join(home, "tutti.db"), clockOffset, ...options });
  if (/^postgres(ql)?:\/\//.test(databaseUrl))
    return openPostgres({ url: databaseUrl, highWater: postgresMark(home, databaseUrl), ...options });
  // The url itself stays out of the message: it may hold a password.
  throw invalidInput("DATABASE_URL is no url of a PostgreSQL database", "only PostgreSQL is supported beside the built-in SQLite", [
    "DATABASE_URL=postgres://user@host:5432/database",
    "leave DATABASE_URL away to use SQLite",
  ]);
}

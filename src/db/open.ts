import { join } from "node:path";
import { invalidInput } from "../errors.ts";
import type { CrashPoint } from "./crash.ts";
import type { Db } from "./plan.ts";
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";

interface OpenOptions {
  home: string;
  /** DATABASE_URL. */
  databaseUrl: string | undefined;
  crashAt: CrashPoint | null;
  clockOffset?: SharedArrayBuffer;
}

/**
 * The store that the settings name: PostgreSQL with a postgres:// url, without any url SQLite in `$home/tutti.db`.
 * Throws AppError invalid_input for another url, unreachable, and conflict for a store that a newer server changed.
 */
export async function openDb({ home, databaseUrl, crashAt, clockOffset }: OpenOptions): Promise<Db> {
  if (databaseUrl === undefined) return openSqlite({ file: join(home, "tutti.db"), crashAt, clockOffset });
  if (/^postgres(ql)?:\/\//.test(databaseUrl)) return openPostgres({ url: databaseUrl, crashAt });
  // The url itself stays out of the message: it may hold a password.
  throw invalidInput("DATABASE_URL is no url of a PostgreSQL database", "only PostgreSQL is supported beside the built-in SQLite", [
    "DATABASE_URL=postgres://user@host:5432/database",
    "leave DATABASE_URL away to use SQLite",
  ]);
}

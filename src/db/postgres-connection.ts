import { type ClientConfig, types } from "pg";
import { AppError } from "../errors.ts";

/**
 * How every connection to PostgreSQL is made, and what its errors mean to callers. Limits are ours, not the server's default:
 * a lost client or a lock that never comes must not hold others for long.
 */
export function connectionConfig(url: string, name: string): ClientConfig {
  return {
    connectionString: url,
    application_name: name,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 15_000,
    lock_timeout: 5_000,
    // A server that is frozen between two statements holds its streams' locks: not longer than others can wait for them.
    idle_in_transaction_session_timeout: 3_000,
    // Our own clock over all of that, for a network that swallows everything.
    query_timeout: 30_000,
    types: { getTypeParser: getTypeParser as typeof types.getTypeParser },
  };
}

const bool = 16;
const bytea = 17;
const int8 = 20;
const numeric = 1700;

/** Values as SQLite gives them: whole numbers and sums are numbers, booleans 0 and 1, bytes a plain Uint8Array. */
function getTypeParser(type: number, format?: "text" | "binary"): (text: string) => unknown {
  if (type === int8 || type === numeric) return toNumber;
  if (type === bool) return (text) => (text === "t" ? 1 : 0);
  if (type === bytea) return (text) => new Uint8Array(Buffer.from(text.slice(2), "hex"));
  return types.getTypeParser(type, format);
}

function toNumber(text: string): number {
  const number = Number(text);
  // As SQLite's driver does: better no answer than a wrong one.
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) throw new RangeError(`${text} is too large for a number`);
  return number;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** Codes with which a connection is over, or never was: shutdowns, limits, broken sockets. */
const lostCodes = /^(08...|57P0[1-5]|53300|25P03|25P04|ECONN[A-Z]+|EPIPE|ETIMEDOUT|EHOST[A-Z]+|ENET[A-Z]+|ENOTFOUND|EAI_[A-Z]+)$/;
const lostMessages =
  /^(Connection terminated|timeout expired|Query read timeout|Client (was closed|has encountered)|timeout exceeded when trying)/;

/** Whether the connection is gone with this error, whatever it was doing. */
export const isLost = (error: unknown): boolean =>
  lostCodes.test(codeOf(error)) || (error instanceof Error && lostMessages.test(error.message));

export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === "23505";

/** Deadlock or serialisation failure: the same again, later, is likely to work. */
export const isRetryable = (error: unknown): boolean => codeOf(error) === "40P01" || codeOf(error) === "40001";

/** A statement waited too long, for a lock or in all. */
export const isTimeout = (error: unknown): boolean => codeOf(error) === "55P03" || codeOf(error) === "57014";

/** A newer server changed a table under a prepared statement; a new connection prepares it anew. */
export const isStalePlan = (error: unknown): boolean =>
  codeOf(error) === "0A000" && error instanceof Error && error.message.includes("cached plan");

/** What a caller hears of an error of PostgreSQL; an unknown one as it is. */
export function fromPostgres(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (codeOf(error) === "53100") {
    return new AppError("disk_full", "the disk that holds Tutti's data is full", {
      why,
      fix: ["free some space, then try again"],
      cause: error,
    });
  }
  if (isTimeout(error) || isRetryable(error)) {
    return new AppError("busy", "the database is busy with the same rows", { why, fix: ["try again in a moment"], cause: error });
  }
  if (isLost(error)) return unreachable(why, error);
  if (/^(28...|3D000)$/.test(codeOf(error))) {
    return new AppError("unreachable", "PostgreSQL refused the connection", {
      why,
      fix: ["check user, password and database in DATABASE_URL"],
      retryable: false,
      cause: error,
    });
  }
  return error;
}

export const unreachable = (why: string, cause?: unknown): AppError =>
  new AppError("unreachable", "the database cannot be reached", {
    why,
    fix: ["try again in a moment", "check that PostgreSQL runs and DATABASE_URL names it"],
    cause,
  });

const names = new Map<string, string>();
const seenOnce = new Set<string>();
const maxNames = 500;

/**
 * The name under which a text is prepared on every connection, from its second use on: lists make many texts that come once.
 * Undefined when it has none; each costs memory in every backend, so there are not many.
 */
export function statementName(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= maxNames) return known;
  if (!seenOnce.delete(text)) {
    if (seenOnce.size > maxNames) seenOnce.clear();
    seenOnce.add(text);
    return undefined;
  }
  const name = `tutti_${names.size + 1}`;
  names.set(text, name);
  return name;
}

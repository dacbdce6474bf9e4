/**
 * The one error object of Tutti: the same over HTTP, in the CLI, for agents and (later) in the dashboard.
 * `code` comes from a closed list; each code has one HTTP status and one exit code of the CLI (docs: `tutti help exit-codes`).
 * Anything that is not an AppError is a bug: let it rise, with its cause, to the entry that turns it into `internal`.
 */
const codes = {
  invalid_input: { status: 400, exit: 2, retryable: false },
  unauthenticated: { status: 401, exit: 4, retryable: false },
  forbidden: { status: 403, exit: 4, retryable: false },
  not_found: { status: 404, exit: 3, retryable: false },
  ambiguous: { status: 409, exit: 3, retryable: false },
  method_not_allowed: { status: 405, exit: 2, retryable: false },
  conflict: { status: 409, exit: 9, retryable: false },
  idempotency_mismatch: { status: 409, exit: 9, retryable: false },
  already_running: { status: 409, exit: 9, retryable: false },
  too_large: { status: 413, exit: 2, retryable: false },
  unsupported_media_type: { status: 415, exit: 2, retryable: false },
  agent_unavailable: { status: 409, exit: 4, retryable: false },
  check_failed: { status: 422, exit: 5, retryable: false },
  failed: { status: 500, exit: 1, retryable: false },
  limited: { status: 429, exit: 7, retryable: true },
  rate_limited: { status: 429, exit: 9, retryable: true },
  busy: { status: 503, exit: 9, retryable: true },
  unreachable: { status: 503, exit: 10, retryable: true },
  timed_out: { status: 504, exit: 8, retryable: true },
  damaged: { status: 503, exit: 11, retryable: false },
  disk_full: { status: 507, exit: 1, retryable: true },
  internal: { status: 500, exit: 1, retryable: false },
} as const;

export type ErrorCode = keyof typeof codes;

/** The closed list. */
export const errorCodes = Object.keys(codes) as ErrorCode[];

/** What a caller sees of an error. `fix` holds commands or actions, the most likely first. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  why: string | null;
  fix: string[];
  retryable: boolean;
}

interface ErrorDetails {
  why?: string;
  fix?: string[];
  retryable?: boolean;
  retryAfterMs?: number;
  cause?: unknown;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly why: string | null;
  readonly fix: string[];
  readonly retryable: boolean;
  /** How long to wait before trying again: the Retry-After of the answer, rounded up to whole seconds. null: nobody knows. */
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "AppError";
    this.code = code;
    this.why = details.why ?? null;
    this.fix = details.fix ?? [];
    this.retryable = details.retryable ?? codes[code].retryable;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  get status(): number {
    return codes[this.code].status;
  }

  get exitCode(): number {
    return codes[this.code].exit;
  }

  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, why: this.why, fix: this.fix, retryable: this.retryable };
  }
}

export const isErrorCode = (value: unknown): value is ErrorCode => typeof value === "string" && Object.hasOwn(codes, value);

/** An error that came over the wire, as the object it was. Unknown codes (a newer server) become `internal`. */
export function errorFromBody(body: Partial<ErrorBody>, retryAfterMs?: number): AppError {
  return new AppError(isErrorCode(body.code) ? body.code : "internal", body.message ?? "the server gave no message", {
    why: body.why ?? undefined,
    fix: body.fix,
    retryable: body.retryable,
    retryAfterMs,
  });
}

/** A disk that is full is the operator's to mend, not a bug; everything else unknown is `internal` and says nothing of its inside. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC" || code === "EDQUOT" || /database or disk is full/i.test(message)) {
    return new AppError("disk_full", "the disk that holds Tutti's data is full", {
      why: message,
      fix: ["free some space, then try again"],
      cause: error,
    });
  }
  return new AppError("internal", "something went wrong inside the server", {
    why: "this is a bug in Tutti; the server's log has the details",
    fix: ["tutti doctor"],
    cause: error,
  });
}

export const notFound = (what: string, id: string, fix: string[] = []): AppError =>
  new AppError("not_found", `${what} "${id}" does not exist`, { fix });

export const invalidInput = (message: string, why?: string, fix: string[] = []): AppError =>
  new AppError("invalid_input", message, { why, fix });

export const conflict = (message: string, why?: string, fix: string[] = []): AppError => new AppError("conflict", message, { why, fix });

export const forbidden = (message: string, why?: string): AppError => new AppError("forbidden", message, { why });

import { AppError, isErrorCode, type ErrorBody } from "../../../src/errors.ts";

/** What a person sees of an error: the same object as on the command line. */
export type Problem = ErrorBody;

/** Any error as the one error object. */
export function problemOf(error: unknown): Problem {
  if (error instanceof AppError) return error.toJSON();
  const given = error as Partial<ErrorBody> | null;
  if (typeof given === "object" && given !== null && isErrorCode(given.code)) {
    return {
      code: given.code,
      message: given.message ?? "",
      why: given.why ?? null,
      fix: given.fix ?? [],
      retryable: given.retryable ?? false,
    };
  }
  const why = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: "something went wrong on this page", why, fix: ["reload the page"], retryable: false };
}

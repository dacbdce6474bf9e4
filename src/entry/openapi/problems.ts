import { AppError, errorCodes, type ErrorCode } from "../../errors.ts";
import type { Entry } from "../../registry.ts";
import { explainedCodes } from "../../explain.ts";
import type { Schema } from "./schemas.ts";

/** Every error is the one error object as problem details (RFC 9457); which codes there are is a closed list for each status. */
export const problemSchemas: Record<string, Schema> = {
  ErrorCode: { type: "string", enum: errorCodes, description: "What kind of error it is: docs/errors.md, `tutti explain <code>`." },
  Problem: {
    type: "object",
    description: "What happened, why, and what to do: the one error object as problem details (RFC 9457).",
    properties: {
      type: { type: "string", description: "`urn:tutti:error:<code>`" },
      title: { type: "string", description: "the code in words" },
      status: { type: "integer", description: "the HTTP status" },
      code: { $ref: "#/components/schemas/ErrorCode" },
      message: { type: "string", description: "what happened, in one line" },
      why: { type: ["string", "null"], description: "why it happened" },
      fix: { type: "array", items: { type: "string" }, description: "commands or actions that mend it, the most likely first" },
      retryable: { type: "boolean", description: "whether the same request may succeed later" },
    },
    required: ["type", "title", "status", "code", "message", "why", "fix", "retryable"],
  },
};

/** A method that a path does not know is none of its operations; only what has a body can have a wrong one. */
const neverAnswered: ErrorCode[] = ["method_not_allowed"];
const aboutBodies: ErrorCode[] = ["too_large", "unsupported_media_type"];

const answered = errorCodes.filter((code) => !neverAnswered.includes(code));
const statusOf = (code: ErrorCode): number => new AppError(code, "").status;
const codesByStatus = Map.groupBy(answered, statusOf);

const headersOf = (status: number): Schema | null => {
  if (status === 401) return { "WWW-Authenticate": { description: "`Bearer`", schema: { type: "string" } } };
  if (status === 429 || status === 503) return { "Retry-After": { description: "seconds to wait", schema: { type: "integer" } } };
  return null;
};

const nameOf = (status: number): string => `Problem${status}`;

/** One response for each status that errors have, under `Problem<status>`. */
export function problemResponses(): Record<string, Schema> {
  return Object.fromEntries(
    [...codesByStatus].map(([status, codes]) => {
      const headers = headersOf(status);
      const narrowed = { type: "object", properties: { status: { const: status }, code: { type: "string", enum: codes } } };
      const schema = { allOf: [{ $ref: "#/components/schemas/Problem" }, narrowed] };
      const description = codes.map((code) => `\`${code}\`: ${explainedCodes[code].means}`).join("\n\n");
      return [nameOf(status), { description, ...(headers && { headers }), content: { "application/problem+json": { schema } } }];
    }),
  );
}

/** The error responses of one operation, by status. Also what is open to anyone may be refused as unauthenticated: its input is the proof. */
export const problemsOf = (kind: Entry["kind"]): Record<string, Schema> =>
  responsesOf(answered.filter((code) => kind === "command" || !aboutBodies.includes(code)));

/** References to the responses of these codes, by status. */
export function responsesOf(codes: readonly ErrorCode[]): Record<string, Schema> {
  const statuses = [...new Set(codes.map(statusOf))].toSorted((a, b) => a - b);
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${nameOf(status)}` }]));
}

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AppError } from "../../errors.ts";

/** On every answer: nothing here is a page, nothing may be guessed, cached by others, framed or used by another site. */
const commonHeaders: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};

export function writeHead(response: ServerResponse, status: number, headers: Record<string, string | number>): void {
  response.writeHead(status, { ...commonHeaders, "cache-control": "no-store", ...headers });
}

/** The one error object as RFC 9457 problem details. */
export function problemOf(error: AppError): { status: number; headers: Record<string, string | number>; body: string } {
  const title = error.code.replaceAll("_", " ");
  const body = JSON.stringify({ type: `urn:tutti:error:${error.code}`, title, status: error.status, ...error.toJSON() });
  const headers: Record<string, string | number> = {
    "content-type": "application/problem+json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  };
  if (error.status === 401) headers["www-authenticate"] = "Bearer";
  if (error.status === 429 || error.status === 503) headers["retry-after"] = Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000));
  return { status: error.status, headers, body };
}

export function answerProblem(response: ServerResponse, error: AppError, more: Record<string, string> = {}): void {
  const { status, headers, body } = problemOf(error);
  writeHead(response, status, { ...headers, ...more });
  response.end(body);
}

export function answerJson(response: ServerResponse, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  writeHead(response, 200, { "content-type": "application/json; charset=utf-8", "content-length": body.length });
  response.end(body);
}

/** JSON (a value, or its text) with a weak ETag; 304 without a body when the caller has it already. */
export function answerTagged(request: IncomingMessage, response: ServerResponse, value: unknown): void {
  const body = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  const etag = `W/"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`;
  const headers = { etag, "cache-control": "private, no-cache" };
  if (names(request.headers["if-none-match"], etag)) {
    writeHead(response, 304, headers);
    response.end();
    return;
  }
  writeHead(response, 200, { ...headers, "content-type": "application/json; charset=utf-8", "content-length": body.length });
  response.end(body);
}

/** Whether an If-None-Match header names this tag (weak comparison). */
export function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const bare = (tag: string): string => tag.trim().replace(/^W\//, "");
  return header.trim() === "*" || header.split(",").some((tag) => bare(tag) === bare(etag));
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BlobBody } from "../../registry.ts";
import { names, writeHead } from "./answer.ts";

type Range = { kind: "whole" } | { kind: "part"; start: number; end: number } | { kind: "unsatisfiable" };

/** What a Range header asks of `size` bytes; both ends inclusive. Several ranges or other units are answered whole, as HTTP allows. */
export function rangeOf(header: string | undefined, size: number): Range {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  const [from, to] = [match?.[1] ?? "", match?.[2] ?? ""];
  if (from === "" && to === "") return { kind: "whole" };
  if (from === "") {
    const last = Number(to);
    return last === 0 || size === 0 ? { kind: "unsatisfiable" } : { kind: "part", start: Math.max(0, size - last), end: size - 1 };
  }
  const start = Number(from);
  if (to !== "" && Number(to) < start) return { kind: "whole" };
  return start >= size ? { kind: "unsatisfiable" } : { kind: "part", start, end: to === "" ? size - 1 : Math.min(Number(to), size - 1) };
}

/** Sends a blob, or a part of it. What an agent made is never shown in our origin: it is a download, in a sandbox of its own. */
export async function sendBlob(request: IncomingMessage, response: ServerResponse, blob: BlobBody): Promise<void> {
  const etag = `"${blob.etag}"`;
  const headers: Record<string, string | number> = {
    etag,
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox; default-src 'none'",
  };
  if (names(request.headers["if-none-match"], etag)) {
    writeHead(response, 304, headers);
    response.end();
    return;
  }
  const sameVersion = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  const range = sameVersion ? rangeOf(request.headers.range, blob.size) : { kind: "whole" as const };
  if (range.kind === "unsatisfiable") {
    writeHead(response, 416, { ...headers, "content-range": `bytes */${blob.size}`, "content-length": 0 });
    response.end();
    return;
  }
  // Fewer bytes than promised would leave the client waiting: then the connection is cut.
  response.strictContentLength = true;
  const [start, end] = range.kind === "part" ? [range.start, range.end] : [0, blob.size - 1];
  if (range.kind === "part") headers["content-range"] = `bytes ${start}-${end}/${blob.size}`;
  writeHead(response, range.kind === "part" ? 206 : 200, { ...headers, "content-type": blob.type, "content-length": end - start + 1 });
  if (request.method === "HEAD" || blob.size === 0) response.end();
  else await pipeline(Readable.from(blob.open(start, end)), response);
}

import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { AppError } from "../../errors.ts";
import { names, writeHead } from "./answer.ts";

/**
 * The built dashboard: a handful of files that are read once, so that a request can never reach another file of the disk.
 * Every path that is not a file is the page itself: the address is the browser's to read. They are open to all who pass the
 * doors, because there is nothing of the person in them.
 */
export interface Pages {
  /** Answers what is a page's or a file's; false when the path belongs to the API. Throws AppError for other methods than GET and HEAD. */
  answer(request: IncomingMessage, response: ServerResponse, path: string): boolean;
}

interface Page {
  body: Buffer;
  gzip: Buffer | null;
  type: string;
  etag: string;
  /** Its name holds the hash of its content. */
  immutable: boolean;
}

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".png": "image/png",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
};

/** What the build writes where each answer's own nonce has to stand. */
const noncePlace = "__NONCE__";

/** As design.md 10 has it: nothing inline but style attributes, nothing from elsewhere, in nobody's frame. */
const policyOf = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `style-src-elem 'self' 'nonce-${nonce}'`,
    "style-src-attr 'unsafe-inline'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");

/** Everything that the API, MCP and the runners' door do not claim. */
export const isPagePath = (path: string): boolean => !/^\/(?:api|mcp|runner)(?:\/|$)/.test(path);

/** Reads the built dashboard. Without one every page says how it is built. */
export function openPages(folder: string): Pages {
  const files = readPages(folder);
  return {
    answer(request, response, path) {
      if (!isPagePath(path) || request.headers.upgrade !== undefined) return false;
      if (request.method !== "GET" && request.method !== "HEAD") return false;
      const file = files.get(path);
      if (file && path !== "/index.html") sendFile(request, response, file);
      else if (extname(path) !== "" && !file) throw new AppError("not_found", `there is nothing at ${path.slice(0, 200)}`);
      else sendPage(request, response, files.get("/index.html") ?? null);
      return true;
    },
  };
}

function readPages(folder: string): Map<string, Page> {
  const files = new Map<string, Page>();
  let found: string[] = [];
  try {
    found = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  for (const path of found) {
    const type = types[extname(path)];
    if (type === undefined) continue;
    const body = readFileSync(path);
    const zipped = /text|svg|json/.test(type) ? gzipSync(body, { level: 9 }) : null;
    const address = `/${relative(folder, path).split(sep).join("/")}`;
    files.set(address, {
      body,
      gzip: zipped && zipped.length < body.length ? zipped : null,
      type,
      etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`,
      immutable: address.startsWith("/assets/"),
    });
  }
  return files;
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: Page): void {
  const headers = {
    etag: file.etag,
    "cache-control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    vary: "accept-encoding",
  };
  if (names(request.headers["if-none-match"], file.etag)) {
    writeHead(response, 304, headers);
    response.end();
    return;
  }
  send(request, response, file.type, file.body, file.gzip, headers);
}

/** Each answer has a nonce of its own, so the page is never taken from a cache. */
function sendPage(request: IncomingMessage, response: ServerResponse, page: Page | null): void {
  const nonce = randomBytes(16).toString("base64");
  const html = page?.body.toString("utf8") ?? notBuilt;
  send(request, response, types[".html"] ?? "", Buffer.from(html.replaceAll(noncePlace, nonce)), null, {
    "content-security-policy": policyOf(nonce),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  });
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  type: string,
  body: Buffer,
  gzip: Buffer | null,
  headers: Record<string, string>,
): void {
  const packed = gzip && /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? "")) ? gzip : null;
  const bytes = packed ?? body;
  writeHead(response, 200, {
    ...headers,
    ...(packed ? { "content-encoding": "gzip" } : {}),
    "content-type": type,
    "content-length": bytes.length,
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

const notBuilt = `<!doctype html><html lang="en"><title>Tutti</title><h1>The dashboard is not built</h1>
<p>The server works; only its pages are missing. <code>npm start</code> builds them.</p></html>`;

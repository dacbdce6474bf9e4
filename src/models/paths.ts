import type { IncomingHttpHeaders } from "node:http";
import type { Protocol } from "./model.ts";
import type { Target } from "./provider.ts";

/** One of the requests that the broker passes on. */
export interface Path {
  protocol: Protocol;
  method: "GET" | "POST";
  /** Where it is at a provider, below its address; the model stands in Google's. */
  at(model: string): string;
  /** What of the query string is passed on; never a key. */
  query: readonly string[];
}

const openai = (path: string, method: Path["method"] = "POST"): [string, Path] => [
  `/v1${path}`,
  { protocol: "openai", method, at: () => path, query: [] },
];
const anthropic = (path: string): [string, Path] => [path, { protocol: "anthropic", method: "POST", at: () => path, query: ["beta"] }];

/** All that is passed on; Google's have the model in them and are read by `googlePath`. */
const paths: ReadonlyMap<string, Path> = new Map([
  openai("/chat/completions"),
  openai("/responses"),
  openai("/embeddings"),
  openai("/models", "GET"),
  anthropic("/v1/messages"),
  anthropic("/v1/messages/count_tokens"),
]);

/** /v1beta/models/<any model>:<method>. https://ai.google.dev/api/generate-content */
function googlePath(path: string): Path | null {
  const method = /^\/v1beta\/models\/[^/:]+:(generateContent|streamGenerateContent|countTokens)$/.exec(path)?.[1];
  if (method === undefined) return null;
  return { protocol: "google", method: "POST", at: (model) => `/v1beta/models/${encodeURIComponent(model)}:${method}`, query: ["alt"] };
}

export const findPath = (path: string): Path | null => paths.get(path) ?? googlePath(path);

/** Whose language a caller speaks, also where nothing is served: it is answered in it. */
export const protocolOf = (path: string, headers: IncomingHttpHeaders): Protocol => {
  const known = findPath(path)?.protocol;
  if (known) return known;
  if (path.startsWith("/v1beta/")) return "google";
  return headers["anthropic-version"] === undefined && !path.startsWith("/v1/messages") ? "openai" : "anthropic";
};

/** The version part may be written in an address or left out; programs differ. Of OpenAI's protocol it belongs to the address. */
const ownVersion: Readonly<Record<Protocol, RegExp>> = { openai: /\/+$/, anthropic: /(\/v1)?\/*$/, google: /(\/v1beta)?\/*$/ };

/** Where a request goes at a provider: always below its address. */
export function urlAt(
  { protocol, baseUrl, model }: Pick<Target, "protocol" | "baseUrl" | "model">,
  path: Path,
  query: URLSearchParams,
): URL {
  const url = new URL(baseUrl.replace(ownVersion[protocol], "") + path.at(model.replace(/^models\//, "")));
  for (const name of path.query) {
    const value = query.get(name);
    if (value !== null) url.searchParams.set(name, value);
  }
  return url;
}

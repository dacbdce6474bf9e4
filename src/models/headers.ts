import type { IncomingHttpHeaders } from "node:http";
import type { Protocol } from "./model.ts";
import type { Target } from "./provider.ts";
import { keyHeaders } from "./upstream.ts";

const requestHeaders: Readonly<Record<Protocol, readonly string[]>> = {
  openai: ["accept", "content-type", "openai-beta"],
  anthropic: ["accept", "content-type", "anthropic-version", "anthropic-beta"],
  google: ["accept", "content-type"],
};
const responseHeader = /^(content-type|cache-control|retry-after(-ms)?|(x-)?request-id|(x|anthropic)-ratelimit-[\w-]+)$/;

/** What a provider hears of a session's request: little of it, never its token, and the provider's own key. */
export function headersFor(given: IncomingHttpHeaders, { protocol, key }: Target, body: Buffer | null): Record<string, string> {
  const kept = requestHeaders[protocol].flatMap((name): [string, string][] =>
    typeof given[name] === "string" ? [[name, given[name]]] : [],
  );
  return {
    // The one that everybody means who names none.
    ...(protocol === "anthropic" ? { "anthropic-version": "2023-06-01" } : {}),
    ...Object.fromEntries(kept),
    // Readable, so that the key can be looked for and the usage found.
    "accept-encoding": "identity",
    "user-agent": "tutti",
    ...(body ? { "content-length": String(body.length) } : {}),
    ...keyHeaders(protocol, key),
  };
}

/** What a session hears of a provider's answer, without the key. */
export const headersBack = (headers: IncomingHttpHeaders, key: string | null): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      responseHeader.test(name) && typeof value === "string" ? [[name, key === null ? value : value.replaceAll(key, "[key]")]] : [],
    ),
  );

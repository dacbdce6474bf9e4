import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import type { Address, Target } from "./outbound.ts";

/** What a receiver made of a request; `said` is the beginning of its answer, as it came. */
export type Answer = { kind: "answered"; status: number; said: string } | { kind: "unreachable"; why: string };

const maxSaidBytes = 4096;

/**
 * One POST to a checked target. The connection goes to the addresses that were checked, whatever the name resolves to by now; a
 * redirect is an answer and is not followed. Never rejects. The signal is the time limit: once the status is there, it stands.
 */
export function post(
  { url, addresses }: Target,
  { path, headers, body }: { path: string; headers: Record<string, string>; body: string },
  signal: AbortSignal,
): Promise<Answer> {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const request = send(url, {
      method: "POST",
      path,
      // A connection for this request alone: none that was made for another target is used.
      agent: false,
      lookup: lookupOf(addresses),
      rejectUnauthorized: true,
      headers: { ...headers, "content-length": String(Buffer.byteLength(body)), "user-agent": "tutti", "accept-encoding": "identity" },
      signal,
    });
    let hasStatus = false;
    const unreachable = (why: string): void => {
      if (!hasStatus) resolve({ kind: "unreachable", why });
    };
    request.on("response", (response) => {
      hasStatus = true;
      void beginningOf(response).then((said) => resolve({ kind: "answered", status: response.statusCode ?? 0, said }));
    });
    request.on("error", (error: NodeJS.ErrnoException) => unreachable(signal.aborted ? "no answer in time" : (error.code ?? "no answer")));
    // An answer that is none of HTTP's own (an upgrade) ends without an error.
    request.on("close", () => unreachable("no answer"));
    request.end(body);
  });
}

/** Answers with what was checked, and asks nobody: a second resolution could differ from the first. */
const lookupOf =
  (addresses: Address[]): LookupFunction =>
  (_hostname, options, done) => {
    const first = addresses[0];
    if (!first) done(new Error("no address was checked"), "");
    else if (options.all) done(null, addresses);
    else done(null, first.address, first.family);
  };

/** The first 4 KB of the body; the rest is not read. */
function beginningOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    const finish = (): void => {
      resolve(Buffer.concat(parts).subarray(0, maxSaidBytes).toString("utf8"));
      response.destroy();
    };
    response.on("data", (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes >= maxSaidBytes) finish();
    });
    for (const end of ["end", "error", "close"]) response.on(end, finish);
  });
}

import type { IncomingMessage } from "node:http";
import { AppError, forbidden } from "../../errors.ts";

/**
 * The doors that stand before every method, path and upgrade, on loopback too: a page in the person's browser can reach a
 * local server, so the Host must be ours (DNS rebinding), the Origin the same as the Host, and the browser must not say that
 * another site asks. The token comes after these.
 */
const ownNames = new Set(["127.0.0.1", "localhost", "::1"]);

const isLocalName = (name: string): boolean => ownNames.has(name) || /^([a-z0-9-]+\.)+localhost$/.test(name);

/** The name in a Host header, in lower case and without the port; null when the header has another form. */
export function hostName(host: string): string | null {
  const match = /^(?:\[([0-9a-f:]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/.exec(host.toLowerCase());
  return match?.[1] ?? match?.[2] ?? null;
}

/** Why a request may not come in before anybody asks for its token; null when it may. `hosts` are names beside the local ones. */
export function refusalAtDoors(
  request: Pick<IncomingMessage, "headersDistinct">,
  hosts: readonly string[],
  { isPage = false }: { isPage?: boolean } = {},
): AppError | null {
  const header = (name: string): string[] => request.headersDistinct[name] ?? [];
  const [host = ""] = header("host");
  const name = header("host").length === 1 ? hostName(host) : null;
  if (name === null || (!isLocalName(name) && !hosts.includes(name))) {
    return new AppError("forbidden", "this Host is not ours", {
      why: "only local names are answered, so that other sites cannot reach this server through a name of theirs",
      fix: ["open it as http://127.0.0.1", "name the host in TUTTI_HOSTS"],
    });
  }
  const origins = header("origin");
  const own = [`http://${host.toLowerCase()}`, `https://${host.toLowerCase()}`];
  if (origins.length > 1 || origins.some((origin) => !own.includes(origin.toLowerCase()))) {
    return forbidden("this Origin is not ours", "requests from pages of other sites are refused");
  }
  // Whoever follows a link from elsewhere to one of our pages comes from another site; the page itself then asks as its own.
  const isVisit = isPage && header("sec-fetch-mode").join() === "navigate" && header("sec-fetch-dest").join() === "document";
  if (!isVisit && header("sec-fetch-site").some((site) => site !== "same-origin" && site !== "none")) {
    return forbidden("this request comes from another site", "the browser says so in Sec-Fetch-Site");
  }
  return null;
}

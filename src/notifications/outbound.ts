import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { invalidInput } from "../errors.ts";
import { hostOf, plainAddress, reachOf } from "./address.ts";

/**
 * What notifications may reach: the guard against server-side request forgery. A url that somebody gave us is asked from inside of
 * our network, so its name is resolved here, every address must be public, and the connection goes to just these addresses
 * (post.ts). A host that may be private is named by the operator in TUTTI_NOTIFY_ALLOW.
 */
export interface Outbound {
  /** The server's own address, for links; "" before it listens. */
  readonly url: string;
  /** The server listens there now: nothing is ever sent to this port of this machine. The first one is the server's address. */
  serve(url: string): void;
  /** Throws AppError invalid_input for a url that may not be reached (now), and for a name that nobody knows. */
  check(url: string, signal?: AbortSignal): Promise<Target>;
}

export interface Address {
  address: string;
  family: 4 | 6;
}

/** A url with the addresses that were looked at; the connection is made to no other. */
export interface Target {
  url: URL;
  addresses: Address[];
}

interface OutboundOptions {
  /** `host` (at 80 and 443) or `host:port`. */
  allow: readonly string[];
  resolve?: (hostname: string) => Promise<Address[]>;
}

/** Throws AppError invalid_input for an entry of `allow` that names no host. */
export function makeOutbound({ allow, resolve = resolveName }: OutboundOptions): Outbound {
  const allowed = allow.map(readAllowed);
  const served: URL[] = [];
  return {
    get url() {
      return served[0]?.origin ?? "";
    },
    serve: (url) => void served.push(new URL(url)),
    async check(text, signal) {
      const url = readUrl(text);
      const host = hostOf(url);
      const port = portOf(url);
      const isNamed = allowed.some((one) => one.host === host && (one.port === null ? usualPorts.includes(port) : one.port === port));
      if (!isNamed && !usualPorts.includes(port)) {
        throw refused(url, `port ${port} is neither 80 nor 443`, `${host}:${port}`);
      }
      const addresses = isIP(host) ? [{ address: host, family: isIP(host) as 4 | 6 }] : await within(resolve(url.hostname), host, signal);
      if (addresses.length === 0) throw unknownName(host);
      for (const { address } of addresses) {
        const reach = reachOf(address);
        if (reach === "forbidden") throw refused(url, "it leads to an address that is never a receiver's", null);
        if (reach === "private" && !isNamed) {
          throw refused(url, "it leads to this machine or into a private network", url.port ? `${host}:${port}` : host);
        }
        if (served.some((own) => portOf(own) === port) && isThisMachine(address)) throw refused(url, "it is Tutti's own address", null);
      }
      return { url, addresses };
    },
  };
}

const usualPorts = [80, 443];
const portOf = ({ port, protocol }: URL): number => (port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));

/** Throws AppError invalid_input. The url itself stays out of messages: it may hold a password. */
export function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") throw invalidInput("url must be an http:// or https:// address");
  if (url.username || url.password) throw invalidInput("url must not carry a name or password", "a token is given as the channel's secret");
  if (url.hash) throw invalidInput("url must not carry a fragment");
  return url;
}

function readAllowed(entry: string): { host: string; port: number | null } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]\\*%]+)(?::(\d{1,5}))?$/.exec(entry);
  const url = match && URL.canParse(`http://${match[1]}`) ? new URL(`http://${match[1]}`) : null;
  const port = match?.[2] === undefined ? null : Number(match[2]);
  if (!url || (port !== null && (port < 1 || port > 65_535))) {
    throw invalidInput(`TUTTI_NOTIFY_ALLOW has "${entry}"`, "it is a list of host or host:port, with commas between them", [
      "TUTTI_NOTIFY_ALLOW=ntfy.lan,192.168.1.5:8080",
    ]);
  }
  return { host: hostOf(url), port };
}

const refused = (url: URL, why: string, allow: string | null) =>
  invalidInput(`notifications may not go to ${url.host}`, why, [
    ...(allow === null ? [] : [`if it is yours: start the server with TUTTI_NOTIFY_ALLOW=${allow}`]),
    "use a public https:// address",
  ]);

const unknownName = (host: string) => invalidInput(`${host} has no address`, "its name cannot be resolved from here");

async function resolveName(hostname: string): Promise<Address[]> {
  const found = await lookup(hostname, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/** A lookup cannot be stopped; when the time is over its answer is not waited for any more. */
async function within(resolving: Promise<Address[]>, host: string, signal: AbortSignal = AbortSignal.timeout(10_000)): Promise<Address[]> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(unknownName(host));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([resolving, over]);
  } catch {
    // Whatever the system says of a name means the same to a person.
    throw unknownName(host);
  } finally {
    signal.removeEventListener("abort", onAbort);
    resolving.catch(() => undefined); // It may still fail when nobody waits.
  }
}

function isThisMachine(address: string): boolean {
  const plain = plainAddress(address);
  const own = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
  return plain === "::1" || plain.startsWith("127.") || own.some((one) => plainAddress(one.address) === plain);
}

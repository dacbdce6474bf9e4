import type { IncomingMessage } from "node:http";
import { browserLifeMs, tokenOf } from "../../access/link.ts";

/**
 * How a browser brings its token: one half as an HttpOnly cookie, the other as a header that only our own pages can send (the
 * key lies in our origin's storage). Neither opens anything alone, so neither a page of another site (it has no key) nor a
 * server on another port of this machine (it is sent the cookie, never the key) can act for the person.
 */
export const keyHeader = "x-tutti-key";

/** Cookies do not know ports: two servers on one machine must not take each other's place. */
export const cookieName = (port: number): string => `tutti_${port}`;

/** The Authorization header that a request has, or that its cookie and key make together; undefined for neither. */
export function credentialOf(request: Pick<IncomingMessage, "headers" | "socket">): string | undefined {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) return authorization;
  const key = request.headers[keyHeader];
  const token = tokenOf(cookieOf(cookie, cookieName(request.socket.localPort ?? 0)), typeof key === "string" ? key : null);
  return token === null ? undefined : `Bearer ${token}`;
}

function cookieOf(header: string | undefined, name: string): string | null {
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return null;
}

/** The Set-Cookie header. `secure` where the page itself came over TLS, which on loopback it does not. */
export const setCookie = (port: number, value: string, secure: boolean): string =>
  [
    `${cookieName(port)}=${value}`,
    "Path=/",
    "HttpOnly",
    "SameSite=Strict",
    `Max-Age=${browserLifeMs / 1_000}`,
    ...(secure ? ["Secure"] : []),
  ].join("; ");

import { z } from "zod";

/** A one-time link to the dashboard. Who opens it gets a browser session: half of its token as a cookie, half as a key in origin storage. */
export const Link = z.object({
  path: z.string().describe("below the server's address; holds the code, which works once"),
  expiresAt: z.number(),
});
export type Link = z.infer<typeof Link>;

export const linkLifeMs = 5 * 60_000;
export const browserLifeMs = 30 * 24 * 3_600_000;

/** The code inside of a link's path; null when it has another form. */
export const isLinkCode = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text);

/**
 * A browser's token in two halves, both of which are needed: cookies do not know ports, so another server on this machine
 * (one that an agent started) would be sent the cookie; it never gets what lies in our origin's storage.
 */
export function halvesOf(token: string): { cookie: string; key: string } {
  const at = token.length - 22;
  return { cookie: token.slice(0, at), key: token.slice(at) };
}

/** The token that a cookie and a key make together; null when one of them is missing. */
export const tokenOf = (cookie: string | null, key: string | null): string | null => (cookie && key ? cookie + key : null);

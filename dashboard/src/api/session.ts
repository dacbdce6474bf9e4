import { problemOf, type Problem } from "./problem.ts";

/**
 * How this browser is let in. A one-time link brings a code; it is exchanged for a cookie (which no script can read) and a key,
 * which lies in this origin's own storage. Every request needs both.
 */
const place = "tutti.key";

export const keyHeader = "x-tutti-key";

/** Empty when this browser was never let in. */
export const storedKey = (): string => localStorage.getItem(place) ?? "";

/**
 * Uses the code in the address, if there is one, and takes it out of the address and the history before anything else, so
 * that it is in no bookmark. Answers what went wrong, or null.
 */
export async function enter(): Promise<Problem | null> {
  const address = new URL(location.href);
  const code = address.searchParams.get("k");
  if (code === null) return null;
  address.searchParams.delete("k");
  history.replaceState(history.state, "", address);
  try {
    const response = await fetch("/api/commands/link.redeem", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    });
    const body = (await response.json()) as { key?: string };
    if (!response.ok || body.key === undefined) return problemOf(body);
    localStorage.setItem(place, body.key);
    return null;
  } catch (error) {
    return problemOf(error);
  }
}

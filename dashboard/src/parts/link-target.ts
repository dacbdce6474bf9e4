/** Where a link in an agent's text may lead. */
export type LinkTarget =
  | { kind: "outside"; href: string; host: string }
  | { kind: "mail"; href: string; host: string }
  | { kind: "inside"; href: string };

/**
 * Judges an address from hostile text: https with its host, mailto, or a path of this dashboard; undefined for everything else
 * (http, data, javascript, other programs' schemes, protocol-relative, with a user name before the host). The host is in its ASCII
 * form, so a look-alike in another script is seen as what it is.
 */
export function linkTarget(address: string): LinkTarget | undefined {
  if (address.length > 2_048) return undefined;
  if (/^[/#?]/.test(address)) return inside(address);
  const url = URL.parse(address);
  if (url === null) return undefined;
  if (url.protocol === "mailto:") {
    const to = url.pathname.split("@").at(-1) ?? "";
    return /^[^,?@\s]+$/.test(to) && url.pathname.includes("@") && !url.pathname.includes(",")
      ? { kind: "mail", href: `mailto:${url.pathname}`, host: to }
      : undefined;
  }
  if (url.protocol !== "https:" || url.username !== "" || url.password !== "") return undefined;
  return { kind: "outside", href: url.href, host: url.host };
}

/** A path is inside only if the browser, too, takes it for one: "//host", "/\host" and "/<tab>/host" leave the site. */
function inside(address: string): LinkTarget | undefined {
  const base = "https://inside.invalid";
  const url = URL.parse(address, base);
  if (url === null || url.origin !== base) return undefined;
  return { kind: "inside", href: address.startsWith("#") ? url.hash : url.pathname + url.search + url.hash };
}

/** The host of an image that is not loaded, for its chip. */
export function imageHost(address: string): string {
  const url = URL.parse(address);
  if (url === null) return "this site";
  return url.host === "" ? url.protocol.slice(0, -1) : url.host;
}

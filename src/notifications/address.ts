import { BlockList, isIP } from "node:net";

/**
 * Where an IP address leads. "public": the internet. "private": this machine or a network of its owner, which a person may name
 * as allowed. "forbidden": nothing that anybody publishes to (metadata of clouds, link-local, multicast, documentation,
 * unspecified, and the obsolete tunnels 6to4 and Teredo, which could carry any of these).
 * By the IANA special-purpose address registries (RFC 6890 and its updates). Pure.
 */
export type Reach = "public" | "private" | "forbidden";

function blocks(family: "ipv4" | "ipv6", subnets: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", bits] = subnet.split("/");
    list.addSubnet(network, Number(bits), family);
  }
  return (address) => list.check(address, family);
}

const forbidden4 = blocks("ipv4", [
  "0.0.0.0/8",
  "100.100.100.200/32",
  "169.254.0.0/16",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
]);
/** With the addresses of carrier-grade NAT, which overlay networks use too. */
const private4 = blocks("ipv4", ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);

const global6 = blocks("ipv6", ["2000::/3"]);
/** Inside of the global part and still not public; and metadata of clouds inside of the private part. */
const forbidden6 = blocks("ipv6", [
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
  "fd00:42::42/128",
  "fd00:ec2::254/128",
  "fd20:ce::254/128",
]);
const private6 = blocks("ipv6", ["::1/128", "fc00::/7"]);

export function reachOf(address: string): Reach {
  switch (isIP(address)) {
    case 4:
      return reachOf4(address);
    case 6:
      return address.includes("%") ? "forbidden" : reachOf6(address);
    default:
      return "forbidden";
  }
}

const reachOf4 = (address: string): Reach => (forbidden4(address) ? "forbidden" : private4(address) ? "private" : "public");

function reachOf6(address: string): Reach {
  const inside = embedded4(groupsOf(address));
  if (inside !== null) return reachOf4(inside);
  if (forbidden6(address)) return "forbidden";
  if (private6(address)) return "private";
  return global6(address) ? "public" : "forbidden";
}

/** The IPv4 address inside of an IPv4-mapped one (::ffff:0:0/96) or of one for NAT64 (64:ff9b::/96, RFC 6052). */
function embedded4(groups: number[]): string | null {
  const prefix = groups
    .slice(0, 6)
    .map((group) => group.toString(16))
    .join(":");
  if (prefix !== "0:0:0:0:0:ffff" && prefix !== "64:ff9b:0:0:0:0") return null;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The eight 16-bit groups, however the address was written. */
function groupsOf(address: string): number[] {
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const numbers = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [numbers(head), numbers(tail)];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** One text for one address: an IPv4 address that stands inside of another one by itself. */
export function plainAddress(address: string): string {
  if (isIP(address) !== 6 || address.includes("%")) return address;
  return embedded4(groupsOf(address)) ?? new URL(`http://[${address}]`).hostname.slice(1, -1);
}

/** A name or address as the WHATWG URL parser writes it: an IPv6 address without its brackets, a name without the root's dot. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");

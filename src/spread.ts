/**
 * A number in [0, 1) that looks random and is the same for the same text, everywhere: what must be spread over time is spread by its
 * name, so that a decision stays a pure function and can be repeated. FNV-1a over UTF-16 units, then the finaliser of MurmurHash3
 * (Austin Appleby, public domain), because names that differ in their last digit only must lie far apart. Not for secrets.
 */
export function fractionOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

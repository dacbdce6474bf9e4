/**
 * Keeps the beginning and the end of an output of any length in bounded memory: errors stand at the end, what was done at the start.
 * The middle is replaced by a line that says how much is missing.
 */
export function cutInTheMiddle(maxBytes: number): { add(chunk: Buffer): void; result(): { output: string; truncated: boolean } } {
  const headSize = Math.ceil(maxBytes / 2);
  const tailSize = maxBytes - headSize;
  const head: Buffer[] = [];
  let headLength = 0;
  let tailTotal = 0;
  // A ring, made only when something comes that the head does not hold.
  let ring = Buffer.alloc(0);

  function addToTail(chunk: Buffer): void {
    if (tailSize > 0 && ring.length === 0) ring = Buffer.alloc(tailSize);
    const part = chunk.subarray(Math.max(0, chunk.length - tailSize));
    const at = tailSize > 0 ? (tailTotal + chunk.length - part.length) % tailSize : 0;
    const fits = Math.min(part.length, tailSize - at);
    part.copy(ring, at, 0, fits);
    part.copy(ring, 0, fits);
    tailTotal += chunk.length;
  }

  function add(chunk: Buffer): void {
    const room = headSize - headLength;
    if (room > 0) {
      // A copy: a slice would keep the whole chunk.
      const part = Buffer.from(chunk.subarray(0, room));
      head.push(part);
      headLength += part.length;
    }
    if (chunk.length > room) addToTail(chunk.subarray(room));
  }

  function result(): { output: string; truncated: boolean } {
    const start = Buffer.concat(head);
    const at = tailSize > 0 ? tailTotal % tailSize : 0;
    const end = tailTotal < tailSize ? ring.subarray(0, tailTotal) : Buffer.concat([ring.subarray(at), ring.subarray(0, at)]);
    const missing = tailTotal - end.length;
    if (missing === 0) return { output: Buffer.concat([start, end]).toString("utf8"), truncated: false };
    const output = `${wholeAtEnd(start).toString("utf8")}\n[... ${missing} bytes left out ...]\n${wholeAtStart(end).toString("utf8")}`;
    return { output, truncated: true };
  }

  return { add, result };
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** Without the half of a character that the cut left at the end. */
function wholeAtEnd(bytes: Buffer): Buffer {
  let at = bytes.length - 1;
  while (at >= 0 && bytes.length - at < 4 && isContinuation(bytes[at])) at--;
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return at + length > bytes.length ? bytes.subarray(0, Math.max(at, 0)) : bytes;
}

function wholeAtStart(bytes: Buffer): Buffer {
  let at = 0;
  while (at < 3 && isContinuation(bytes[at])) at++;
  return bytes.subarray(at);
}

import { crc32, deflateSync, inflateSync } from "node:zlib";

const signature = Buffer.from("89504e470d0a1a0a", "hex");

/**
 * The same picture with at most 256 colours: a page has few, and the many shades at the edges of its letters go to their nearest
 * neighbours. Less than half as large. Takes 8-bit RGB without interlacing, which is what Chromium makes; answers others as they are.
 * Format: https://www.w3.org/TR/png-3/
 */
export function smallPng(png: Buffer): Buffer {
  const chunks = readChunks(png);
  const head = chunks.find(({ type }) => type === "IHDR")?.data;
  if (!head || head[8] !== 8 || head[9] !== 2 || head[12] !== 0) return png;
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  const packed = Buffer.concat(chunks.flatMap(({ type, data }) => (type === "IDAT" ? [data] : [])));
  const pixels = unfiltered(inflateSync(packed), width * 3, height);
  const { palette, indexOf } = paletteOf(pixels);
  const rows = Buffer.alloc((width + 1) * height);
  for (let pixel = 0; pixel < width * height; pixel += 1)
    rows[pixel + Math.floor(pixel / width) + 1] = indexOf.get(pixels.readUIntBE(pixel * 3, 3)) ?? 0;
  const newHead = Buffer.from(head);
  newHead[9] = 3;
  return Buffer.concat([
    signature,
    chunk("IHDR", newHead),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function readChunks(png: Buffer): { type: string; data: Buffer }[] {
  const chunks = [];
  for (let at = signature.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString("latin1", at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** Each row says in its first byte how it is told by what is left of it and above it. */
function unfiltered(told: Buffer, rowBytes: number, height: number): Buffer {
  const pixels = Buffer.alloc(rowBytes * height);
  for (let row = 0; row < height; row += 1) {
    const filter = told[row * (rowBytes + 1)];
    for (let at = 0; at < rowBytes; at += 1) {
      const to = row * rowBytes + at;
      const left = at < 3 ? 0 : (pixels[to - 3] ?? 0);
      const up = row === 0 ? 0 : (pixels[to - rowBytes] ?? 0);
      const corner = at < 3 || row === 0 ? 0 : (pixels[to - rowBytes - 3] ?? 0);
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter ?? 0] ?? 0;
      pixels[to] = (told[row * (rowBytes + 1) + 1 + at] ?? 0) + guess;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [byLeft, byUp, byCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return byLeft <= byUp && byLeft <= byCorner ? left : byUp <= byCorner ? up : corner;
}

/** So many of the most frequent colours are kept as they are. */
const kept = 96;

/**
 * The colours that are there most, then the most frequent one of each region of the colour space, so that a small green mark stays
 * green; and for each colour the number of the nearest of them.
 */
function paletteOf(pixels: Buffer): { palette: Buffer; indexOf: Map<number, number> } {
  const counts = new Map<number, number>();
  for (let at = 0; at < pixels.length; at += 3) {
    const colour = pixels.readUIntBE(at, 3);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const byCount = [...counts].toSorted(([, a], [, b]) => b - a).map(([colour]) => colour);
  const ofRegion = new Map(byCount.toReversed().map((colour) => [colour & 0xf0f0f0, colour]));
  const rest = byCount.slice(kept).filter((colour) => ofRegion.get(colour & 0xf0f0f0) === colour);
  const most = [...byCount.slice(0, kept), ...rest, ...byCount.slice(kept)].slice(0, 256);
  const palette = Buffer.alloc(most.length * 3);
  for (const [index, colour] of most.entries()) palette.writeUIntBE(colour, index * 3, 3);
  const indexOf = new Map([...counts.keys()].map((colour) => [colour, nearest(most, colour)]));
  return { palette, indexOf };
}

function nearest(colours: readonly number[], wanted: number): number {
  let best = 0;
  let least = Infinity;
  for (const [index, colour] of colours.entries()) {
    const distance = [16, 8, 0].reduce((sum, bits) => sum + (((colour >> bits) & 255) - ((wanted >> bits) & 255)) ** 2, 0);
    if (distance >= least) continue;
    [best, least] = [index, distance];
  }
  return best;
}

import type { Readable } from "node:stream";

/** A program sent a line that nobody could want to keep. */
export class LineTooLong extends Error {
  override readonly name = "LineTooLong";
}

/**
 * Whole lines, however the bytes come; never more than `limit` bytes are kept of one. `room` is awaited between pieces of output: a
 * reader that is slow makes the program wait. A line without its end was cut off with the program, and is not given.
 * Throws LineTooLong.
 */
export async function* linesOf(stdout: Readable, limit: number, room: () => Promise<void>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      checkLength(length + end - start, limit);
      yield Buffer.concat(parts).toString("utf8");
      [parts, length, start] = [[], 0, end + 1];
    }
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    checkLength(length, limit);
    await room();
  }
}

function checkLength(length: number, limit: number): void {
  if (length > limit) throw new LineTooLong(`it sent a line of more than ${Math.floor(limit / 1024 / 1024)} MB`);
}

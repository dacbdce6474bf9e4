import { Transform } from "node:stream";

/**
 * Replaces every occurrence of a secret in what flows through, also across the borders of chunks. Holds back only as many
 * bytes as could be the beginning of the secret. Passes all on when there is none.
 */
export function hideSecret(secret: string | null): Transform {
  const wanted = Buffer.from(secret ?? "");
  const instead = Buffer.from("[key]");
  let held: Buffer = Buffer.alloc(0);
  if (wanted.length === 0) return new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, chunk) });
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let rest = Buffer.concat([held, chunk]);
      for (let at = rest.indexOf(wanted); at >= 0; at = rest.indexOf(wanted)) {
        this.push(Buffer.concat([rest.subarray(0, at), instead]));
        rest = rest.subarray(at + wanted.length);
      }
      const keep = lengthOfBeginning(rest, wanted);
      held = rest.subarray(rest.length - keep);
      done(null, rest.subarray(0, rest.length - keep));
    },
    flush(done) {
      done(null, held);
    },
  });
}

/** How many of the last bytes are the first bytes of the secret. */
function lengthOfBeginning(text: Buffer, wanted: Buffer): number {
  for (let length = Math.min(text.length, wanted.length - 1); length > 0; length -= 1) {
    if (text.subarray(text.length - length).equals(wanted.subarray(0, length))) return length;
  }
  return 0;
}

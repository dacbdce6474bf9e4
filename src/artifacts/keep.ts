import type { Reader, Statement } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import type { AttemptOutcome } from "../runners/message.ts";
import {
  artifactLimits,
  isArtifactReference,
  largeBytes,
  previewOf,
  releasePiece,
  type ArtifactReference,
  type Artifacts,
} from "./artifact.ts";
import { sessionTooLarge } from "./limits.ts";
import { insertUse, nameArtifact, sessionBytes } from "./store.ts";

/** A result as it goes into its row: itself, or a reference to the artifact that it became because it is too large. */
export async function keepLarge(artifacts: Artifacts, output: unknown): Promise<unknown> {
  if (output === undefined || output === null || isArtifactReference(output)) return output;
  const type = typeof output === "string" ? "text" : "json";
  const bytes = Buffer.from(typeof output === "string" ? output : JSON.stringify(output));
  return bytes.byteLength > largeBytes ? await putResult(artifacts, bytes, type) : output;
}

async function putResult(artifacts: Artifacts, bytes: Uint8Array, type: ArtifactReference["type"]): Promise<ArtifactReference> {
  const { id, size } = await artifacts.put(bytes);
  return { $artifact: id, size, type, preview: previewOf(bytes) };
}

type Kept = { kind: "small"; bytes: Buffer } | { kind: "large"; reference: ArtifactReference };

/**
 * Reads a stream to its end: up to `maxBytes` into memory, and as soon as it is longer all of it into an artifact, with memory that
 * does not grow: the source's pieces are used up. Rejects with what the stream or the artifacts reject with; the stream is closed then.
 */
export async function keepStream(artifacts: Artifacts, source: AsyncIterable<Uint8Array>, maxBytes = largeBytes): Promise<Kept> {
  const held: Uint8Array[] = [];
  let size = 0;
  const rest = source[Symbol.asyncIterator]();
  while (size <= maxBytes) {
    const next = await rest.next();
    if (next.done) return { kind: "small", bytes: Buffer.concat(held) };
    held.push(next.value);
    size += next.value.byteLength;
  }
  const preview = previewOf(Buffer.concat(held));
  try {
    const { id, size: whole } = await artifacts.put(heldThen(held, rest));
    return { kind: "large", reference: { $artifact: id, size: whole, type: "text", preview } };
  } finally {
    // Whoever writes into the other end must not wait for a reader that gave up.
    await rest.return?.();
  }
}

async function* heldThen(held: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let piece = held.shift(); piece; piece = held.shift()) {
    yield piece;
    releasePiece(piece);
  }
  for (let next = await rest.next(); !next.done; next = await rest.next()) {
    yield next.value;
    releasePiece(next.value);
  }
}

interface Keeping {
  artifacts: Artifacts;
  read: Reader;
  maxSessionBytes?: number;
}

/**
 * An attempt's outcome as its rows will have it, and the statements for the plan that writes them: which artifact the session's
 * result is, so that it is kept, and counted. A result that takes the session over its limit is no result: the attempt failed.
 */
export async function keepResult(
  { artifacts, read, maxSessionBytes = artifactLimits.session }: Keeping,
  { session, outcome }: { session: string; outcome: AttemptOutcome },
  now: number,
): Promise<{ outcome: AttemptOutcome; statements: Statement[] }> {
  if (outcome.kind !== "done") return { outcome, statements: [] };
  try {
    const output = await keepLarge(artifacts, outcome.output);
    if (!isArtifactReference(output)) return { outcome, statements: [] };
    const { $artifact: id, size } = output;
    const bytes = (await sessionBytes(read, session, id)) + size;
    if (bytes > maxSessionBytes) throw sessionTooLarge(session, bytes, maxSessionBytes);
    return { outcome: { ...outcome, output }, statements: [nameArtifact({ id, size }, now), insertUse(session, id)] };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "too_large") throw error;
    const { commit, base, files } = outcome;
    return { outcome: { kind: "failed", reason: "error", message: error.message, retryable: false, commit, base, files }, statements: [] };
  }
}

import { z } from "zod";

/** A result too large for a row: content-addressed (its id is the SHA-256 of its bytes), streamed, size-limited, never changed. */
export interface Artifacts {
  /**
   * Writes bytes so that they are durable when it resolves: only then a row may name them. A piece is done with when the next one is
   * asked for. Throws AppError too_large above the limit.
   */
  put(content: string | Uint8Array | AsyncIterable<Uint8Array>): Promise<{ id: string; size: number }>;
  /** Throws AppError not_found. */
  size(id: string): Promise<number>;
  /** Bytes from `start` up to, not including, `end`, like slice. Each piece belongs to whoever gets it. Throws AppError not_found. */
  open(id: string, start?: number, end?: number): AsyncIterable<Uint8Array>;
  text(id: string): Promise<string>;
}

/**
 * Artifacts as the collector sees them. An artifact's age is counted from when it was last put, on the store's own clock: putting
 * what is there already makes it young again, and `remove` looks at the age and removes in one step. So whoever puts an artifact
 * and then writes the row that names it can never lose it to a collector that had found it unreferenced before.
 */
export interface ArtifactStore extends Artifacts {
  /** Ids of artifacts older than `ageMs`, in order, those behind `after`. */
  listOlderThan(ageMs: number, page: { after: string | null; limit: number }): Promise<string[]>;
  /** Removes the artifact unless it was put within the last `ageMs`. Answers the bytes that it had; null: it is young, or not there. */
  remove(id: string, ageMs: number): Promise<number | null>;
  /** Removes what puts that never ended have left; answers how many. */
  removeLeftovers(): Promise<number>;
  /** Harmless twice. */
  close(): Promise<void>;
}

/** In bytes. A session's are those of all artifacts that its rows name. */
export const artifactLimits = { each: 1024 ** 3, session: 5 * 1024 ** 3 };

/** How long an artifact that nothing references is kept: much longer than it takes from a put to the row that names it. */
export const unreferencedMs = 24 * 60 * 60 * 1000;

/** A result larger than this (in bytes, as JSON or text) is no part of its row. */
export const largeBytes = 256 * 1024;
export const previewBytes = 4 * 1024;

export const ArtifactId = z.string().regex(/^[0-9a-f]{64}$/, "is no artifact's id");

/** What stands in a row, and in expressions, in the place of a result that is too large for it. */
export const ArtifactReference = z.strictObject({
  $artifact: ArtifactId,
  size: z.int().min(0).describe("in bytes"),
  type: z.enum(["text", "json"]),
  preview: z.string().optional().describe("its beginning, for people"),
});
export type ArtifactReference = z.infer<typeof ArtifactReference>;

const marker = "$artifact";

export const isArtifactReference = (value: unknown): value is ArtifactReference =>
  typeof value === "object" && value !== null && marker in value && ArtifactReference.safeParse(value).success;

/** Whether there is something in a value that could be taken for a reference: agents must not make references of their own. */
export function looksLikeReference(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return (!Array.isArray(value) && Object.hasOwn(value, marker)) || Object.values(value).some(looksLikeReference);
}

/** Where an artifact will be as a file, until there is a session in which it has a path. */
export const inputAddress = (id: string): string => `artifact:${id}`;

/** Every reference in a value is replaced; a value without any is answered as it is, not copied. */
export function replaceReferences(value: unknown, replace: (reference: ArtifactReference) => unknown): unknown {
  if (!looksLikeReference(value)) return value;
  if (isArtifactReference(value)) return replace(value);
  if (Array.isArray(value)) return value.map((item) => replaceReferences(item, replace));
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, replaceReferences(item, replace)]));
}

/**
 * Gives the memory of a piece back at once; it must be in nobody's hands any more. Left to the collector of garbage, pieces that are
 * done with add up to 60 MB before it looks at them (measured with Node 24 at 64 KB a piece).
 */
export function releasePiece(piece: Uint8Array): void {
  const { buffer } = piece;
  // A part of something larger is not ours alone.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === piece.byteLength) buffer.transfer(0);
}

/** The first bytes of a result as text, cut between two characters. */
export function previewOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, previewBytes), { stream: true });
  return text.replaceAll("\0", "\ufffd");
}

/** A result too large for a row: content-addressed (its id is the SHA-256 of its bytes), streamed, size-limited, never changed. */
export interface Artifacts {
  /** Writes bytes so that file and folder are on disk when it resolves. Throws AppError too_large above 1 GB. */
  put(content: string | Uint8Array | AsyncIterable<Uint8Array>): Promise<{ id: string; size: number }>;
  /** Throws AppError not_found. */
  size(id: string): Promise<number>;
  /** Bytes from `start` up to, not including, `end`, like slice. Throws AppError not_found. */
  open(id: string, start?: number, end?: number): AsyncIterable<Uint8Array>;
  text(id: string): Promise<string>;
}

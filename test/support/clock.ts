/** A clock that a test moves. `offset` makes a SQLite store follow it: openSqlite({ clockOffset: clock.offset }). */
export interface MovableClock {
  now(): number;
  /** Forwards, or backwards with a negative number of ms. */
  move(ms: number): void;
  readonly offset: SharedArrayBuffer;
}

export function makeMovableClock(): MovableClock {
  const offset = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  const moved = new Float64Array(offset);
  return {
    now: () => Date.now() + (moved[0] ?? 0),
    move: (ms) => void (moved[0] = (moved[0] ?? 0) + ms),
    offset,
  };
}

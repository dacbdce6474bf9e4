import { statfs } from "node:fs/promises";
import { AppError } from "../errors.ts";

/**
 * Whether there is room to start new work. Below a reserve nothing new is started: what is under way needs the rest to end well, and
 * the store to write down that it did. Reading goes on all the time, and whatever needs no room too.
 */
export interface Space {
  /** False from the moment in which less than the reserve is free, or a write failed, until there is room again. */
  mayStart(): boolean;
  /** A write was refused for want of room: believed at once, whatever the file system says (a quota), and looked at again. */
  refused(): void;
  /** What was seen last, in bytes; null before the first look. */
  seen(): { free: number; reserve: number } | null;
  /** Looks now; for the start, and for tests. */
  look(): Promise<void>;
  /** Harmless twice. */
  stop(): void;
}

interface SpaceOptions {
  /** A folder of the disk that is watched. */
  folder: string;
  /** Told of each change, once. */
  onChange?: (mayStart: boolean, seen: { free: number; reserve: number }) => void;
  everyMs?: number;
}

const mostReserved = 64 * 1024 ** 2;

/** Bytes that stay free: one percent of the disk, at most 64 MB. */
export const reserveOf = (total: number): number => Math.min(mostReserved, Math.floor(total / 100));

/**
 * Whether work may be started after a look. It ends below the reserve and begins again with half as much more, so that a disk at
 * the edge does not start and stop with every file that comes and goes.
 */
export const hasRoom = (before: boolean, { free, reserve }: { free: number; reserve: number }): boolean =>
  before ? free >= reserve : free >= reserve * 1.5;

/** Looks every second, from the first `look` on. A disk that cannot be asked (a network drive that hangs) changes nothing. */
export function watchSpace({ folder, onChange, everyMs = 1000 }: SpaceOptions): Space {
  let room = true;
  let last: { free: number; reserve: number } | null = null;
  let looking: Promise<void> | null = null;
  let refusedAgain = false;

  async function lookOnce(): Promise<void> {
    refusedAgain = false;
    const { bavail, blocks, bsize } = await statfs(folder);
    last = { free: bavail * bsize, reserve: reserveOf(blocks * bsize) };
    // What was refused while we looked is newer than what we saw.
    if (!refusedAgain) change(hasRoom(room, last));
  }

  function change(to: boolean): void {
    if (to === room) return;
    room = to;
    onChange?.(to, last ?? { free: 0, reserve: 0 });
  }

  const look = (): Promise<void> => (looking ??= lookOnce().finally(() => (looking = null)));
  const timer = setInterval(() => void look().catch(ignoreUnknown), everyMs);
  timer.unref();
  return {
    mayStart: () => room,
    refused() {
      refusedAgain = true;
      change(false);
    },
    seen: () => last,
    look: () => look().catch(ignoreUnknown),
    stop: () => clearInterval(timer),
  };
}

/** What cannot be asked now is asked again in a second; a write that fails meanwhile says it too. */
const ignoreUnknown = (): undefined => undefined;

/** Calls `refused` when what failed did so for want of room, and throws the error on. */
export function tellIfFull(error: unknown, refused: (() => void) | undefined): never {
  if (error instanceof AppError && error.code === "disk_full") refused?.();
  throw error;
}

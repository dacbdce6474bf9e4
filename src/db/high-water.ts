import { closeSync, fdatasync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { AppError } from "../errors.ts";
import type { Head } from "./chain.ts";

/**
 * How far the store had come, written outside of the store. A SQLite whose write-ahead log was cut or has a wrong bit is no error to
 * SQLite: it is a sound store with fewer rows (measured: 200 of 200). Only somebody who remembers what was there can tell.
 *
 * Two files, `<path>.commits` and `<path>.heads`:
 * - commits (SQLite): the number of the newest transaction, which the rows of `streams` carry too, and the newest event. One `pwrite`
 *   between COMMIT and the answer, into two slots in turn, each with its checksum: a torn one leaves the other. No fsync for that: the
 *   death of the process loses nothing, and after the death of the machine the mark is only older, never ahead of the store.
 * - heads: number and hash of each stream's newest event, written at most once in `everyMs`. It says in which streams something is
 *   missing, and is all there is on PostgreSQL, where a row that every transaction writes would be a queue.
 */
export interface HighWater {
  /** Transactions of the writer; null where they are not counted (PostgreSQL) or the file is missing. */
  commits: number | null;
  heads: ReadonlyMap<string, Head>;
}

/** What the store is missing of its mark. */
export interface Loss {
  /** Transactions; 0 when only streams tell of it. */
  commits: number;
  /** Streams that are shorter than they were (`has` below `had`), or whose event number `had` is another one now. */
  streams: { stream: string; had: number; has: number }[];
}

/** What the store says of itself, as the mark asks it: its number of transactions and the event at each marked position. */
export interface Found {
  commits: number;
  streams: ReadonlyMap<
    string,
    { seq: number; /** Of the event at the mark's number; null: not there (not yet, or cleared away). */ hashAtMark: string | null }
  >;
}

/** Compares the mark with the store; null when nothing of it is missing. The store may be further: a crash before the pwrite, or another server. */
export function findLoss(mark: HighWater, found: Found): Loss | null {
  const streams = [...mark.heads].flatMap(([stream, { seq, head }]) => {
    const now = found.streams.get(stream) ?? { seq: 0, hashAtMark: null };
    const differs = now.seq < seq || (now.hashAtMark !== null && now.hashAtMark !== head);
    return differs ? [{ stream, had: seq, has: now.seq }] : [];
  });
  const commits = Math.max(0, (mark.commits ?? 0) - found.commits);
  return commits > 0 || streams.length > 0 ? { commits, streams } : null;
}

/** What whoever opens a store may say about its mark. */
export interface MarkOptions {
  /** Told that the mark is missing or unreadable. */
  tell?: (note: string) => void;
  /** Goes on without what is missing, after this was told of it; left out: AppError damaged. */
  acceptLoss?: (loss: Loss) => void;
}

/** "3 transactions; stream p: event 12 of 15 is the last" */
export function describeLoss({ commits, streams }: Loss): string {
  const parts = streams
    .slice(0, 5)
    .map(({ stream, had, has }) =>
      has < had ? `${stream} had ${had} events and has ${has}` : `event ${had} of ${stream} is not the one that was written`,
    );
  if (commits > 0) parts.unshift(`${commits} committed ${commits === 1 ? "transaction is" : "transactions are"} missing`);
  if (streams.length > 5) parts.push(`${streams.length - 5} more streams`);
  return parts.join("; ");
}

export const damagedError = (what: string, cause?: unknown): AppError =>
  new AppError("damaged", "the store has lost something that it had acknowledged", {
    why: what,
    fix: [
      "check the disk or volume, and whether an old copy of the store was put in place",
      "tutti restore <backup>   (into an empty home)",
      "tutti verify --accept-loss   (go on without what is missing; the loss is written into the events)",
    ],
    cause,
  });

const slotBytes = 256;

/** One line of ASCII with its checksum, filled up to its fixed size. */
function toSlot(commits: number, newest: string): string {
  const body = `[${commits},${newest}]`;
  return `${checksum(body)} ${body}`.padEnd(slotBytes - 1) + "\n";
}

/** The newest event as JSON for the slot; without it when its stream's name is too long for that. */
function toNewest(stream: string, { seq, head }: Head): string {
  const text = `${JSON.stringify(stream).replaceAll(/[^ -~]/g, toEscape)},${seq},${JSON.stringify(head)}`;
  return text.length <= slotBytes - 32 ? text : noNewest;
}

const noNewest = `"",0,""`;
const toEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

interface Slot {
  commits: number;
  stream: string;
  newest: Head;
}

function fromSlot(text: string): Slot | null {
  const body = text.slice(9).trimEnd();
  if (checksum(body) !== text.slice(0, 8)) return null;
  const [commits, stream, seq, head] = JSON.parse(body) as [number, string, number, string];
  return { commits, stream, newest: { seq, head } };
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, "0");

/** What was read, and sentences about what could not be. */
export interface ReadMark {
  mark: HighWater;
  notes: string[];
}

/** Reads both files. A missing or unreadable one compares as nothing at all and is named in `notes`. */
export function readHighWater(path: string, kind: "sqlite" | "postgres"): ReadMark {
  const notes: string[] = [];
  const heads = new Map<string, Head>();
  const headsText = readIfThere(`${path}.heads`);
  const parsed = headsText === null ? null : fromHeads(headsText);
  if (headsText === null) notes.push(`${path}.heads is not there: what the store had before cannot be compared with it`);
  else if (parsed === null) notes.push(`${path}.heads cannot be read: its streams are not compared`);
  for (const [stream, head] of parsed ?? []) heads.set(stream, head);
  if (kind === "postgres") return { mark: { commits: null, heads }, notes };

  const text = readIfThere(`${path}.commits`);
  const slots = [text?.slice(0, slotBytes), text?.slice(slotBytes)].flatMap((each) => (each ? (fromSlot(each) ?? []) : []));
  const newest = slots.toSorted((a, b) => b.commits - a.commits)[0] ?? null;
  if (text !== null && newest === null) notes.push(`${path}.commits cannot be read: transactions are not compared`);
  if (text === null && headsText !== null) notes.push(`${path}.commits is not there: transactions are not compared`);
  if (newest && newest.newest.seq > (heads.get(newest.stream)?.seq ?? 0)) heads.set(newest.stream, newest.newest);
  return { mark: { commits: newest?.commits ?? null, heads }, notes };
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

const toHeads = (heads: ReadonlyMap<string, Head>): string => {
  const body = JSON.stringify([...heads].map(([stream, { seq, head }]) => [stream, seq, head]));
  return `${checksum(body)} ${body}\n`;
};

function fromHeads(text: string): [string, Head][] | null {
  const body = text.slice(9).trimEnd();
  if (checksum(body) !== text.slice(0, 8)) return null;
  return (JSON.parse(body) as [string, number, string][]).map(([stream, seq, head]) => [stream, { seq, head }]);
}

/** The mark as the writer moves it. */
export interface MovingMark {
  /** After a COMMIT and before its answers: the transaction's number, and the heads that it moved. */
  note(commits: number, moved: ReadonlyMap<string, Head>): void;
  /** Writes what is still to be written. */
  close(): void;
}

interface MoveOptions {
  path: string;
  /** Whether transactions are counted (SQLite). */
  counts: boolean;
  /** The heads as they are in the store. */
  heads: ReadonlyMap<string, Head>;
  /** The heads are written, and the count reaches the disk, at most this often. */
  everyMs: number;
}

/**
 * Moves the mark of one store. Nothing on the disk changes before the first `note`, which puts new files in place of the old ones: who
 * accepts a loss has it written down in the store before the mark is taken back. A mark that cannot be written (a full disk) stays
 * behind, which weakens it and never makes it wrong; so no failure of it fails a commit.
 */
export function moveHighWater({ path, counts, heads: found, everyMs }: MoveOptions): MovingMark {
  const heads = new Map(found);
  let newest = noNewest;
  let file: number | null = null;
  let savedAt = -Infinity;
  let timer: NodeJS.Timeout | null = null;

  function writeSlot(commits: number): void {
    const slot = toSlot(commits, newest);
    if (file !== null) {
      writeSync(file, slot, (commits % 2) * slotBytes, "latin1");
      return;
    }
    replaceFile(`${path}.commits`, slot + slot);
    file = openSync(`${path}.commits`, "r+");
  }

  function saveHeads(): void {
    timer = null;
    savedAt = performance.now();
    replaceFile(`${path}.heads`, toHeads(heads));
    // In the thread pool: whoever commits meanwhile does not wait. What it answers changes nothing, the next second tries again.
    if (file !== null) fdatasync(file, () => undefined);
  }

  return {
    note(commits, moved) {
      for (const [stream, head] of moved) heads.set(stream, head);
      const last = counts ? [...moved].at(-1) : undefined;
      if (last) newest = toNewest(...last);
      if (counts) behindOnFailure(writeSlot, commits);
      if (timer !== null || (moved.size === 0 && savedAt !== -Infinity)) return;
      const wait = savedAt + everyMs - performance.now();
      if (wait <= 0) behindOnFailure(saveHeads);
      else timer = setTimeout(() => behindOnFailure(saveHeads), wait).unref();
    },
    close() {
      if (timer !== null) {
        clearTimeout(timer);
        behindOnFailure(saveHeads);
      }
      const open = file;
      file = null;
      if (open !== null) fdatasync(open, () => closeSync(open));
    },
  };
}

/** Another file in the place of the old one, at once. */
function replaceFile(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function behindOnFailure<Given extends unknown[]>(write: (...given: Given) => void, ...given: Given): void {
  try {
    write(...given);
  } catch (error) {
    // An error of the file system leaves the mark behind; anything else is a bug.
    if (!(error as NodeJS.ErrnoException).syscall) throw error;
  }
}

import type { Artifacts } from "../artifacts/artifact.ts";
import type { Reader } from "../db/plan.ts";
import { listSegments, listTranscripts } from "./store.ts";
import type { TranscriptEntry } from "./session.ts";

/**
 * A transcript is read in its order: turn by turn, in each the artifact that it was sealed into, then the segments that are
 * not sealed yet (sealing takes them away in the same transaction). A place in it is a turn and the number of that turn's
 * entries that were read, so it stays right when the turn is sealed meanwhile.
 */
export interface Place {
  turn: number;
  index: number;
}

interface Sources {
  read: Reader;
  artifacts: Artifacts;
  session: string;
}

/** What a reader knows beside its place, so that it does not read a growing turn from its beginning each time. */
export interface Reading extends Place {
  /** Segments up to this part were read. */
  part: number;
  /** The artifact that was read to its end. */
  artifact: string | null;
  /** Entries still to be passed over: they were read in an earlier request, or as segments before the turn was sealed. */
  skip: number;
}

export const readingFrom = ({ turn, index }: Place): Reading => ({ turn, index, part: -1, artifact: null, skip: index });

/** The place as text, `turn.index`; it is a cursor and a Last-Event-ID. */
export const placeText = ({ turn, index }: Place): string => `${turn}.${index}`;

/** The place that a text names; null when it names none. */
export function placeOf(text: string): Place | null {
  const match = /^(\d{1,9})\.(\d{1,9})$/.exec(text);
  return match ? { turn: Number(match[1]), index: Number(match[2]) } : null;
}

/** All entries that are there behind `reading`, which moves along: after each entry it is the place behind that entry. */
export async function* readOn({ read, artifacts, session }: Sources, reading: Reading): AsyncGenerator<TranscriptEntry> {
  for (const { turn, artifact } of await listTranscripts(read, session, reading.turn)) {
    if (turn > reading.turn) Object.assign(reading, readingFrom({ turn, index: 0 }));
    if (artifact !== null && artifact !== reading.artifact) {
      // Sealed since we read its segments: the artifact begins with what we had.
      reading.skip = reading.index;
      yield* entriesOf(linesOf(artifacts.open(artifact)), reading);
      reading.artifact = artifact;
    }
    for (const { part, data } of await listSegments(read, session, turn, reading.part)) {
      yield* entriesOf(data.split("\n"), reading);
      reading.part = part;
    }
  }
}

async function* entriesOf(lines: Iterable<string> | AsyncIterable<string>, reading: Reading): AsyncGenerator<TranscriptEntry> {
  for await (const line of lines) {
    if (line === "") continue;
    if (reading.skip > 0) {
      reading.skip -= 1;
      continue;
    }
    reading.index += 1;
    yield JSON.parse(line) as TranscriptEntry;
  }
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}

import type { TranscriptEntry } from "../sessions/session.ts";

const flushEveryMs = 250;
const flushAtBytes = 64 * 1024;
/** A single entry is cut above this: an agent that prints a gigabyte must not fill the store. */
const entryLimit = 1024 * 1024;

export interface TranscriptWriter {
  add(entry: Omit<TranscriptEntry, "at" | "turn">): void;
  /** Resolves when everything added so far is stored. Rejects when the attempt is no longer ours. */
  flush(): Promise<void>;
}

/**
 * Collects a turn's entries and hands them on in numbered parts, every 250 ms or 64 KB, one part at a time. Neighbouring
 * pieces of text become one entry, so that a stream of words is stored as sentences.
 */
export function writeTranscript(options: {
  turn: number;
  now(): number;
  send(part: number, entries: TranscriptEntry[]): Promise<void>;
}): TranscriptWriter {
  let waiting: TranscriptEntry[] = [];
  let bytes = 0;
  let part = 0;
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> = Promise.resolve();
  let failure: Error | null = null;

  function push(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    if (waiting.length === 0) return;
    const entries = waiting;
    waiting = [];
    bytes = 0;
    part += 1;
    const number = part;
    sending = sending
      .then(() => options.send(number, entries))
      .catch((error: unknown) => {
        failure ??= error instanceof Error ? error : new Error(String(error));
      });
  }

  return {
    add(entry) {
      const text =
        entry.text.length > entryLimit ? `${entry.text.slice(0, entryLimit)}\n[cut: ${entry.text.length} characters]` : entry.text;
      const last = waiting.at(-1);
      if (last && (entry.kind === "text" || entry.kind === "thought") && last.kind === entry.kind) last.text += text;
      else waiting.push({ ...entry, text, turn: options.turn, at: options.now() });
      bytes += text.length;
      if (bytes >= flushAtBytes) push();
      else timer ??= setTimeout(push, flushEveryMs);
    },
    async flush() {
      push();
      await sending;
      if (failure) throw failure;
    },
  };
}

import { useEffect, useRef, useState } from "react";
import type { TranscriptEntry } from "../../../../src/sessions/session.ts";
import { client } from "../../api/client.ts";
import { problemOf, type Problem } from "../../api/problem.ts";
import { type LiveText, onSession } from "../../live/live.ts";

export interface Transcript {
  entries: readonly TranscriptEntry[];
  /** What is being said just now and is not among the entries yet. */
  live: readonly LiveText[];
  /** Everything that there is has been read. */
  complete: boolean;
  problem: Problem | null;
  retry: () => void;
}

const perPage = 500;

/**
 * A session's conversation, kept complete: pages from its beginning, then from the place behind the last entry whenever the
 * stream says that there is more. Places are never asked for twice, so nothing comes twice.
 */
export function useTranscript(session: string): Transcript {
  const [entries, setEntries] = useState<readonly TranscriptEntry[]>([]);
  const [live, setLive] = useState<readonly LiveText[]>([]);
  const [complete, setComplete] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const again = useRef<() => void>(() => undefined);

  useEffect(() => {
    const gone = new AbortController();
    let cursor: string | undefined;
    let reading = false;
    let wanted = false;
    const read = async (): Promise<void> => {
      wanted = true;
      if (reading) return;
      reading = true;
      try {
        while (wanted && !gone.signal.aborted) {
          wanted = false;
          const page = await client.query("session.transcript", { id: session, limit: perPage, cursor }, { signal: gone.signal });
          cursor = page.at;
          if (page.items.length > 0) {
            setEntries((now) => [...now, ...page.items]);
            // What was live stands among the entries now, as far as it was finished; the rest is told again by what follows.
            setLive([]);
          }
          if (page.next !== null) wanted = true;
          else setComplete(true);
          setProblem(null);
        }
      } catch (error) {
        if (!gone.signal.aborted) setProblem(problemOf(error));
      } finally {
        reading = false;
      }
    };
    again.current = () => void read();
    setEntries([]);
    setLive([]);
    setComplete(false);
    const off = onSession(session, (heard) => {
      if (heard === null) void read();
      else setLive((now) => join(now, heard));
    });
    void read();
    return () => {
      gone.abort();
      off();
    };
  }, [session]);

  return { entries, live, complete, problem, retry: () => again.current() };
}

/** Pieces of one kind are one text; only its end is kept, because all of it is stored. */
function join(now: readonly LiveText[], heard: LiveText): readonly LiveText[] {
  const last = now.at(-1);
  if (last?.kind !== heard.kind || last.turn !== heard.turn) return [...now.slice(-20), heard];
  return [...now.slice(0, -1), { ...last, text: (last.text + heard.text).slice(-20_000) }];
}

import { useEffect, useRef, useState } from "react";
import { client } from "../../api/client.ts";
import { problemOf, type Problem } from "../../api/problem.ts";
import { type LiveText, onSession } from "../../live/live.ts";
import { grown, type TurnBlocks } from "./blocks.ts";

/** What was read of a conversation. */
interface Read {
  turns: readonly TurnBlocks[];
  /** How many entries that is. */
  count: number;
  /** The place behind them; undefined: nothing was read yet. */
  cursor: string | undefined;
  /** Everything that there is has been read. */
  complete: boolean;
}

export interface Transcript extends Pick<Read, "turns" | "complete"> {
  /** What is being said just now and is not among the turns yet. */
  live: readonly LiveText[];
  problem: Problem | null;
  retry: () => void;
}

const perPage = 500;
/** While a long conversation is read, it is drawn this often, ms. */
const drawEveryMs = 300;
/** What was heard live is stored a moment later, and nothing tells when; by then it is, ms. */
const storedAfterMs = 700;

const nothing: Read = { turns: [], count: 0, cursor: undefined, complete: false };

/** The conversations that were read last: whoever comes back to one goes on where it was. */
const kept = new Map<string, Read>();
const mostKept = 3;

function keep(session: string, read: Read): void {
  kept.delete(session);
  kept.set(session, read);
  const [oldest] = kept.keys();
  if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
}

/**
 * A session's conversation, kept complete: pages from its beginning, then from the place behind the last entry whenever the
 * stream says that there is more. Places are never asked for twice, so nothing comes twice.
 */
export function useTranscript(session: string): Transcript {
  const [shown, setShown] = useState<Read>(() => kept.get(session) ?? nothing);
  const [live, setLive] = useState<readonly LiveText[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const again = useRef<() => void>(() => undefined);

  useEffect(() => {
    const gone = new AbortController();
    let now = kept.get(session) ?? nothing;
    let reading = false;
    let wanted = false;
    let drawnAt = 0;
    let heardAt = 0;
    let later: ReturnType<typeof setTimeout> | undefined;
    const draw = (): void => {
      drawnAt = performance.now();
      keep(session, now);
      setShown(now);
    };
    const read = async (): Promise<void> => {
      wanted = true;
      if (reading) return;
      reading = true;
      try {
        while (wanted && !gone.signal.aborted) {
          wanted = false;
          const page = await client.query(
            "session.transcript",
            { id: session, limit: perPage, cursor: now.cursor },
            { signal: gone.signal },
          );
          const complete = page.next === null;
          if (page.items.length > 0 || complete !== now.complete) {
            now = { turns: grown(now.turns, page.items, now.count), count: now.count + page.items.length, cursor: page.at, complete };
            // What was live stands among the entries now, as far as it was finished; the rest is told again by what follows.
            setLive([]);
            if (complete || performance.now() - drawnAt > drawEveryMs) draw();
          }
          if (!complete) wanted = true;
          setProblem(null);
        }
      } catch (error) {
        if (!gone.signal.aborted) setProblem(problemOf(error));
      } finally {
        reading = false;
      }
    };
    /** Once more when it is quiet: by then everything that was heard is stored, so nothing of it is live any more. */
    const readLater = (): void => {
      clearTimeout(later);
      later = setTimeout(() => {
        const askedAt = performance.now();
        void read().then(() => {
          if (!gone.signal.aborted && heardAt < askedAt - storedAfterMs / 2) setLive([]);
        });
      }, storedAfterMs);
    };
    again.current = () => void read();
    setShown(now);
    setLive([]);
    const off = onSession(session, (heard) => {
      if (heard === null) void read();
      else {
        heardAt = performance.now();
        setLive((before) => join(before, heard));
      }
      readLater();
    });
    void read();
    return () => {
      gone.abort();
      clearTimeout(later);
      off();
    };
  }, [session]);

  return { turns: shown.turns, complete: shown.complete, live, problem, retry: () => again.current() };
}

/** Pieces of one kind are one text; only its end is kept, because all of it is stored. */
function join(now: readonly LiveText[], heard: LiveText): readonly LiveText[] {
  const last = now.at(-1);
  if (last?.kind !== heard.kind || last.turn !== heard.turn) return [...now.slice(-20), heard];
  return [...now.slice(0, -1), { ...last, text: (last.text + heard.text).slice(-20_000) }];
}

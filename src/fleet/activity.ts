import { list, sql, type Reader } from "../db/plan.ts";
import { TranscriptEntry } from "../sessions/session.ts";

/** The last sign of life of a session. */
export interface Activity {
  turn: number;
  at: number;
  /** What it said or did last, in one line; null: nothing yet. */
  line: string | null;
}

interface TurnRow {
  session: string;
  turn: number;
  outcome: string | null;
  started_at: number;
  finished_at: number | null;
  tail: string | null;
}

/** Enough for the last entry of nearly every segment; what is longer is shown by its end. */
const tailLength = 4_000;

/** Of the newest turn of each session, from the last entry of its transcript while it goes on, from its outcome afterwards. */
export async function activityOf(read: Reader, sessions: readonly string[]): Promise<Map<string, Activity>> {
  const rows = await read.all<TurnRow>(sql`
    select u.session, u.turn, u.outcome, u.started_at, u.finished_at,
           (select substr(g.data, case when length(g.data) > ${tailLength} then length(g.data) - ${tailLength - 1} else 1 end)
              from transcript_segments g where g.session = u.session and g.turn = u.turn order by g.part desc limit 1) as tail
      from (select session, max(turn) as turn from turns where session in (${list(sessions)}) group by session) as n
      join turns u on u.session = n.session and u.turn = n.turn`);
  return new Map(rows.map((row) => [row.session, toActivity(row)]));
}

function toActivity({ turn, outcome, started_at: startedAt, finished_at: finishedAt, tail }: TurnRow): Activity {
  if (tail !== null) {
    const entry = lastEntry(tail);
    if (entry) return { turn, at: entry.at, line: lineOf(entry) };
    // The end of an entry that is longer than the tail: its time stands last, its text before.
    return { turn, at: endingAt(tail) ?? startedAt, line: null };
  }
  const ended = outcome === null ? null : (JSON.parse(outcome) as { kind: string; output?: string; message?: string; question?: string });
  const said = ended?.output ?? ended?.message ?? ended?.question ?? null;
  return { turn, at: finishedAt ?? startedAt, line: said === null || said === "" ? null : oneLine(said) };
}

function lastEntry(tail: string): TranscriptEntry | null {
  const line = tail.trimEnd().split("\n").at(-1) ?? "";
  try {
    return TranscriptEntry.parse(JSON.parse(line));
  } catch {
    return null; // cut in the middle
  }
}

/** The number of an entry's last field, `at`, of which only the end is known. */
export function endingAt(tail: string): number | null {
  const match = /"at":(\d{1,15})\}\s*$/.exec(tail.slice(-100));
  return match ? Number(match[1]) : null;
}

function lineOf({ kind, name, state, text }: TranscriptEntry): string {
  if (kind === "tool" || kind === "permission") return oneLine([name, state, text].filter(Boolean).join(" "));
  // The end of what was said is the newest of it.
  const last = text
    .trimEnd()
    .split("\n")
    .findLast((line) => line.trim() !== "");
  return oneLine(
    kind === "text" || kind === "thought"
      ? (last ?? "")
      : `${kind}${state ? ` ${state}` : ""}: ${text.trimStart().split("\n", 1)[0] ?? ""}`,
  );
}

const longestLine = 200;

/** Without control characters and line breaks, cut at 200 characters. */
export function oneLine(text: string): string {
  const line = text
    .slice(0, 4 * longestLine)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  return line.length > longestLine ? `${line.slice(0, longestLine - 1)}…` : line;
}

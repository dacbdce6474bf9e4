import type { Artifacts } from "../artifacts/artifact.ts";
import { sql, type Reader } from "../db/plan.ts";
import type { TranscriptEntry } from "../sessions/session.ts";
import { listSegments, listTranscripts } from "../sessions/store.ts";
import { getTaskDetails } from "./store.ts";
import type { TaskDetails, TaskView } from "./task.ts";

interface TurnRow {
  session: string;
  turn: number;
  attempt: number;
  usage_json: string | null;
  started_at: number;
  finished_at: number | null;
}

/** A task with all that its page shows beside the transcript and the diff. Throws AppError not_found. */
export async function viewTask(read: Reader, artifacts: Artifacts, id: string): Promise<TaskView> {
  const details = await getTaskDetails(read, id);
  const [project, turns, approvals, checks] = await Promise.all([
    read.one<{ name: string }>(sql`select name from projects where id = ${details.project}`),
    read.all<TurnRow>(sql`
      select u.session, u.turn, u.attempt, u.usage_json, u.started_at, u.finished_at from sessions s join turns u on u.session = s.id
       where s.task = ${id} order by u.started_at desc, u.turn desc limit 500`),
    read.all<{ id: string }>(sql`select id from approvals where state = 'open' and task = ${id} order by created_at, id`),
    checksOf(read, artifacts, details),
  ]);
  const byTurn = turns
    .toReversed()
    .map(({ session, turn, attempt, usage_json: usage, started_at: startedAt, finished_at: finishedAt }) => ({
      session,
      turn,
      attempt,
      usage: usage === null ? null : (JSON.parse(usage) as NonNullable<TaskView["usage"]["byTurn"][number]["usage"]>),
      startedAt,
      finishedAt,
    }));
  return {
    ...details,
    projectName: project?.name ?? details.project,
    usage: sumOf(byTurn),
    approvals: approvals.map((row) => row.id),
    checks,
  };
}

function sumOf(byTurn: TaskView["usage"]["byTurn"]): TaskView["usage"] {
  const used = byTurn.flatMap(({ usage }) => usage ?? []);
  const sum = (field: "inputTokens" | "outputTokens" | "cachedTokens"): number => used.reduce((all, usage) => all + usage[field], 0);
  const costs = used.flatMap(({ costUsd }) => costUsd ?? []);
  return {
    turns: byTurn.length,
    inputTokens: sum("inputTokens"),
    outputTokens: sum("outputTokens"),
    cachedTokens: sum("cachedTokens"),
    costUsd: costs.length === 0 ? null : costs.reduce((all, cost) => all + cost, 0),
    byTurn,
  };
}

const tailBytes = 256 * 1024;
const mostChecks = 20;
const outputTail = 4_000;

/**
 * How the task's check went, turn by turn. The transcript has it near the end of each turn, so only the ends are read: a turn whose
 * check said more than 256 KB is read whole.
 */
async function checksOf(read: Reader, artifacts: Artifacts, { spec, session }: TaskDetails): Promise<TaskView["checks"]> {
  if (spec.kind !== "agent" || !spec.check || session === null) return [];
  const turns = (await listTranscripts(read, session, 0)).slice(-mostChecks);
  const entries = await Promise.all(
    turns.map(async ({ turn, artifact }) => [
      ...(artifact === null ? [] : await endOf(artifacts, artifact)),
      ...(await listSegments(read, session, turn, -1)).flatMap(({ data }) => checksIn(data)),
    ]),
  );
  return entries.flat().map(({ name, state, text, at }) => ({
    name: name ?? "check",
    state: state === "passed" ? "passed" : "failed",
    output: text.length > outputTail ? `…${text.slice(-outputTail)}` : text,
    at,
  }));
}

async function endOf(artifacts: Artifacts, id: string): Promise<TranscriptEntry[]> {
  const size = await artifacts.size(id);
  const start = Math.max(0, size - tailBytes);
  const found = checksIn(await textOf(artifacts.open(id, start)), start > 0);
  return found.length > 0 || start === 0 ? found : checksIn(await artifacts.text(id));
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** The check entries of JSON lines; `cut`: the first line is the end of one. */
function checksIn(text: string, cut = false): TranscriptEntry[] {
  const lines = text.split("\n").slice(cut ? 1 : 0);
  return lines
    .filter((line) => line.includes('"check"'))
    .map((line) => JSON.parse(line) as TranscriptEntry)
    .filter(({ kind }) => kind === "check");
}

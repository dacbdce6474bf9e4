import { newAgentToken } from "../access/grant.ts";
import { addAgentToken } from "../access/store.ts";
import type { Agent } from "../agents/agent.ts";
import { findAgent } from "../agents/store.ts";
import { sql, type Db, type Reader } from "../db/plan.ts";
import { ProjectSettings } from "../projects/project.ts";
import type { Connection } from "../runners/connections.ts";
import type { Assignment } from "../runners/message.ts";
import { commitsOf } from "../sessions/bring-commit.ts";
import { listPacks } from "../sessions/packs-store.ts";
import { taskColumns } from "../tasks/store.ts";
import type { TaskSpec } from "../tasks/task.ts";
import { labelOf, type AssignOptions, type Start } from "./assign.ts";
import { findProject, listStopsOf, type ProjectRow, type ReadyTask } from "./store.ts";

/**
 * Makes an assignment's message out of rows. It can be made again at any time, so no message to a runner is ever stored: whoever
 * connects, after whatever happened, is told what it has in hand.
 */

/** What a connection was told of, as task#attempt, and what it is going to be told by whoever assigns it just now. */
interface Told {
  told: Set<string>;
  coming: Set<string>;
}

const toldTo = new WeakMap<Connection, Told>();

function toldOf(connection: Connection): Told {
  const known = toldTo.get(connection) ?? { told: new Set(), coming: new Set() };
  toldTo.set(connection, known);
  return known;
}

const stopMark = "stop ";

const keyOf = ({ task, attempt }: { task: string; attempt: number }): string => `${task}#${attempt}`;

/**
 * Says that whoever assigns an attempt tells the runner of it by itself, so that `deliverAttempts` does not tell it too as soon as the
 * rows are there. Answers what ends that: with the message, or, when nothing was written, without.
 */
export function willDeliver(connection: Connection, attempt: { task: string; attempt: number }): (message: Assignment | null) => void {
  const { told, coming } = toldOf(connection);
  const key = keyOf(attempt);
  coming.add(key);
  return (message) => {
    coming.delete(key);
    if (!message) return;
    told.add(key);
    connection.send(message);
  };
}

interface TurnBefore {
  turn: number;
  prompt: string;
  outcome: string | null;
  state: string;
}

export const pastOf = (read: Reader, session: string): Promise<TurnBefore[]> =>
  read.all<TurnBefore>(sql`select turn, prompt, outcome, state from turns where session = ${session} order by turn`);

type MessageOptions = Pick<AssignOptions, "db" | "url" | "brokerOf" | "sharesWork">;
type MessageStart = Pick<Start, "task" | "spec" | "agent" | "attempt" | "session" | "runner" | "token">;

/** `turns` null: the session is new. */
export async function assignmentOf(
  options: MessageOptions,
  { project, settings }: { project: ProjectRow; settings: ProjectSettings },
  { task, spec, agent, attempt, session, runner, token }: MessageStart,
  turns: TurnBefore[] | null,
): Promise<Assignment> {
  const broker = agent ? await options.brokerOf(agent) : null;
  const isAtHome = session.runner === null || session.runner === runner.id;
  const last = turns?.at(-1);
  const goesOn = session.base !== null && session.commit !== null ? { base: session.base, commit: session.commit } : null;
  const { sharesWork: wantsPacks = false } = options;
  return {
    kind: "assign",
    task: task.id,
    attempt,
    title: task.title,
    project: {
      id: project.id,
      source: project.source,
      baseBranch: project.base_branch,
      sandbox: settings.sandbox,
      setup: settings.setup,
      deliver: settings.deliver,
    },
    session: session.id,
    branch: session.branch,
    spec,
    agent,
    access: token === null ? null : { url: options.url, token: token.text },
    broker: broker && token !== null ? { ...broker, token: token.text } : null,
    vendorSession: isAtHome ? session.vendorSession : null,
    past: (turns ?? []).flatMap(({ prompt, outcome }) => {
      const ended = outcome === null ? null : (JSON.parse(outcome) as { kind: string; output?: string });
      return ended?.kind === "done" ? [{ prompt, output: ended.output ?? "" }] : [];
    }),
    interrupted: last !== undefined && last.outcome === null,
    nextTurn: (last?.turn ?? 0) + 1,
    goesOn,
    wantsPacks,
    packs: wantsPacks ? await listPacks(options.db.read, project.id, commitsOf(spec, goesOn)) : [],
    publish: task.run || spec.kind !== "agent" ? null : session.branch,
    label: labelOf(task),
  };
}

interface AttemptInHand extends ReadyTask {
  session_branch: string;
  vendor_session: string | null;
  session_runner: string | null;
  base: string | null;
  commit_id: string | null;
}

const inHand = (read: Reader, runner: string, epoch: number): Promise<AttemptInHand[]> =>
  read.all<AttemptInHand>(sql`
    select ${taskColumns}, d.spec, d.follow_up, s.branch as session_branch, s.vendor_session, s.runner as session_runner, s.base, s.commit_id
      from tasks t join task_details d on d.task = t.id join sessions s on s.id = t.session
     where t.runner = ${runner} and t.runner_epoch = ${epoch} and t.state in ('starting', 'running', 'needs you')`);

/**
 * Tells a connected runner of the attempts that were given to it and that it was not told of on this connection. What it runs already it
 * passes over. Each gets a fresh token, as the store keeps none.
 */
export async function deliverAttempts(options: MessageOptions & Pick<AssignOptions, "now">, connection: Connection): Promise<void> {
  const { db } = options;
  const { told, coming } = toldOf(connection);
  const before = new Set(told);
  const rows = await inHand(db.read, connection.runner, connection.epoch);
  const current = new Set(rows.map(({ id, attempt }) => keyOf({ task: id, attempt })));
  // What was said while we read may not be there yet.
  for (const key of before) if (!current.has(key.replace(stopMark, ""))) told.delete(key);
  for (const row of rows) {
    const attempt = { task: row.id, attempt: row.attempt };
    const key = keyOf(attempt);
    if (told.has(key) || coming.has(key)) continue;
    const tell = willDeliver(connection, attempt);
    // It counts as told when it was sent, not before: should the store be away just now, the next look makes the message.
    let message: Assignment | null = null;
    try {
      message = await messageAgain(options, connection, row);
    } finally {
      tell(message);
    }
  }
}

async function messageAgain(
  options: MessageOptions & Pick<AssignOptions, "now">,
  { runner: id, epoch }: Connection,
  row: AttemptInHand,
): Promise<Assignment | null> {
  const { db } = options;
  const { id: task, attempt, session } = row;
  const project = await findProject(db.read, row.project);
  if (!project || session === null) return null;
  const agent: Agent | null = row.agent === null ? null : await findAgent(db.read, row.agent);
  const token = agent && newAgentToken(task, attempt);
  if (token) await db.commit({ statements: [addAgentToken(task, attempt, token.hash)], events: [] });
  const spec = JSON.parse(row.spec) as TaskSpec;
  if (spec.kind === "agent" && row.follow_up !== null) spec.prompt = row.follow_up;
  const { session_branch: branch, vendor_session: vendorSession, session_runner: runner, base, commit_id: commit } = row;
  const start: MessageStart = {
    task: row,
    spec,
    agent,
    attempt,
    session: { id: session, branch, isNew: false, vendorSession, runner, base, commit },
    runner: { id, epoch, capacity: null, active: 0, isHere: true },
    token,
  };
  const settings = ProjectSettings.parse(JSON.parse(project.settings));
  return await assignmentOf(options, { project, settings }, start, await pastOf(db.read, session));
}

/** Tells a connected runner once of each attempt that somebody wants to end. */
export async function deliverStops({ read }: Db, connection: Connection): Promise<void> {
  const { told } = toldOf(connection);
  for (const { id: task, attempt } of await listStopsOf(read, connection.runner, connection.epoch)) {
    const key = stopMark + keyOf({ task, attempt });
    if (told.has(key)) continue;
    told.add(key);
    connection.send({ kind: "cancel", task, attempt });
  }
}

import type { Reader } from "../db/plan.ts";
import { isTerminal, type State } from "../tasks/task.ts";
import { noUsage, usageOfTasks } from "../tasks/usage.ts";
import { activityOf } from "./activity.ts";
import type { FleetSession } from "./fleet.ts";
import { listWork, type WorkRow } from "./store.ts";

/** The order of attention. */
export const attention: readonly State[] = ["needs you", "failed", "running", "starting", "queued", "paused", "done", "cancelled"];

const day = 24 * 3_600_000;

export interface Place {
  state: State;
  at: number;
  id: string;
}

interface Options {
  project?: string;
  agent?: string;
  /** Only these; left out: all that is not over, and what failed within a day. */
  states?: readonly State[];
  after: Place | null;
  limit: number;
  now: number;
}

/** Work in the order of attention: state by state, until the page is full. `next` is the place of its last item. */
export async function listFleetSessions(read: Reader, options: Options): Promise<{ items: FleetSession[]; next: Place | null }> {
  const { project, agent, states, after, limit, now } = options;
  const wanted = attention.filter((state) => (states ? states.includes(state) : state !== "done" && state !== "cancelled"));
  const rows: WorkRow[] = [];
  for (const state of wanted) {
    if (rows.length > limit || (after && attention.indexOf(state) < attention.indexOf(after.state))) continue;
    rows.push(
      ...(await listWork(read, {
        state,
        project,
        agent,
        since: state === "failed" && !states ? now - day : null,
        newestFirst: isTerminal(state),
        after: after?.state === state ? after : null,
        limit: limit + 1 - rows.length,
      })),
    );
  }
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last ? { state: last.state, at: last.updated_at, id: last.id } : null;
  return { items: await dress(read, shown), next };
}

async function dress(read: Reader, rows: WorkRow[]): Promise<FleetSession[]> {
  const [usage, activity] = await Promise.all([
    usageOfTasks(
      read,
      rows.map(({ id }) => id),
    ),
    activityOf(
      read,
      rows.flatMap(({ session }) => session ?? []),
    ),
  ]);
  return rows.map((row) => {
    const last = row.session === null ? undefined : activity.get(row.session);
    const settings = row.settings === null ? null : (JSON.parse(row.settings) as { model?: string });
    return {
      session: row.session,
      task: row.id,
      title: row.title,
      agent: row.agent,
      backend: row.backend,
      model: settings?.model ?? null,
      project: row.project,
      projectName: row.project_name ?? row.project,
      state: row.state,
      reason: row.reason,
      message: row.question ?? row.message,
      since: row.updated_at,
      startedAt: row.started_at,
      turn: last?.turn ?? null,
      ...(usage.get(row.id) ?? noUsage),
      lastActivity: last?.line ?? null,
      lastActivityAt: last?.at ?? null,
      demo: row.demo === 1,
      run: row.run,
      step: row.step,
    };
  });
}

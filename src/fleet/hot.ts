import type { Hot } from "./fleet.ts";

/** A piece of work that runs, with what may make it worth a look. */
export interface Running {
  task: string;
  session: string | null;
  agent: string | null;
  project: string;
  title: string;
  startedAt: number;
  /** The last sign of life. */
  activeAt: number;
  /** Of the last hour. */
  tokens: number;
}

/** An agent that says and does nothing for this long is stuck, as far as anybody can see. */
export const stuckAfterMs = 10 * 60_000;
/** Work shorter than this is not long, however short all the other is. */
const longAfterMs = 30 * 60_000;
const mostOfKind = 5;

/** Which running work is worth a look, each once: what is stuck, what uses most, what runs longest. Pure. */
export function hotList(running: readonly Running[], now: number): Hot[] {
  const listed = new Set<string>();
  const take = (kind: Hot["kind"], valueOf: (work: Running) => number, sinceOf: (work: Running) => number, least: number): Hot[] =>
    running
      .filter((work) => !listed.has(work.task) && valueOf(work) >= least)
      .toSorted((a, b) => valueOf(b) - valueOf(a) || (a.task < b.task ? -1 : 1))
      .slice(0, mostOfKind)
      .map((work) => {
        listed.add(work.task);
        const { task, session, agent, project, title } = work;
        return { kind, task, session, agent, project, title, since: sinceOf(work), value: valueOf(work) };
      });
  return [
    ...take(
      "stuck",
      ({ activeAt }) => now - activeAt,
      ({ activeAt }) => activeAt,
      stuckAfterMs,
    ),
    ...take(
      "burning",
      ({ tokens }) => tokens,
      ({ startedAt }) => startedAt,
      1,
    ),
    ...take(
      "longest",
      ({ startedAt }) => now - startedAt,
      ({ startedAt }) => startedAt,
      longAfterMs,
    ),
  ];
}

import { z } from "zod";
import { list, sql, type Reader } from "../db/plan.ts";
import { State } from "../tasks/task.ts";
import { Project } from "./project.ts";

/** A project as a list shows it: with what goes on in it. */
export const ProjectCard = Project.extend({
  counts: z.record(State, z.int()).describe("all of its tasks"),
  agents: z.int().describe("how many agents have work in it now"),
  openApprovals: z.int(),
  lastActivityAt: z.number().describe("when anything happened in it last"),
});
type ProjectCard = z.infer<typeof ProjectCard>;

interface CountRow {
  project: string;
  state: State;
  count: number;
}

/** Dresses projects as cards, in four reads for all of them. */
export async function toProjectCards(read: Reader, projects: readonly Project[]): Promise<ProjectCard[]> {
  const ids = list(projects.map(({ id }) => id));
  const [counts, agents, approvals, activity] = await Promise.all([
    // Two halves, each out of an index of its own: its condition is named word for word.
    read.all<CountRow>(sql`
      select project, state, count(*) as count from tasks
       where state in ('queued', 'starting', 'running', 'needs you', 'paused') and project in (${ids}) group by project, state
      union all
      select project, state, count(*) as count from tasks
       where state in ('done', 'failed', 'cancelled') and project in (${ids}) group by project, state`),
    // The states are named as in the partial index over held tasks, or it would not be used.
    read.all<{ project: string; count: number }>(sql`
      select project, count(distinct agent) as count from tasks
       where state in ('starting', 'running', 'needs you') and project in (${ids}) group by project`),
    read.all<{ project: string; count: number }>(
      sql`select project, count(*) as count from approvals where state = 'open' and project in (${ids}) group by project`,
    ),
    read.all<{ id: string; at: number }>(
      sql`select s.id, e.at from streams s join events e on e.stream = s.id and e.seq = s.seq where s.id in (${ids})`,
    ),
  ]);
  const numberOf = (rows: { project: string; count: number }[], id: string): number =>
    Number(rows.find((row) => row.project === id)?.count ?? 0);
  return projects.map((project) => ({
    ...project,
    counts: countsOf(counts.filter((row) => row.project === project.id)),
    agents: numberOf(agents, project.id),
    openApprovals: numberOf(approvals, project.id),
    lastActivityAt: activity.find(({ id }) => id === project.id)?.at ?? project.createdAt,
  }));
}

function countsOf(rows: CountRow[]): ProjectCard["counts"] {
  const counts = { queued: 0, starting: 0, running: 0, "needs you": 0, paused: 0, done: 0, failed: 0, cancelled: 0 };
  for (const { state, count } of rows) counts[state] = Number(count);
  return counts;
}

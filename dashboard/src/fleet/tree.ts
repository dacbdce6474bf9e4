import type { Fleet, FleetAgent, FleetProject } from "../../../src/fleet/fleet.ts";
import type { FleetSession } from "../../../src/fleet/fleet.ts";

/** The fleet as rows that hold rows: everything, its projects, their agents, what each is at. */
export type Node =
  | { kind: "all"; key: "all"; fleet: Fleet; below: Node[] }
  | { kind: "project"; key: string; project: FleetProject; below: Node[] }
  | { kind: "agent"; key: string; agent: FleetAgent; project: FleetProject; below: Node[] }
  | { kind: "session"; key: string; session: FleetSession; below: Node[] }
  /** What is not shown here: the table has it all. */
  | { kind: "more"; key: string; count: number; project: string; agent: string | null; below: Node[] };

export const keyOfAgent = (project: string, agent: string): string => `${project}/${agent}`;

/** `sessions`: by the key of their agent, as far as they were asked for. Pure. */
export function treeOf(fleet: Fleet, sessions: ReadonlyMap<string, { items: readonly FleetSession[]; more: boolean }>): Node {
  const projects = fleet.projects.map((project): Node => {
    const agents = project.agents.map((agent): Node => {
      const key = keyOfAgent(project.id, agent.name);
      const known = sessions.get(key);
      const below = (known?.items ?? []).map((session): Node => ({ kind: "session", key: `${key}/${session.task}`, session, below: [] }));
      const hidden = known?.more ? 1 : 0;
      if (hidden > 0) below.push({ kind: "more", key: `${key}/more`, count: 0, project: project.id, agent: agent.name, below: [] });
      return { kind: "agent", key, agent, project, below };
    });
    const rest = project.agentCount - project.agents.length;
    if (rest > 0) agents.push({ kind: "more", key: `${project.id}/more`, count: rest, project: project.id, agent: null, below: [] });
    return { kind: "project", key: project.id, project, below: agents };
  });
  return { kind: "all", key: "all", fleet, below: projects };
}

/** The counts of a row that stands for others. */
export function countsOf(node: Node): Fleet["counts"] | null {
  if (node.kind === "all") return node.fleet.counts;
  if (node.kind === "project") return node.project.counts;
  return node.kind === "agent" ? node.agent.counts : null;
}

/** What is at work or waits to be. */
export const atWork = (counts: Fleet["counts"]): number =>
  counts.queued + counts.starting + counts.running + counts["needs you"] + counts.paused;

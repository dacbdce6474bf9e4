import type { Reader } from "../db/plan.ts";
import type { State } from "../tasks/task.ts";
import { activityOf } from "./activity.ts";
import { noCounts, type Counts, type Fleet, type FleetAgent, type FleetProject } from "./fleet.ts";
import { hotList } from "./hot.ts";
import { countWork, listProjectNames, listRunning, oldestQuestions, usageSince } from "./store.ts";

const hour = 3_600_000;
const mostAgents = 500;

/** The whole fleet, rolled up from its tasks: `since` is when today began for the caller. */
export async function readFleet(read: Reader, { since, now }: { since: number; now: number }): Promise<Fleet> {
  const [work, used, waits, projects, running] = await Promise.all([
    countWork(read, since),
    usageSince(read, since),
    oldestQuestions(read),
    listProjectNames(read),
    listRunning(read, now - hour),
  ]);
  const activity = await activityOf(
    read,
    running.flatMap(({ session }) => session ?? []),
  );
  const counts = noCounts();
  const byProject = new Map(projects.map(({ id, name }) => [id, emptyProject(id, name)]));
  const agents = new Map<string, FleetAgent>();
  const projectOf = (id: string): FleetProject => entryOf(byProject, id, () => emptyProject(id, id));
  const agentOf = (project: string, name: string): FleetAgent =>
    entryOf(agents, JSON.stringify([project, name]), () => {
      const agent = { name, counts: noCounts(), sessions: 0, tokens: 0 };
      projectOf(project).agents.push(agent);
      return agent;
    });
  for (const { project, agent, state, count: text } of work) {
    const count = Number(text);
    counts[state] += count;
    projectOf(project).counts[state] += count;
    if (agent === null) continue;
    const own = agentOf(project, agent);
    own.counts[state] += count;
    if (isHeld(state)) own.sessions += count;
  }
  for (const { project, agent, tokens, costUsd } of used) {
    const all = projectOf(project);
    all.tokens += tokens;
    all.costUsd = costUsd === null ? all.costUsd : (all.costUsd ?? 0) + costUsd;
    agentOf(project, agent).tokens += tokens;
  }
  for (const { project, at } of waits) projectOf(project).oldestWaitAt = at;
  const all = [...byProject.values()];
  for (const project of all) {
    project.agentCount = project.agents.length;
    project.agents = project.agents
      .toSorted((a, b) => loudness(b.counts) - loudness(a.counts) || (a.name < b.name ? -1 : 1))
      .slice(0, mostAgents);
  }
  const costs = all.flatMap(({ costUsd }) => costUsd ?? []);
  const hot = hotList(
    running.map((each) => ({ ...each, activeAt: Math.max(each.startedAt, activity.get(each.session ?? "")?.at ?? 0) })),
    now,
  );
  const today = {
    since,
    done: counts.done,
    failed: counts.failed,
    tokens: all.reduce((sum, { tokens }) => sum + tokens, 0),
    costUsd: costs.length === 0 ? null : costs.reduce((sum, cost) => sum + cost, 0),
  };
  return { counts, today, projects: all, hot };
}

const emptyProject = (id: string, name: string): FleetProject => ({
  id,
  name,
  counts: noCounts(),
  oldestWaitAt: null,
  tokens: 0,
  costUsd: null,
  agents: [],
  agentCount: 0,
});

function entryOf<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

const isHeld = (state: State): boolean => state === "starting" || state === "running" || state === "needs you";

/** What must be seen comes first: one that needs a person outweighs any number of others. */
const loudness = (counts: Counts): number =>
  counts["needs you"] * 1e9 + counts.failed * 1e6 + (counts.running + counts.starting) * 1e3 + counts.queued + counts.paused;

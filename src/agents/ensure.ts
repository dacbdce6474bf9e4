import { canonical } from "../canonical.ts";
import type { Db, NewEvent, Statement } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import type { Agent, Detection, NewAgent } from "./agent.ts";
import type { DefaultAgent } from "./defaults.ts";
import type { Detect } from "./detect.ts";
import { stateOf } from "./state.ts";
import { insertAgent, listAgents, updateDetection } from "./store.ts";

type Probed = Pick<Agent, "name" | "backend" | "settings">;

/** What a new agent is once it was looked for on this machine. */
export const agentOf = (agent: NewAgent, detection: Detection): Agent => ({
  ...agent,
  ...stateOf(detection, 0),
  active: 0,
  demo: isDemo(agent),
  detection,
});

/** The built-in demo model is shown as one wherever its work is shown. */
export const isDemo = ({ backend, settings }: Pick<Agent, "backend" | "settings">): boolean =>
  backend === "model" && settings.provider === "demo";

/** The agent as a probe found it now. */
export const withDetection = (agent: Agent, detection: Detection): Agent => ({ ...agent, ...stateOf(detection, agent.active), detection });

/** A probe's answers for these agents, by name. All at once: each has its own time limit. */
export async function detectAll(detect: Detect, agents: readonly Probed[]): Promise<Map<string, Detection>> {
  return new Map(await Promise.all(agents.map(async (agent) => [agent.name, await detect(agent)] as const)));
}

export const agentEvent = (type: "agent.created" | "agent.updated" | "agent.removed", agent: Agent): NewEvent => ({
  stream: "instance",
  type,
  data: { name: agent.name, backend: agent.backend, detection: agent.detection.state, limit: agent.limit, role: agent.role },
});

/** The plan's pieces that store what a probe found, for those agents whose answer is another than before. */
export function planDetections(
  agents: readonly Agent[],
  detections: ReadonlyMap<string, Detection>,
): { statements: Statement[]; events: NewEvent[] } {
  const changed = agents.flatMap((agent) => {
    const found = detections.get(agent.name);
    return found && canonical(found) !== canonical(agent.detection) ? [withDetection(agent, found)] : [];
  });
  return { statements: changed.map(updateDetection), events: changed.map((agent) => agentEvent("agent.updated", agent)) };
}

/**
 * At the server's start: makes the default agents that are not there yet and can be found, and looks again for all that are. What a
 * person saved stays as it is, whatever the probe says.
 */
export async function ensureAgents(
  services: { db: Db; detect: Detect; clock: { now(): number } },
  defaults: readonly DefaultAgent[],
): Promise<void> {
  const { db, detect, clock } = services;
  const saved = await listAgents(db.read);
  const missing = defaults.filter(({ choices }) => !saved.some(({ name }) => name === choices[0]?.name));
  const [detections, chosen] = await Promise.all([
    detectAll(detect, saved),
    Promise.all(missing.map(async (agent) => await choose(detect, agent))),
  ]);
  await transact(db, async () => {
    const agents = await listAgents(db.read);
    const added = chosen.filter((agent) => agent !== null).filter(({ name }) => !agents.some((each) => each.name === name));
    const { statements, events } = planDetections(agents, detections);
    statements.push(...added.map((agent) => insertAgent(agent, clock.now())));
    events.push(...added.map((agent) => agentEvent("agent.created", agent)));
    return { plan: statements.length > 0 ? { statements, events } : null, result: null };
  });
}

/** The first way that can be used now, else the first whose program is there; null: nothing of it is. */
async function choose(detect: Detect, { choices, always }: DefaultAgent): Promise<Agent | null> {
  const found = await Promise.all(choices.map(async (agent) => agentOf(agent, await detect(agent))));
  const best = found.find(({ detection }) => detection.state === "ready") ?? found.find(({ detection }) => detection.state !== "not found");
  return best ?? (always ? (found[0] ?? null) : null);
}

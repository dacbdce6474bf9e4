import { z } from "zod";
import { conflict } from "../errors.ts";
import { allProviders } from "../models/find.ts";
import { command, listOf, Page, page, query, type Context } from "../registry.ts";
import { Agent, Detection, NewAgent } from "./agent.ts";
import { checkSettings } from "./check-settings.ts";
import { agentEvent, agentOf, detectAll, isDemo, planDetections, withDetection } from "./ensure.ts";
import { AgentCard, toAgentCards } from "./overview.ts";
import { deleteAgent, findAgent, getAgent, insertAgent, listAgents, listAgentsAfter, updateAgent as writeAgent } from "./store.ts";

const Name = z.strictObject({ name: z.string().min(1).max(100) });

/** With the providers that are set up now. Throws AppError invalid_input. */
async function check(agent: Pick<Agent, "name" | "backend" | "settings">, { read, home, environmentProviders }: Context): Promise<void> {
  checkSettings(agent, await allProviders({ read, home, environment: environmentProviders }));
}

export const createAgent = command({
  name: "agent.create",
  help: "Add an agent. Whether it can be used is found out at once.",
  input: NewAgent.strict(),
  output: Agent,
  access: "person",
  scope: "admin",
  cli: { verb: "agents add", args: ["name"], custom: true },
  mcp: { tool: "create_agent", group: "agents" },
  async decide(input, context) {
    const { read, detect, now } = context;
    await check(input, context);
    if (await findAgent(read, input.name)) throw conflict(`there is an agent "${input.name}" already`, undefined, ["choose another name"]);
    const agent = agentOf(input, await detect(input));
    return { plan: { statements: [insertAgent(agent, now)], events: [agentEvent("agent.created", agent)] }, result: agent };
  },
});

export const updateAgent = command({
  name: "agent.update",
  help: "Change an agent; what is not named stays. Settings are given whole.",
  input: Name.extend({
    role: NewAgent.shape.role.unwrap().optional(),
    skills: NewAgent.shape.skills.unwrap().optional(),
    limit: Agent.shape.limit.optional(),
    settings: NewAgent.shape.settings.optional(),
  }),
  output: Agent,
  access: "person",
  scope: "admin",
  mcp: { tool: "update_agent", group: "agents" },
  async decide({ name, role, skills, limit, settings }, context) {
    const { read, detect } = context;
    const before = await getAgent(read, name);
    const changed: Agent = {
      ...before,
      role: role === undefined ? before.role : role,
      skills: skills ?? before.skills,
      limit: limit ?? before.limit,
      settings: settings ?? before.settings,
    };
    await check(changed, context);
    const agent = { ...withDetection(changed, settings ? await detect(changed) : before.detection), demo: isDemo(changed) };
    return { plan: { statements: [writeAgent(agent)], events: [agentEvent("agent.updated", agent)] }, result: agent };
  },
});

export const removeAgent = command({
  name: "agent.remove",
  help: "Remove an agent that has no work.",
  input: Name,
  output: Agent,
  access: "person",
  scope: "admin",
  cli: { verb: "agents remove", args: ["name"], custom: true },
  mcp: { tool: "remove_agent", group: "agents" },
  async decide({ name }, { read }) {
    const agent = await getAgent(read, name);
    if (agent.active > 0)
      throw conflict(`agent "${name}" has work`, `${agent.active} of its tasks are not over`, ["tutti ls", "tutti stop <task>"]);
    return { plan: { statements: [deleteAgent(name)], events: [agentEvent("agent.removed", agent)] }, result: agent };
  },
});

export const listAgentsQuery = query({
  name: "agent.list",
  help: "Who can work here, and whether it can be used now.",
  path: "/agents",
  input: z.strictObject(Page.shape),
  output: listOf(AgentCard),
  access: "person",
  cli: { verb: "agents", columns: ["name", "backend", "state", "reason", "active", "limit"], custom: true },
  mcp: { tool: "list_agents", group: "agents" },
  async run({ limit, cursor }, { read, now }) {
    const { items, next } = page(await listAgentsAfter(read, { after: cursor ?? "", limit: limit + 1 }), limit, (agent) => agent.name);
    return { items: await toAgentCards(read, items, now), next };
  },
});

export const getAgentQuery = query({
  name: "agent.get",
  help: "One agent with its settings and what detection found.",
  path: "/agents/:name",
  input: Name,
  output: Agent,
  access: "person",
  mcp: { tool: "get_agent", group: "agents" },
  run: ({ name }, { read }) => getAgent(read, name),
});

export const detectAgentQuery = query({
  name: "agent.detect",
  help: "Look again whether an agent can be used; nothing is stored.",
  path: "/agents/:name/detection",
  input: Name,
  output: Detection,
  access: "person",
  mcp: { tool: "detect_agent", group: "agents" },
  run: async ({ name }, { read, detect }) => await detect(await getAgent(read, name)),
});

export const refreshAgents = command({
  name: "agent.refresh",
  help: "Look again for one agent or for all, and remember what was found.",
  input: z.strictObject({ name: Name.shape.name.optional() }),
  output: z.object({ items: z.array(Agent) }),
  access: "person",
  scope: "admin",
  mcp: { tool: "refresh_agents", group: "agents" },
  async decide({ name }, { read, detect }) {
    const agents = name === undefined ? await listAgents(read) : [await getAgent(read, name)];
    const detections = await detectAll(detect, agents);
    const plan = planDetections(agents, detections);
    const items = agents.map((agent) => withDetection(agent, detections.get(agent.name) ?? agent.detection));
    return { plan: plan.statements.length > 0 ? plan : null, result: { items } };
  },
});

import { z } from "zod";
import { conflict, invalidInput } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { Agent, Detection, NewAgent } from "./agent.ts";
import { agentEvent, agentOf, detectAll, isDemo, planDetections, withDetection } from "./ensure.ts";
import { deleteAgent, findAgent, getAgent, insertAgent, listAgents, listAgentsAfter, updateAgent as writeAgent } from "./store.ts";

const Name = z.strictObject({ name: z.string().min(1).max(100) });

/** What each backend cannot do without. Throws AppError invalid_input. */
function checkSettings({ name, backend, settings }: Pick<Agent, "name" | "backend" | "settings">): void {
  if (backend === "acp" && !settings.preset && !settings.command) {
    throw invalidInput(`agent "${name}" has neither preset nor command`, "an acp agent is a program", [
      `tutti agents add ${name} --backend acp --preset goose`,
    ]);
  }
  if (backend === "command" && !settings.command) {
    throw invalidInput(`agent "${name}" has no command`, "a command agent is a program", [
      `tutti agents add ${name} --backend command --command <program> --command {prompt}`,
    ]);
  }
  if (backend === "model" && !settings.provider) {
    throw invalidInput(`agent "${name}" has no provider`, "a model is served by somebody", [
      `tutti agents add ${name} --backend model --provider demo`,
    ]);
  }
}

export const createAgent = command({
  name: "agent.create",
  help: "Add an agent. Whether it can be used is found out at once.",
  input: NewAgent.strict(),
  output: Agent,
  access: "person",
  cli: { verb: "agents add", args: ["name"], custom: true },
  async decide(input, { read, detect, now }) {
    checkSettings(input);
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
    limit: NewAgent.shape.limit.unwrap().optional(),
    settings: NewAgent.shape.settings.optional(),
  }),
  output: Agent,
  access: "person",
  async decide({ name, role, skills, limit, settings }, { read, detect }) {
    const before = await getAgent(read, name);
    const changed: Agent = {
      ...before,
      role: role === undefined ? before.role : role,
      skills: skills ?? before.skills,
      limit: limit ?? before.limit,
      settings: settings ?? before.settings,
    };
    checkSettings(changed);
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
  cli: { verb: "agents remove", args: ["name"], custom: true },
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
  output: listOf(Agent),
  access: "person",
  cli: { verb: "agents", columns: ["name", "backend", "state", "reason", "active", "limit"], custom: true },
  async run({ limit, cursor }, { read }) {
    return page(await listAgentsAfter(read, { after: cursor ?? "", limit: limit + 1 }), limit, (agent) => agent.name);
  },
});

export const getAgentQuery = query({
  name: "agent.get",
  help: "One agent with its settings and what detection found.",
  path: "/agents/:name",
  input: Name,
  output: Agent,
  access: "person",
  run: ({ name }, { read }) => getAgent(read, name),
});

export const detectAgentQuery = query({
  name: "agent.detect",
  help: "Look again whether an agent can be used; nothing is stored.",
  path: "/agents/:name/detection",
  input: Name,
  output: Detection,
  access: "person",
  run: async ({ name }, { read, detect }) => await detect(await getAgent(read, name)),
});

export const refreshAgents = command({
  name: "agent.refresh",
  help: "Look again for one agent or for all, and remember what was found.",
  input: z.strictObject({ name: Name.shape.name.optional() }),
  output: z.object({ items: z.array(Agent) }),
  access: "person",
  async decide({ name }, { read, detect }) {
    const agents = name === undefined ? await listAgents(read) : [await getAgent(read, name)];
    const detections = await detectAll(detect, agents);
    const plan = planDetections(agents, detections);
    const items = agents.map((agent) => withDetection(agent, detections.get(agent.name) ?? agent.detection));
    return { plan: plan.statements.length > 0 ? plan : null, result: { items } };
  },
});

import { NewAgent, type Agent, type AgentSettings, type BackendKind } from "../../../src/agents/agent.ts";

/** What is typed and chosen for a new agent. */
export interface AgentDraft {
  name: string;
  backend: BackendKind;
  /** A preset's name; empty: the program that `command` names. */
  preset: string;
  /** The program and its arguments, one in a line: nothing has to be quoted. */
  command: string;
  credentials: AgentSettings["credentials"];
  provider: string;
  model: string;
  permissions: AgentSettings["permissions"];
}

export const emptyAgent: AgentDraft = {
  name: "",
  backend: "acp",
  preset: "goose",
  command: "",
  credentials: "vendor",
  provider: "",
  model: "",
  permissions: "auto",
};

export type Problems<Draft> = Partial<Record<keyof Draft, string>>;

/** The input of `agent.create`, or what is missing, by field. Whether the program is there is for the server to find out. Pure. */
export function newAgentOf(draft: AgentDraft): {
  input: { name: string; backend: BackendKind; settings: AgentSettings } | null;
  problems: Problems<AgentDraft>;
} {
  const problems: Problems<AgentDraft> = {};
  const name = draft.name.trim();
  if (!NewAgent.shape.name.safeParse(name).success) problems.name = "lower-case letters, digits and dashes";
  const command = linesOf(draft.command);
  const isProgram = draft.backend !== "model";
  if (isProgram && draft.preset === "" && command.length === 0) problems.command = "which program is it?";
  const credentials = credentialsOf(draft);
  const usesProvider = !isProgram || credentials === "key";
  if (usesProvider && draft.provider === "") problems.provider = "who serves its model?";
  if (Object.keys(problems).length > 0) return { input: null, problems };
  const model = draft.model.trim();
  const settings: AgentSettings = {
    env: {},
    credentials,
    permissions: draft.permissions,
    ...(isProgram && draft.preset !== "" ? { preset: draft.preset } : {}),
    ...(isProgram && draft.preset === "" ? { command } : {}),
    ...(usesProvider ? { provider: draft.provider } : {}),
    ...(model === "" ? {} : { model }),
  };
  return { input: { name, backend: draft.backend, settings }, problems };
}

/** A model always goes by its provider's key; a login belongs to a program that is known by name. */
function credentialsOf({ backend, preset, provider, credentials }: AgentDraft): AgentSettings["credentials"] {
  if (backend === "model") return provider === "demo" ? "none" : "key";
  return credentials === "vendor" && preset === "" ? "none" : credentials;
}

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** What of an agent can be changed here, as it is typed. */
export interface AgentChange {
  limit: string;
  role: string;
  skills: string;
  permissions: AgentSettings["permissions"];
}

export const changeOf = ({ limit, role, skills, settings }: Pick<Agent, "limit" | "role" | "skills" | "settings">): AgentChange => ({
  limit: String(limit),
  role: role ?? "",
  skills: skills.join(", "),
  permissions: settings.permissions,
});

interface Update {
  name: string;
  limit?: number;
  role?: string | null;
  skills?: string[];
  settings?: AgentSettings;
}

/**
 * The input of `agent.update` with what differs from the agent as it is; null: nothing does, or something cannot be. Settings are given
 * whole, because the server takes them whole. Pure.
 */
export function updateOf(agent: Agent, change: AgentChange): { input: Update | null; problems: Problems<AgentChange> } {
  const limit = limitOf(change.limit);
  if (limit === null) return { input: null, problems: { limit: "a number from 1 to 1000" } };
  const role = change.role.trim() || null;
  const skills = [...new Set(change.skills.split(",").map((skill) => skill.trim()))].filter((skill) => skill !== "");
  const input: Update = {
    name: agent.name,
    ...(limit === agent.limit ? {} : { limit }),
    ...(role === agent.role ? {} : { role }),
    ...(JSON.stringify(skills) === JSON.stringify(agent.skills) ? {} : { skills }),
    ...(change.permissions === agent.settings.permissions ? {} : { settings: { ...agent.settings, permissions: change.permissions } }),
  };
  return { input: Object.keys(input).length > 1 ? input : null, problems: {} };
}

/** A whole number from 1 to 1000, as limits are; null: it is none. Pure. */
export function limitOf(text: string): number | null {
  const number = /^\s*\d{1,4}\s*$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= 1000 ? number : null;
}

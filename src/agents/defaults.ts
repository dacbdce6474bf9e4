import type { NewAgent } from "./agent.ts";

/**
 * The agents that a new home starts with: the demo model, the programs that have a preset, and the models of a provider
 * named by the environment. Whether each can be used is found out by detection, never assumed.
 */
export function defaultAgents(provider: string | null): NewAgent[] {
  const base = { role: null, skills: [], limit: 4 };
  const acp = (preset: string): NewAgent => ({
    ...base,
    name: preset,
    backend: "acp",
    settings: { preset, env: {}, credentials: provider ? "key" : "vendor", permissions: "auto", ...(provider ? { provider } : {}) },
  });
  const agents: NewAgent[] = [
    {
      ...base,
      name: "demo",
      backend: "model",
      settings: { provider: "demo", model: "tutti-demo", env: {}, credentials: "none", permissions: "auto" },
    },
    acp("goose"),
    acp("opencode"),
  ];
  if (provider) {
    agents.push({ ...base, name: "model", backend: "model", settings: { provider, env: {}, credentials: "key", permissions: "auto" } });
  }
  return agents;
}

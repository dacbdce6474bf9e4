import type { Agent } from "../agents/agent.ts";
import type { AgentSelector, Reason } from "../tasks/task.ts";

/** Which agent gets a task. Pure: filter, score, explain. */

export interface Candidate {
  agent: Agent;
  /** Sessions that it has now, those of this very batch included. */
  active: number;
}

export type Route = { kind: "agent"; agent: Agent; why: string } | { kind: "wait"; reason: Reason; why: string };

/**
 * By name: that agent. Otherwise any that has the role and all the skills; among those that are ready and have room the one
 * with the best score, the name deciding between equals. The demo model is only taken by name, or when nothing else is ready.
 */
export function route(selector: AgentSelector, candidates: Candidate[]): Route {
  const fitting = candidates.filter(({ agent }) => fits(selector, agent));
  if (fitting.length === 0) return { kind: "wait", reason: "no agent", why: `no agent is ${wish(selector)}` };
  const ready = fitting.filter(({ agent }) => agent.detection.state === "ready");
  if (ready.length === 0) {
    const [first] = fitting;
    const state = first?.agent.detection.state ?? "not found";
    const reason: Reason = state === "ready" ? "no agent" : state;
    return { kind: "wait", reason, why: `${first?.agent.name ?? "the agent"}: ${state}` };
  }
  const real = selector.name ? ready : ready.filter(({ agent }) => !agent.demo);
  const pool = real.length > 0 ? real : ready;
  const free = pool.filter(({ agent, active }) => active < agent.limit);
  if (free.length === 0) {
    return { kind: "wait", reason: "no capacity", why: `all that fit are busy: ${pool.map(({ agent }) => agent.name).join(", ")}` };
  }
  const [best] = free.toSorted((a, b) => score(b, selector) - score(a, selector) || (a.agent.name < b.agent.name ? -1 : 1));
  if (!best) return { kind: "wait", reason: "no capacity", why: "all that fit are busy" };
  return { kind: "agent", agent: best.agent, why: explain(best, selector, free.length) };
}

function fits(selector: AgentSelector, agent: Agent): boolean {
  if (selector.name) return agent.name === selector.name;
  if (selector.role && agent.role !== selector.role) return false;
  return (selector.skills ?? []).every((skill) => agent.skills.includes(skill));
}

/** Room counts most; an agent made for little else than these skills beats one that can do everything. */
function score({ agent, active }: Candidate, selector: AgentSelector): number {
  const room = (agent.limit - active) / agent.limit;
  const focus = agent.skills.length === 0 ? 0 : (selector.skills?.length ?? 0) / agent.skills.length;
  return 2 * room + focus;
}

function wish({ name, role, skills }: AgentSelector): string {
  if (name) return `called ${name}`;
  const parts = [role ? `in the role ${role}` : "", skills?.length ? `skilled in ${skills.join(", ")}` : ""].filter(Boolean);
  return parts.join(" and ") || "set up";
}

function explain({ agent, active }: Candidate, selector: AgentSelector, choices: number): string {
  if (selector.name) return `named ${agent.name}`;
  const why = selector.role || selector.skills?.length ? `fits (${wish(selector)})` : "any agent may do it";
  return `${why}; ${active} of ${agent.limit} sessions in use, ${choices} to choose from`;
}

import type { Agent } from "../agents/agent.ts";
import type { AgentSelector, Reason } from "../tasks/task.ts";

export interface Candidate {
  agent: Agent;
  /** Sessions that it has now, those of this very batch included. */
  active: number;
  /** What its circuit breaker says: chosen freely, as the one trial, or not. */
  breaker: "yes" | "trial" | "no";
}

export type Wait = { kind: "wait"; reason: Reason; why: string };

export type Route = { kind: "agent"; candidate: Candidate; why: string } | Wait;

/**
 * Those that may do the work, however busy they are: by name that agent, otherwise any that has the role and all the skills and is
 * ready. The demo model is only taken by name, or when nothing else is ready.
 */
export function fitting(selector: AgentSelector, candidates: Iterable<Candidate>): { kind: "fit"; candidates: Candidate[] } | Wait {
  const wanted = [...candidates].filter(({ agent }) => fits(selector, agent));
  if (wanted.length === 0) return { kind: "wait", reason: "no agent", why: `no agent is ${wish(selector)}` };
  const ready = wanted.filter(({ agent }) => agent.detection.state === "ready");
  if (ready.length === 0) {
    const [first] = wanted;
    const state = first?.agent.detection.state ?? "not found";
    const reason: Reason = state === "ready" ? "no agent" : state;
    return { kind: "wait", reason, why: `${first?.agent.name ?? "the agent"}: ${state}` };
  }
  const real = selector.name ? ready : ready.filter(({ agent }) => !agent.demo);
  return { kind: "fit", candidates: real.length > 0 ? real : ready };
}

/** Of those that fit the one with room and the best score, the name deciding between equals; or why the task waits. */
export function pick(selector: AgentSelector, fit: readonly Candidate[]): Route {
  const used = fit.filter(({ breaker }) => breaker !== "no");
  if (used.length === 0) return { kind: "wait", reason: "circuit open", why: `all that fit fail too often: ${namesOf(fit)}` };
  let best: Candidate | null = null;
  let choices = 0;
  for (const candidate of used) {
    if (candidate.active >= candidate.agent.limit) continue;
    choices += 1;
    if (!best || isBetter(candidate, best, selector)) best = candidate;
  }
  if (!best) return { kind: "wait", reason: "no capacity", why: `all that fit are busy: ${namesOf(used)}` };
  return { kind: "agent", candidate: best, why: explain(best, selector, choices) };
}

/** Which agent gets a task. Pure: filter, score, explain. */
export function route(selector: AgentSelector, candidates: Iterable<Candidate>): Route {
  const fit = fitting(selector, candidates);
  return fit.kind === "wait" ? fit : pick(selector, fit.candidates);
}

/** The agents that any of these tasks may be given to, whatever state they are in: only of them has anybody to know how busy they are. */
export const wantedBy = (selectors: readonly AgentSelector[], agents: readonly Agent[]): Agent[] =>
  agents.filter((agent) => selectors.some((selector) => fits(selector, agent)));

const namesOf = (candidates: readonly Candidate[]): string => {
  const names = candidates.slice(0, 5).map(({ agent }) => agent.name);
  return candidates.length > 5 ? `${names.join(", ")} and ${candidates.length - 5} more` : names.join(", ");
};

function isBetter(one: Candidate, other: Candidate, selector: AgentSelector): boolean {
  const by = score(one, selector) - score(other, selector);
  return by > 0 || (by === 0 && one.agent.name < other.agent.name);
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

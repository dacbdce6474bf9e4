import { z } from "zod";
import { AgentSelector, type TaskSpec } from "./task.ts";

/** At most `limit` tasks with this key run at once in a project. The key of a flow is `flow:<name>`. */
export const Limit = z.strictObject({
  key: z.string().min(1).max(200).describe("tasks with the same key share the limit"),
  limit: z.int().min(1).max(1000).describe("how many of them run at once"),
});
export type Limit = z.infer<typeof Limit>;

/**
 * The line in which a task waits: whoever may do it, and the limits that it shares. Tasks of one lane wait for the same thing, so the
 * orchestrator looks at the first of each lane alone, and a lane that is held up holds up no other.
 */
const Lane = z.object({
  /** null: no agent is needed. */
  agent: AgentSelector.nullable(),
  limits: z.array(Limit),
});
export type Lane = z.infer<typeof Lane>;

export const laneOf = (spec: Pick<TaskSpec, "kind"> & { agent?: AgentSelector }, limits: readonly Limit[]): Lane => ({
  agent: spec.kind === "agent" ? (spec.agent ?? {}) : null,
  limits: [...limits],
});

/** One text for equal lanes: the agent's fields and the limits in a fixed order. */
export function laneText({ agent, limits }: Lane): string {
  const who = agent && [agent.name ?? null, agent.role ?? null, (agent.skills ?? []).toSorted()];
  return JSON.stringify([who, limits.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, limit }) => [key, limit])]);
}

const LaneText = z.tuple([
  z.tuple([z.string().nullable(), z.string().nullable(), z.array(z.string())]).nullable(),
  z.array(z.tuple([z.string(), z.number()])),
]);

/** null for the text of a task from before there were lanes: its own spec says who may do it. */
export function readLane(text: string): Lane | null {
  if (text === "") return null;
  const [who, limits] = LaneText.parse(JSON.parse(text));
  const [name, role, skills] = who ?? [];
  return {
    agent: who && { ...(name ? { name } : {}), ...(role ? { role } : {}), ...(skills?.length ? { skills } : {}) },
    limits: limits.map(([key, limit]) => ({ key, limit })),
  };
}

/** As stored beside the task; null for none. */
export const limitsText = (limits: readonly Limit[]): string | null => (limits.length === 0 ? null : JSON.stringify(limits));

export const readLimits = (text: string | null): Limit[] => (text === null ? [] : z.array(Limit).parse(JSON.parse(text)));

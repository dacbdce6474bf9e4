import type { Agent, Detection } from "./agent.ts";

/** Whether an agent can be used on this machine now. Never rejects: a probe that fails is an answer too. */
export type Detect = (agent: Pick<Agent, "name" | "backend" | "settings">) => Promise<Detection>;

import { z } from "zod";
import { BackendKind } from "../agents/agent.ts";
import { Reason, State } from "../tasks/task.ts";

/** All states, each with a number. */
export const Counts = z.record(State, z.int());
export type Counts = z.infer<typeof Counts>;

export const noCounts = (): Counts => ({
  queued: 0,
  starting: 0,
  running: 0,
  "needs you": 0,
  paused: 0,
  done: 0,
  failed: 0,
  cancelled: 0,
});

/** Worth a look. `value`: ms without a sign of life (stuck), ms at work (longest), tokens of the last hour (burning). */
export const Hot = z.object({
  kind: z.enum(["stuck", "longest", "burning"]),
  task: z.string(),
  session: z.string().nullable(),
  agent: z.string().nullable(),
  project: z.string(),
  title: z.string(),
  since: z.number(),
  value: z.number(),
});
export type Hot = z.infer<typeof Hot>;

const FleetAgent = z.object({
  name: z.string(),
  counts: Counts,
  sessions: z.int().describe("conversations that it has now"),
  tokens: z.number(),
});
export type FleetAgent = z.infer<typeof FleetAgent>;

const FleetProject = z.object({
  id: z.string(),
  name: z.string(),
  counts: Counts,
  oldestWaitAt: z.number().nullable().describe("since when the oldest thing waits for a person; null: nothing does"),
  tokens: z.number().describe("of today"),
  costUsd: z.number().nullable(),
  agents: z.array(FleetAgent).describe("the first 500 of them, those with the loudest work first"),
  agentCount: z.int(),
});
export type FleetProject = z.infer<typeof FleetProject>;

/** Everything that is at work. Of what is over (done, failed, cancelled) the counts are those of today. */
export const Fleet = z.object({
  counts: Counts,
  today: z.object({ since: z.number(), done: z.int(), failed: z.int(), tokens: z.number(), costUsd: z.number().nullable() }),
  projects: z.array(FleetProject),
  hot: z.array(Hot),
});
export type Fleet = z.infer<typeof Fleet>;

/** One piece of work and the conversation in which it is done; a queued one has none yet. */
export const FleetSession = z.object({
  session: z.string().nullable(),
  task: z.string(),
  title: z.string(),
  agent: z.string().nullable(),
  backend: BackendKind.nullable(),
  model: z.string().nullable(),
  project: z.string(),
  projectName: z.string(),
  state: State,
  reason: Reason.nullable(),
  message: z.string().nullable(),
  since: z.number().describe("since when it is in its state"),
  startedAt: z.number().nullable().describe("when its attempt began"),
  turn: z.int().nullable(),
  tokens: z.number(),
  costUsd: z.number().nullable(),
  lastActivity: z
    .string()
    .nullable()
    .describe("one line of what it said or did last. It is the agent's text: hostile until shown as plain text."),
  lastActivityAt: z.number().nullable(),
  demo: z.boolean(),
  run: z.string().nullable(),
  step: z.string().nullable(),
});
export type FleetSession = z.infer<typeof FleetSession>;

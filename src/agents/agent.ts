import { z } from "zod";
import { Reason, State } from "../tasks/task.ts";

/** Whether an agent program can be used on this machine: four honest states, each with the one thing that mends it. */
export const Detection = z.object({
  state: z.enum(["ready", "signed out", "unsupported version", "not found"]),
  version: z.string().nullable(),
  /** The absolute path of the program that will be started: probe and launcher are the same code. */
  path: z.string().nullable(),
  message: z.string().nullable(),
  fix: z.string().nullable(),
});
export type Detection = z.infer<typeof Detection>;

export const BackendKind = z.enum(["acp", "command", "model"]);
export type BackendKind = z.infer<typeof BackendKind>;

/** How to reach the agent. Only a person may change it: parts of it are executed. */
export const AgentSettings = z.object({
  /** acp: a preset ("goose", "opencode") that knows arguments, environment and quirks. */
  preset: z.string().optional(),
  /** acp, command: the program and its arguments. command: "{prompt}" alone as an item is replaced by the prompt; without it the prompt comes by stdin. */
  command: z.array(z.string().min(1)).min(1).optional(),
  /** Extra environment. Never keys: they stay with the server (see `provider`). */
  env: z.record(z.string(), z.string()).default({}),
  /** model, acp with key: the provider whose models it uses, by name; "demo" is the built-in demo model. */
  provider: z.string().optional(),
  model: z.string().optional(),
  /** vendor: the person's own login folders, mounted as they are; key: through the broker. */
  credentials: z.enum(["vendor", "key", "none"]).default("none"),
  /** Permission requests: ask a person, or allow edits and commands inside the workspace (only with a sandbox). */
  permissions: z.enum(["ask", "auto"]).default("auto"),
});
export type AgentSettings = z.infer<typeof AgentSettings>;

export const Agent = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes"),
  backend: BackendKind,
  state: State,
  reason: Reason.nullable(),
  role: z.string().nullable(),
  skills: z.array(z.string()),
  /** How many sessions it may have at once. */
  limit: z.int().min(1).max(1000),
  active: z.int(),
  /** True for the built-in demo model: shown wherever its work is shown. */
  demo: z.boolean(),
  settings: AgentSettings,
  detection: Detection,
});
export type Agent = z.infer<typeof Agent>;

export const NewAgent = Agent.pick({ name: true, backend: true }).extend({
  role: z.string().nullable().default(null),
  skills: z.array(z.string()).default([]),
  limit: z.int().min(1).max(1000).default(4),
  settings: AgentSettings,
});
export type NewAgent = z.infer<typeof NewAgent>;

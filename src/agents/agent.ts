import { z } from "zod";
import { Reason, State } from "../tasks/task.ts";

/** Whether an agent program can be used on this machine: four honest states, each with the one thing that mends it. */
export const Detection = z.object({
  state: z.enum(["ready", "signed out", "unsupported version", "not found"]),
  version: z.string().nullable(),
  path: z.string().nullable().describe("the absolute path of the program that will be started: probe and launcher are the same code"),
  message: z.string().nullable(),
  fix: z.string().nullable(),
});
export type Detection = z.infer<typeof Detection>;

export const BackendKind = z.enum(["acp", "command", "model"]);
export type BackendKind = z.infer<typeof BackendKind>;

/** A model that goes on for another; without `model`, with the provider's own. The demo model is no language model: it can do no other's work. */
const Fallback = z.strictObject({
  provider: z.string().regex(/^(?!demo$)/, "the demo model goes on for no other"),
  model: z.string().min(1).optional(),
});

/** How to reach the agent. Only a person may change it: parts of it are executed. */
export const AgentSettings = z.object({
  preset: z
    .string()
    .optional()
    .describe("acp, command: a program that Tutti knows, with its arguments, environment and quirks (docs/agents.md)"),
  command: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'acp, command: the program and its arguments; beside a preset the program only, the preset\'s arguments follow. command: "{prompt}" alone as an item is replaced by the prompt; without it the prompt comes by stdin.',
    ),
  /** Extra environment. Never keys: they stay with the server (see `provider`). */
  env: z.record(z.string(), z.string()).default({}),
  provider: z
    .string()
    .optional()
    .describe('model, acp with key: the provider whose models it uses, by name; "demo" is the built-in demo model'),
  model: z.string().optional(),
  fallbacks: z
    .array(Fallback)
    .max(8)
    .optional()
    .describe("who goes on when the provider cannot (limits, overload, no connection), in this order"),
  credentials: z
    .enum(["vendor", "key", "none"])
    .default("none")
    .describe("vendor: the person's own login folders, mounted as they are; key: through the broker"),
  permissions: z
    .enum(["ask", "auto"])
    .default("auto")
    .describe("permission requests: ask a person, or allow edits and commands inside the workspace (only with a sandbox)"),
});
export type AgentSettings = z.infer<typeof AgentSettings>;

export const Agent = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes"),
  backend: BackendKind.describe(
    "acp: a program that speaks the Agent Client Protocol; command: one command line per turn; model: built in",
  ),
  state: State,
  reason: Reason.nullable(),
  role: z.string().nullable(),
  skills: z.array(z.string()),
  limit: z.int().min(1).max(1000).describe("how many sessions it may have at once"),
  active: z.int(),
  demo: z.boolean().describe("true for the built-in demo model: shown wherever its work is shown"),
  settings: AgentSettings,
  detection: Detection,
});
export type Agent = z.infer<typeof Agent>;

export const NewAgent = Agent.pick({ name: true, backend: true }).extend({
  role: z.string().nullable().default(null),
  skills: z.array(z.string()).default([]),
  limit: z.int().min(1).max(1000).default(4).describe("how many sessions it may have at once"),
  settings: AgentSettings,
});
export type NewAgent = z.infer<typeof NewAgent>;

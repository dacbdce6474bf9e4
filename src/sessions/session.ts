import { z } from "zod";
import { Outcome, Usage } from "../agents/backend.ts";
import { Reason, State } from "../tasks/task.ts";

/** One conversation with one agent; a task is worked on in a session. */
export const Session = z.object({
  id: z.string(),
  project: z.string(),
  task: z.string(),
  agent: z.string(),
  state: State,
  reason: Reason.nullable(),
  vendorSession: z.string().nullable().describe("the agent program's own id of the conversation"),
  branch: z.string(),
  base: z.string().nullable(),
  commit: z.string().nullable().describe("the newest snapshot of its work in the mirror"),
  notIncluded: z.array(z.string()).describe("paths changed in the person's repository that were not included"),
  demo: z.boolean(),
  createdAt: z.number(),
  updatedAt: z.number(),
});
export type Session = z.infer<typeof Session>;

/** A commit as bytes for other homes, and where they lie. */
export const Pack = z.object({
  commit: z.string(),
  artifact: z.string().describe("the SHA-256 of the pack's bytes"),
  size: z.int().min(0).describe("in bytes"),
});
export type Pack = z.infer<typeof Pack>;

export const Turn = z.object({
  session: z.string(),
  turn: z.int(),
  attempt: z.int(),
  state: State,
  prompt: z.string(),
  outcome: Outcome.nullable(),
  usage: Usage.nullable(),
  commit: z.string().nullable(),
  startedAt: z.number(),
  finishedAt: z.number().nullable(),
});
export type Turn = z.infer<typeof Turn>;

/** One line of a transcript, as stored: JSON lines, append-only. */
export const TranscriptEntry = z.object({
  turn: z.int(),
  at: z.number(),
  kind: z.enum(["prompt", "text", "thought", "tool", "permission", "answer", "check", "setup", "note", "outcome"]),
  name: z.string().optional().describe("for kind tool: its name and state; for permission: the tool"),
  state: z.string().optional(),
  text: z.string(),
});
export type TranscriptEntry = z.infer<typeof TranscriptEntry>;

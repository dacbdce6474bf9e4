import { z } from "zod";
import { ArtifactId } from "../artifacts/artifact.ts";
import { RetryPolicy } from "./retry.ts";

/** The same words for agent, task, run and step (and "skipped" for steps), in the store, in the API and on every screen. */
export const states = ["queued", "starting", "running", "needs you", "paused", "done", "failed", "cancelled"] as const;
export const State = z.enum(states);
export type State = z.infer<typeof State>;

/** Why something is in its state. A closed list, so that a program can act on it; details stand in `message` fields. */
export const Reason = z.enum([
  "new", // just created
  "needs", // waits for the tasks or steps that it needs
  "delayed", // waits for the time before which it must not start
  "no agent", // no agent fits
  "no capacity", // an agent fits, all are busy
  "concurrency", // as many of its key or flow run as may
  "circuit open", // the agents that fit fail too often, and rest
  "no runner", // no machine that runs agents is there, or has room
  "disk full", // the server's disk is nearly full: nothing new is started
  "retry", // waits for its next attempt
  "interrupted", // the server or runner went away; goes on in the same session
  "idle", // an agent without work
  "approval", // a person must allow something
  "question", // a person must answer something
  "quota", // the provider's limit; goes on at its reset
  "signed out", // the agent program wants a sign-in
  "not found", // the agent program is not installed
  "unsupported version", // the agent program is too old or too new
  "condition", // a step's `if` was false
  "need failed", // something that it needs failed
  "agent failed", // the agent said so, or its process died
  "check failed", // the check did not pass after its retries
  "output invalid", // the output did not fit the schema after its retries
  "command failed", // a `run` step's command ended with another code than 0
  "merge conflict", // the change does not fit the branch
  "time limit", // `minutes` ran out
  "deadline", // it was not over when it had to be
  "crash loop", // the attempt died with its runner too often
  "person", // a person stopped, denied or retried it
  "error", // a fault of Tutti or of the machine, kept in `message`
]);
export type Reason = z.infer<typeof Reason>;

export const isTerminal = (state: State | "skipped"): boolean =>
  state === "done" || state === "failed" || state === "cancelled" || state === "skipped";

/** Which agent may do the work: by name, or any that has the role and all the skills. */
export const AgentSelector = z.object({
  name: z.string().min(1).max(100).optional(),
  role: z.string().min(1).max(100).optional(),
  skills: z.array(z.string().min(1).max(100)).max(20).optional(),
});
export type AgentSelector = z.infer<typeof AgentSelector>;

/** A command that shows whether the work is right: it runs in the sandbox on the session's own files. */
export const Check = z.object({
  run: z
    .string()
    .min(1)
    .max(10_000)
    .describe("a command line for `sh -c` inside the sandbox. It comes from a person's flow or project file, never from a template."),
  retry: z.int().min(0).max(10).default(0).describe("how often the agent gets the check's output back and may try again"),
});
export type Check = z.infer<typeof Check>;

const common = {
  inputs: z
    .array(ArtifactId)
    .optional()
    .describe("large results that the work gets as files: where its texts say artifact:<id>, the file's path is written"),
  env: z.record(z.string(), z.string()).default({}),
  minutes: z.number().positive().max(10_080).optional().describe("wall time for one attempt; the process tree is ended when it is over"),
  retry: RetryPolicy.optional().describe("how often it is tried, and how long it waits in between"),
  base: z
    .string()
    .nullable()
    .default(null)
    .describe("the commit to work from; null: the head of the project's base branch when the work starts"),
};

/** Work for an agent. */
export const AgentSpec = z.object({
  kind: z.literal("agent"),
  prompt: z.string().min(1),
  agent: AgentSelector.default({}),
  output: z.record(z.string(), z.unknown()).optional().describe("JSON Schema that the answer must fit"),
  check: Check.optional(),
  includeDirty: z.boolean().default(false),
  ...common,
});

/** What is to be done. The kind decides which part of the runner does it. */
export const TaskSpec = z.discriminatedUnion("kind", [
  AgentSpec,
  z.object({
    kind: z.literal("run"),
    run: z
      .union([z.string().min(1), z.array(z.string()).min(1)])
      .describe("a command line written by a person (no template inside), or an argv whose items templates may fill"),
    output: z.record(z.string(), z.unknown()).optional(),
    stdin: z.unknown().optional().describe("what the command reads: a text as it is, a large result whole, anything else as JSON"),
    ...common,
  }),
  z.object({
    kind: z.literal("merge"),
    /** What to merge, in order. `step` goes into the commit's `Tutti-Step` trailer. */
    sources: z.array(z.object({ step: z.string(), title: z.string(), commit: z.string(), agent: z.string() })),
    into: z.string().nullable().default(null).describe("the branch that receives it; null: the project's base branch"),
    check: Check.optional(),
    ...common,
  }),
]);
export type TaskSpec = z.infer<typeof TaskSpec>;

/** What a task gave. `output` is whole: text, or the validated value when the task had an output schema. */
export const TaskResult = z.object({
  output: z.unknown(),
  commit: z.string().nullable().describe("the commit with everything that was changed, in the project's mirror; null when nothing was"),
  base: z.string().nullable().describe("the commit the work started from"),
  files: z.array(z.string()).describe("changed paths"),
  branch: z.string().nullable().describe("where a person finds the result: a branch of their repository"),
  note: z.string().nullable().describe("what to tell a person, e.g. the one command that finishes a delivery that had to wait."),
});
export type TaskResult = z.infer<typeof TaskResult>;

export const Task = z.object({
  id: z.string(),
  project: z.string(),
  kind: z.enum(["agent", "run", "merge"]),
  title: z.string(),
  state: State,
  reason: Reason.nullable(),
  message: z.string().nullable(),
  verified: z.boolean().nullable(),
  attempt: z.int().describe("which try this is; the number is a fence. 0 before the first."),
  priority: z.int(),
  run: z.string().nullable(),
  step: z.string().nullable(),
  agent: z.string().nullable(),
  session: z.string().nullable(),
  needs: z.array(z.string()),
  readyAt: z.number().describe("it does not start before"),
  deadline: z.number().nullable().describe("it fails when it is not over by then"),
  createdAt: z.number(),
  updatedAt: z.number(),
  finishedAt: z.number().nullable(),
});
export type Task = z.infer<typeof Task>;

export const TaskDetails = Task.extend({
  spec: TaskSpec,
  result: TaskResult.nullable(),
  why: z.string().nullable().describe("why this agent was chosen"),
  attempts: z.array(
    z.object({
      attempt: z.int(),
      state: State,
      reason: Reason.nullable(),
      message: z.string().nullable(),
      agent: z.string().nullable(),
      session: z.string().nullable(),
      startedAt: z.number(),
      finishedAt: z.number().nullable(),
    }),
  ),
});
export type TaskDetails = z.infer<typeof TaskDetails>;

const TokenUsage = z.object({
  model: z.string().nullable(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  cachedTokens: z.int(),
  costUsd: z.number().nullable(),
});

/** A task with all that its page shows beside the transcript and the diff. */
export const TaskView = TaskDetails.extend({
  projectName: z.string(),
  /** Of all its attempts. `costUsd` null: nobody said. `byTurn`: the newest 500, the oldest first. */
  usage: z.object({
    turns: z.int(),
    inputTokens: z.int(),
    outputTokens: z.int(),
    cachedTokens: z.int(),
    costUsd: z.number().nullable(),
    byTurn: z.array(
      z.object({
        session: z.string(),
        turn: z.int(),
        attempt: z.int(),
        usage: TokenUsage.nullable(),
        startedAt: z.number(),
        finishedAt: z.number().nullable(),
      }),
    ),
  }),
  approvals: z.array(z.string()).describe("its open questions"),
  /** Each time that its check ran, the oldest first; `output` is the end of what it printed. */
  checks: z.array(z.object({ name: z.string(), state: z.enum(["passed", "failed"]), output: z.string(), at: z.number() })),
});
export type TaskView = z.infer<typeof TaskView>;

/** One line for lists: the first line of a prompt, at most 80 characters. */
export function titleOf(prompt: string): string {
  const line = (prompt.trim().split("\n", 1)[0] ?? "").trimEnd();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

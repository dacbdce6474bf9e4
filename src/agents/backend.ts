import { z } from "zod";
import type { BrokerAccess } from "../models/model.ts";
import type { RunningProcess, StartOptions } from "../processes/process.ts";
import type { Agent, Detection } from "./agent.ts";

export const Usage = z.object({
  model: z.string().nullable(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  cachedTokens: z.int(),
  costUsd: z.number().nullable().describe("US dollars as the program or provider reports them; null when it does not say"),
  provider: z.string().optional().describe("who answered, by the provider's name, where there was a choice"),
});
export type Usage = z.infer<typeof Usage>;

/** How a turn ended. "end_turn" of a program is not proof of success: the check decides that. */
export const Outcome = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("done"), output: z.string() }),
  z.object({
    kind: z.literal("failed"),
    cause: z
      .enum(["model", "process", "protocol", "time"])
      .describe(
        "model: the provider answered an error; process: the program died; protocol: it broke its protocol; time: a watchdog fired",
      ),
    message: z.string(),
    retryable: z.boolean(),
  }),
  z.object({ kind: z.literal("limited"), retryAt: z.number().nullable(), message: z.string() }),
  z.object({ kind: z.literal("needs input"), question: z.string() }),
  z.object({ kind: z.literal("cancelled") }),
]);
export type Outcome = z.infer<typeof Outcome>;

/** Everything that a turn can tell, in the order of its life. The last event of a turn is always an outcome, exactly one. */
export const AgentEvent = z.discriminatedUnion("kind", [
  /** The program's own id of the conversation, needed to resume it. */
  z.object({ kind: z.literal("session"), vendorSession: z.string() }),
  z.object({ kind: z.literal("text"), text: z.string() }),
  z.object({ kind: z.literal("thought"), text: z.string() }),
  z.object({
    kind: z.literal("tool"),
    id: z.string(),
    name: z.string(),
    state: z.enum(["started", "done", "failed"]),
    input: z.unknown(),
    output: z.string().nullable(),
  }),
  /** Stops the turn until `answer` is called. `action` is the raw thing to be done: what a person sees and what is hashed. */
  z.object({
    kind: z.literal("permission"),
    id: z.string(),
    tool: z.string(),
    action: z.unknown(),
    options: z.array(z.object({ id: z.string(), label: z.string(), allows: z.boolean(), lasting: z.boolean() })),
  }),
  z.object({ kind: z.literal("usage"), usage: Usage }),
  z.object({ kind: z.literal("outcome"), outcome: Outcome }),
]);
export type AgentEvent = z.infer<typeof AgentEvent>;

/** One entry of the stored conversation, enough to go on where the program itself cannot resume. */
export interface PastTurn {
  prompt: string;
  output: string;
}

export interface SessionSpec {
  sessionId: string;
  agent: Agent;
  /** The session's clone and its private home, as the process sees them. */
  cwd: string;
  home: string;
  /** The whole environment of the agent's processes, already reduced to the allow-list; backends may add their own, never from process.env. */
  env: Record<string, string>;
  /** Where the broker serves the agent's models, and the token that opens it for this session; null with vendor or no credentials. */
  broker: BrokerAccess | null;
  /** The program's id of the conversation to resume; null for a new one. */
  vendorSession: string | null;
  /** What was said before, for programs that cannot resume by themselves. */
  past: PastTurn[];
  permissions: "ask" | "auto";
  /** Starts a process in this session's sandbox. The only way a backend starts anything. */
  start(options: Pick<StartOptions, "argv" | "env" | "stdin" | "readable">): RunningProcess;
}

export interface AgentConnection {
  abilities: { resume: boolean; permissions: boolean; usage: boolean };
  /** Never throws and never rejects for a failing model or a dead process: the last event is an outcome. */
  prompt(text: string, signal: AbortSignal): AsyncIterable<AgentEvent>;
  /** Answers a permission event; unknown ids are ignored. `option` null is a refusal. */
  answer(permission: string, option: string | null): void;
  /** Ends the program surely; harmless twice. */
  close(): Promise<void>;
}

/** What detection may use: the search path and a way to run `--version` with a limit; never the user's whole environment. */
export interface DetectEnvironment {
  path: string;
  home: string;
  /** Names of providers that are configured ("demo" always is). */
  providers: string[];
  signal: AbortSignal;
}

/** A backend translates and decides nothing. */
export interface AgentBackend {
  kind: string;
  detect(agent: Pick<Agent, "name" | "backend" | "settings">, environment: DetectEnvironment): Promise<Detection>;
  /** Rejects with AppError `agent_unavailable` when the program cannot be started at all. */
  open(spec: SessionSpec, signal: AbortSignal): Promise<AgentConnection>;
}

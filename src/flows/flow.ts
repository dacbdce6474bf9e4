import { z } from "zod";
import { AgentSelector, Reason, State, isTerminal } from "../tasks/task.ts";

/**
 * A flow as the engine runs it: one typed graph, made by compile.ts from YAML. Every value that a template may fill is a
 * Template; positions point into the file for messages.
 */
export const Position = z.object({ file: z.string(), line: z.int(), column: z.int() });
export type Position = z.infer<typeof Position>;

/** Literal text and CEL expressions, in order. A template of exactly one expression keeps its value's type; others become text. */
export const Template = z.array(z.union([z.string(), z.object({ cel: z.string() })]));
export type Template = z.infer<typeof Template>;

/** A value of `with`: a template, or plain data with templates inside. */
export type Value =
  | { template: Template }
  | { list: Value[] }
  | { map: Record<string, Value> }
  | { plain: string | number | boolean | null };
export const Value: z.ZodType<Value> = z.lazy(() =>
  z.union([
    z.object({ template: Template }),
    z.object({ list: z.array(Value) }),
    z.object({ map: z.record(z.string(), Value) }),
    z.object({ plain: z.union([z.string(), z.number(), z.boolean(), z.null()]) }),
  ]),
);

const FlowCheck = z.object({ run: z.string(), retry: z.int() });

const work = {
  env: z.record(z.string(), Template),
  with: z.record(z.string(), Value),
  output: z.record(z.string(), z.unknown()).nullable(),
  check: FlowCheck.nullable(),
  minutes: z.number().nullable(),
  from: z
    .string()
    .nullable()
    .describe("the step whose result this one works on; null: the run's base, which moves on with every delivered merge"),
};

export const AgentWork = z.object({ kind: z.literal("agent"), agent: AgentSelector, prompt: Template, ...work });
export const RunWork = z.object({
  kind: z.literal("run"),
  run: z
    .union([z.string(), z.array(Template)])
    .describe("a string has no templates (they are refused: script injection); the items of a list may have"),
  stdin: Template.optional().describe("what the command reads; left out: nothing"),
  ...work,
});

const node = {
  id: z.string(),
  needs: z.array(z.string()),
  if: Template.nullable(),
  at: Position,
};

export const FlowStep = z.discriminatedUnion("kind", [
  z.object({ ...AgentWork.shape, ...node }),
  z.object({ ...RunWork.shape, ...node }),
  z.object({
    kind: z.literal("each"),
    each: Template,
    as: z.string(),
    parallel: z.int(),
    work: z.discriminatedUnion("kind", [AgentWork, RunWork]),
    quorum: z.number().describe("how many items must be done: all of them, or a part between 0 and 1"),
    ...node,
  }),
  z.object({ kind: z.literal("fold"), fold: Template, work: AgentWork, ...node }),
  z.object({
    kind: z.literal("ask"),
    who: z.string(),
    question: Template,
    show: z.record(z.string(), Value).describe("shown with the question"),
    options: z.array(z.string()),
    timeoutMs: z.number().nullable(),
    default: z.string().nullable(),
    ...node,
  }),
  z.object({
    kind: z.literal("merge"),
    merge: z.array(z.string()).describe("the steps whose changes are merged, in order; a group gives its items in order"),
    into: z.string().nullable(),
    check: FlowCheck.nullable(),
    minutes: z.number().nullable(),
    ...node,
  }),
]);
export type FlowStep = z.infer<typeof FlowStep>;

export const FlowInput = z.object({
  type: z.enum(["string", "number", "boolean", "object", "array"]),
  default: z.unknown().optional(),
  description: z.string().optional(),
});

export const Flow = z.object({
  name: z.string(),
  inputs: z.record(z.string(), FlowInput),
  minutes: z.number().nullable().describe("wall time for the whole run"),
  steps: z.array(FlowStep),
  hash: z.string().describe("SHA-256 of the canonical graph without positions"),
});
export type Flow = z.infer<typeof Flow>;

/** A mistake in a flow file: what, why and the likely fix, with its place. */
export interface Problem {
  at: Position;
  message: string;
  fix: string | null;
}

export const StepState = z.enum([...State.options, "skipped"]);
export type StepState = z.infer<typeof StepState>;

export const Run = z.object({
  id: z.string(),
  project: z.string(),
  flow: z.string().describe("the flow's name"),
  state: State,
  reason: Reason.nullable(),
  message: z.string().nullable(),
  inputs: z.record(z.string(), z.unknown()),
  createdAt: z.number(),
  updatedAt: z.number(),
  finishedAt: z.number().nullable(),
});
export type Run = z.infer<typeof Run>;

export const Step = z.object({
  run: z.string(),
  id: z.string().describe("the step's id; an item of a group is `fix[0]`"),
  kind: z.enum(["agent", "run", "each", "fold", "ask", "merge"]),
  state: StepState,
  reason: Reason.nullable(),
  message: z.string().nullable(),
  verified: z.boolean().nullable(),
  task: z.string().nullable(),
  approval: z.string().nullable(),
  /** For a group: how many items there are and how they ended. */
  group: z.object({ wanted: z.int(), done: z.int(), failed: z.int(), cancelled: z.int() }).nullable(),
  createdAt: z.number(),
  finishedAt: z.number().nullable(),
});
export type Step = z.infer<typeof Step>;

export const stepIsTerminal = (state: StepState): boolean => isTerminal(state);

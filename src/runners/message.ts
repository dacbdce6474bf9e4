import { z } from "zod";
import { Agent } from "../agents/agent.ts";
import { Usage, Outcome } from "../agents/backend.ts";
import { BrokerAccess } from "../models/model.ts";
import { Pack, TranscriptEntry } from "../sessions/session.ts";
import { TaskSpec } from "../tasks/task.ts";

/**
 * All that a server and a runner say to each other: plain data, also inside one process, so that a runner can become a process
 * or a machine of its own without another way of talking.
 */

/** One attempt to run, with all that it needs: the runner reads nothing from the store. */
export const Assignment = z.object({
  kind: z.literal("assign"),
  task: z.string(),
  attempt: z.int(),
  title: z.string(),
  project: z.object({
    id: z.string(),
    source: z.string(),
    baseBranch: z.string(),
    sandbox: z.enum(["default", "none"]),
    setup: z.string().nullable(),
    deliver: z.enum(["local", "push"]),
  }),
  session: z.string(),
  branch: z.string(),
  spec: TaskSpec,
  /** The agent that does it; null for kinds `run` and `merge`. */
  agent: Agent.nullable(),
  /** The agent's own token (TUTTI_TOKEN) and where the server is; null without an agent. */
  access: z.object({ url: z.string(), token: z.string() }).nullable(),
  broker: BrokerAccess.nullable(),
  vendorSession: z.string().nullable(),
  /** Turns that ended before, to go on from. */
  past: z.array(z.object({ prompt: z.string(), output: z.string() })),
  /** The last turn was cut off: its unfinished changes are still in the clone. */
  interrupted: z.boolean(),
  /** The number that the next turn gets. */
  nextTurn: z.int(),
  /** Where the session stands when it has work: the commit that it started from, and its last one. Left out: it begins. */
  goesOn: z.object({ base: z.string(), commit: z.string() }).nullable().optional(),
  /** The packs of the commits that this attempt needs: unpacked where this home does not have them. */
  packs: z.array(Pack).optional(),
  /** Whether other homes may need its commits: then each is packed, and told, before the turn that made it is told as ended. */
  wantsPacks: z.boolean().optional(),
  /** Published under this branch name in the person's repository when done; null inside a run. */
  publish: z.string().nullable(),
  /** `<run>/<step>` for a step, the task's id otherwise. */
  label: z.string(),
});
export type Assignment = z.infer<typeof Assignment>;

export const ToRunner = z.discriminatedUnion("kind", [
  Assignment,
  /** A person's answer to a permission request. */
  z.object({ kind: z.literal("answer"), task: z.string(), attempt: z.int(), permission: z.string(), option: z.string().nullable() }),
  z.object({ kind: z.literal("cancel"), task: z.string(), attempt: z.int() }),
]);
export type ToRunner = z.infer<typeof ToRunner>;

/** How an attempt ended, as the runner saw it. Deciding what that means is `settle`'s work. */
export const AttemptOutcome = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("done"),
    output: z.unknown(),
    commit: z.string().nullable(),
    base: z.string().nullable(),
    files: z.array(z.string()),
    branch: z.string().nullable(),
    note: z.string().nullable(),
    /** true: a check passed; null: there was none. */
    verified: z.boolean().nullable(),
  }),
  z.object({
    kind: z.literal("failed"),
    reason: z.enum([
      "agent failed",
      "check failed",
      "output invalid",
      "command failed",
      "merge conflict",
      "time limit",
      "error",
      "question",
    ]),
    message: z.string(),
    retryable: z.boolean(),
    commit: z.string().nullable(),
    base: z.string().nullable(),
    files: z.array(z.string()),
  }),
  z.object({ kind: z.literal("limited"), retryAt: z.number().nullable(), message: z.string() }),
  z.object({ kind: z.literal("cancelled") }),
  /** The runner is going away on purpose: the task goes back to the queue and on in the same session. */
  z.object({ kind: z.literal("interrupted") }),
]);
export type AttemptOutcome = z.infer<typeof AttemptOutcome>;

const fence = {
  runner: z.string(),
  runnerEpoch: z.int(),
  task: z.string(),
  attempt: z.int(),
  session: z.string(),
  /**
   * The message's place among those of its attempt, from 1 (live text has none). A runner that got no answer tells the same message
   * again; what was taken before is known by its number and answered as it was.
   */
  number: z.int().positive().optional(),
};

/** Each is answered: accepted, or refused because its attempt or the runner's lease is over; then the runner stops the attempt. */
export const FromRunner = z.discriminatedUnion("kind", [
  /** The clone is ready. */
  z.object({ kind: z.literal("started"), ...fence, base: z.string().nullable(), notIncluded: z.array(z.string()) }),
  z.object({ kind: z.literal("vendor-session"), ...fence, vendorSession: z.string() }),
  z.object({ kind: z.literal("turn-started"), ...fence, turn: z.int(), prompt: z.string() }),
  /** Part `part` of a turn's transcript: flushed every 250 ms or 64 KB. */
  z.object({ kind: z.literal("transcript"), ...fence, turn: z.int(), part: z.int(), entries: z.array(TranscriptEntry) }),
  /** Live text: not stored, not answered with a refusal that matters. */
  z.object({ kind: z.literal("delta"), ...fence, turn: z.int(), of: z.enum(["text", "thought", "tool"]), text: z.string() }),
  z.object({
    kind: z.literal("permission"),
    ...fence,
    permission: z.string(),
    tool: z.string(),
    action: z.unknown(),
    options: z.array(z.object({ id: z.string(), label: z.string(), allows: z.boolean(), lasting: z.boolean() })),
  }),
  z.object({
    kind: z.literal("turn-ended"),
    ...fence,
    turn: z.int(),
    outcome: Outcome,
    usage: Usage.nullable(),
    commit: z.string().nullable(),
  }),
  /** A commit of this attempt lies ready for other homes. */
  z.object({ kind: z.literal("packed"), ...fence, pack: Pack }),
  z.object({ kind: z.literal("outcome"), ...fence, outcome: AttemptOutcome }),
]);
export type FromRunner = z.infer<typeof FromRunner>;

export interface RunnerLink {
  /** Resolves when the server has it committed; false: refused, the attempt is no longer ours. */
  tell(message: FromRunner): Promise<boolean>;
}

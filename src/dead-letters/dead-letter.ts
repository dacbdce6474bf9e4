import { z } from "zod";
import { Reason, TaskDetails } from "../tasks/task.ts";

/**
 * The dead letter: tasks that failed for good, of no run (a run's are retried with it). Each keeps its whole history, and none leaves
 * before somebody replays it, marks it done or its retention is over.
 */
export const DeadLetter = z.object({
  task: z.string(),
  project: z.string(),
  title: z.string(),
  agent: z.string().nullable(),
  reason: Reason.nullable(),
  message: z.string().nullable(),
  failures: z.int().describe("attempts that failed by themselves"),
  crashes: z.int().describe("attempts that died with their runner"),
  failedAt: z.number(),
  attempts: TaskDetails.shape.attempts,
});
export type DeadLetter = z.infer<typeof DeadLetter>;

export const filters = {
  project: z.string().optional(),
  reason: Reason.optional().describe("only those that failed for it"),
  agent: z.string().optional().describe("only those that it had last"),
};

export interface Filter {
  project?: string | undefined;
  reason?: string | undefined;
  agent?: string | undefined;
}

import { z } from "zod";

/** The one union of all event types. Data is at most 4 KB of JSON; what is larger is an artifact. */
export const EventType = z.enum([
  "project.created",
  "project.updated",
  "agent.created",
  "agent.updated",
  "agent.removed",
  "provider.updated",
  "task.created",
  "task.assigned",
  "task.started",
  "task.needs-you",
  "task.resumed",
  "task.requeued",
  "task.stop-requested",
  "task.settled",
  "session.created",
  "session.updated",
  "turn.started",
  "turn.settled",
  "run.created",
  "run.advanced",
  "run.stop-requested",
  "run.retried",
  "run.settled",
  "step.started",
  "step.settled",
  "approval.opened",
  "approval.answered",
  "approval.expired",
  "inbox.marked",
  "token.created",
  "token.revoked",
  "channel.updated",
  "channel.removed",
  "delivery.settled",
  "orchestrator.started",
  "runner.started",
]);
export type EventType = z.infer<typeof EventType>;

export const Event = z.object({
  stream: z.string().describe('a project\'s id, or "instance"'),
  seq: z.int().describe("dense and ordered within its stream"),
  type: EventType,
  at: z.number(),
  task: z.string().nullable(),
  run: z.string().nullable(),
  session: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
});
export type Event = z.infer<typeof Event>;

import { z } from "zod";
import { FromRunner } from "../message.ts";

/**
 * What a runner process and a server say to each other over HTTP, below /runner, beside the messages themselves. Who the runner is
 * says its token, never the request.
 *
 *   POST /runner/lease       take the lease, renew it or give it back
 *   POST /runner/tell        messages of attempts, in their order; answered one by one
 *   GET  /runner/messages    messages to the runner, one JSON text a line; an empty line says that the server is there
 *   PUT  /runner/artifacts   GET, HEAD /runner/artifacts/<id>
 */
const leaseMs = z.int().min(5_000).max(600_000);

export const LeaseRequest = z.discriminatedUnion("kind", [
  /** `life` is new for each time that the lease is taken: asked again, it gets the same epoch. */
  z.strictObject({
    kind: z.literal("take"),
    life: z.string().min(16).max(100),
    home: z.string().min(8).max(100),
    capacity: z.int().positive().nullable(),
    /** How long the lease holds without renewal: an outage of the servers stops no attempt for three fifths of that. */
    leaseMs,
  }),
  z.strictObject({ kind: z.literal("renew"), epoch: z.int(), draining: z.boolean(), leaseMs }),
  z.strictObject({ kind: z.literal("give back"), epoch: z.int() }),
]);
export type LeaseRequest = z.infer<typeof LeaseRequest>;

/** `kept` false: the lease is over. */
export const LeaseAnswer = z.object({
  runner: z.string(),
  epoch: z.int(),
  kept: z.boolean(),
  /** Without a renewal for so long the runner must stop its agents by itself. */
  deadlineMs: z.int().positive(),
});
export type LeaseAnswer = z.infer<typeof LeaseAnswer>;

/** So many messages, and so many bytes of them, travel together. A single one may be larger than that. */
export const mostMessages = 200;
export const batchBytes = 1024 * 1024;
/** One request's body. */
export const tellBytes = 64 * 1024 * 1024;

export const TellRequest = z.strictObject({ messages: z.array(FromRunner).max(2 * mostMessages) });

/**
 * accepted, refused: committed, or the attempt is no longer the runner's. failed: it could not be written. later: a message of the
 * same attempt before it failed, so it was not looked at.
 */
export const TellAnswer = z.object({
  answers: z.array(
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("accepted") }),
      z.object({ kind: z.literal("refused") }),
      z.object({
        kind: z.literal("failed"),
        error: z.object({
          code: z.string(),
          message: z.string(),
          why: z.string().nullable(),
          fix: z.array(z.string()),
          retryable: z.boolean(),
        }),
      }),
      z.object({ kind: z.literal("later") }),
    ]),
  ),
});
export type TellAnswer = z.infer<typeof TellAnswer>;
export type Told = TellAnswer["answers"][number];

/** The server writes an empty line this often; a runner that hears nothing for much longer connects anew. */
export const heartbeatMs = 3_000;
export const silenceMs = 10_000;

import { z } from "zod";

/** A question to a person. Agents can never answer one. */
export const Approval = z.object({
  id: z.string(),
  project: z.string(),
  kind: z.enum(["permission", "ask"]),
  state: z.enum(["open", "answered", "expired"]),
  task: z.string().nullable(),
  run: z.string().nullable(),
  step: z.string().nullable(),
  session: z.string().nullable(),
  agent: z.string().nullable(),
  /** What is asked, in one line. */
  question: z.string(),
  /** The raw action (permission) or the material to look at (ask), as JSON. Never text that an agent wrote about its action. */
  action: z.unknown(),
  /** SHA-256 over the canonical action: the answer is for this action only. */
  hash: z.string(),
  /** What may be answered; the first is yes, the last is no. */
  options: z.array(z.string()),
  answer: z.string().nullable(),
  /** Given with a reply. */
  comment: z.string().nullable(),
  answeredBy: z.string().nullable(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  answeredAt: z.number().nullable(),
});
export type Approval = z.infer<typeof Approval>;

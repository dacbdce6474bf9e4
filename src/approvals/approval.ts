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
  question: z.string().describe("what is asked, in one line"),
  action: z
    .unknown()
    .describe("the raw action (permission) or the material to look at (ask), as JSON. Never text that an agent wrote about its action."),
  hash: z.string().describe("SHA-256 over the canonical action: the answer is for this action only"),
  options: z.array(z.string()).describe("what may be answered; the first is yes, the last is no"),
  answer: z.string().nullable(),
  comment: z.string().nullable().describe("given with a reply"),
  answeredBy: z.string().nullable(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  answeredAt: z.number().nullable(),
});
export type Approval = z.infer<typeof Approval>;

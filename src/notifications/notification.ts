import { z } from "zod";

/** What a channel can be told of: something waits for a person, something failed, work is done, a provider's limit was reached. */
export const topics = ["needs you", "failed", "done", "quota"] as const;
export const Topic = z.enum(topics);
export type Topic = z.infer<typeof Topic>;

const defaultTopics: readonly Topic[] = ["needs you", "failed"];

/** Where notifications go. Its secret is never part of it: it lies in a file that only the server reads. */
export const Channel = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes"),
  kind: z.enum(["webhook", "ntfy"]),
  url: z
    .string()
    .describe("ntfy: with the topic at its end. The path of either may be as good as a password: it is in no event and no delivery."),
  topics: z.array(Topic),
  enabled: z.boolean(),
  hasSecret: z.boolean(),
  message: z.string().nullable().describe("why the server itself disabled it"),
  createdAt: z.number(),
});
export type Channel = z.infer<typeof Channel>;

/** A new channel needs kind and url; of one that is there, what is left out stays as it is. */
export const NewChannel = z.strictObject({
  name: Channel.shape.name,
  kind: Channel.shape.kind.optional().describe("webhook (signed by Standard Webhooks) or ntfy"),
  url: z.string().trim().max(2000).optional().describe("the address that is posted to; for ntfy with the topic at its end"),
  secret: z
    .string()
    .trim()
    .max(4096)
    .regex(/^[\x21-\x7e]+$/, "one word of printable ASCII letters")
    .nullable()
    .optional()
    .describe(
      "webhook: `whsec_<base64>`, what signs; left out, the server makes one and shows it once, null makes a new one. ntfy: an access token; null: none any more.",
    ),
  topics: z
    .array(Topic)
    .min(1)
    .transform((wanted) => topics.filter((topic) => wanted.includes(topic)))
    .optional()
    .describe("what it is told of"),
  enabled: z.union([z.boolean(), z.stringbool()]).optional().describe("also as a word, so that the command line can say `--enabled false`"),
});
export type NewChannel = z.infer<typeof NewChannel>;

/** What a person is told. Made of names, titles and questions only: never an action, an output or a token. */
export const Notice = z.object({
  topic: Topic,
  reason: z.string().nullable().describe('the reason class: "approval", "question", "signed out", or why a task or run is in its state'),
  project: z.string().nullable(),
  projectName: z.string().nullable(),
  task: z.string().nullable(),
  run: z.string().nullable(),
  title: z.string(),
  text: z.string(),
  path: z.string().describe("under the server's own address: /inbox?item=..., /tasks/..., /runs/..."),
  at: z.number().describe("when it happened, ms"),
});
export type Notice = z.infer<typeof Notice>;

/** One notification to one channel. */
export const Delivery = z.object({
  id: z.string().describe("the same at every attempt: receivers tell repetitions by it"),
  channel: z.string(),
  state: z.enum(["queued", "sent", "failed"]),
  attempts: z.int(),
  message: z.string().nullable().describe("what came of the last attempt"),
  ...Notice.omit({ at: true }).shape,
  createdAt: z.number(),
  updatedAt: z.number(),
  nextAt: z.number().nullable().describe("when it is tried again; null when it is over"),
});
export type Delivery = z.infer<typeof Delivery>;

/** What a channel will be: what it is, changed by what is wanted. null in `kind` and `url`: nobody said. */
export const changed = (old: Channel | null, wanted: NewChannel) => ({
  name: wanted.name,
  kind: wanted.kind ?? old?.kind ?? null,
  url: wanted.url ?? old?.url ?? null,
  topics: wanted.topics ?? old?.topics ?? [...defaultTopics],
  enabled: wanted.enabled ?? old?.enabled ?? true,
});

/** ntfy's JSON goes to the path above its topic, with the topic inside. null when the address ends in no topic. */
export function ntfyAddress({ pathname, search }: URL): { path: string; topic: string } | null {
  const end = pathname.lastIndexOf("/") + 1;
  const topic = pathname.slice(end);
  return /^[-_A-Za-z0-9]{1,64}$/.test(topic) && search === "" ? { path: pathname.slice(0, end), topic } : null;
}

const [escape, csi] = ["\u001b", "\u009b"];
const terminalCommands = new RegExp(`(?:${escape}\\[|${csi})[0-?]*[ -/]*[@-~]`, "g");
/** Controls, what turns the reading direction, and what cannot be seen. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u{e0000}-\u{e0fff}]+/gu;
/** What looks like a credential, of ours or of well-known services, whoever wrote it into a title. */
const credentials = new RegExp(
  [
    String.raw`\btutti_[0-9a-f]{16}_[\w-]+`,
    String.raw`\bwhs(?:ec|k)_[\w+/=]+`,
    String.raw`\bsk-[\w-]{16,}`,
    String.raw`\b[spr]k_(?:live|test)_\w+`,
    String.raw`\b(?:gh[oprsu]|github_pat|hf|npm|tk)_\w{20,}`,
    String.raw`\bglpat-[\w-]{16,}`,
    String.raw`\bxox[abeprs]-[\w-]{10,}`,
    String.raw`\bAKIA[0-9A-Z]{16}`,
    String.raw`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*`,
    String.raw`\bbearer\s+\S{16,}`,
  ].join("|"),
  "gi",
);

/** One line of at most `limit` characters that can steer nothing and holds no credential. */
export function preview(text: string, limit = 140): string {
  const line = text
    .toWellFormed()
    .replaceAll(/[\t\n\r]+/g, " ")
    .replaceAll(terminalCommands, "")
    .replaceAll(unseen, "")
    .replaceAll(credentials, "[secret]")
    .replaceAll(/\s+/g, " ")
    .trim();
  const letters = Array.from(line);
  return letters.length > limit ? `${letters.slice(0, limit - 1).join("")}…` : line;
}

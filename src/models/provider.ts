import { z } from "zod";

/** An OpenAI-compatible address with a model. Its key is never part of it: it lies in a file that only the server reads. */
export const Provider = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes"),
  /** With the version part, as programs take it in OPENAI_BASE_URL: https://api.example.com/v1. No slash at its end. */
  baseUrl: z.string(),
  model: z.string().trim().min(1).max(200),
  /** The name of the key's file; null: it wants no key. */
  keyName: z.string().nullable(),
});
export type Provider = z.infer<typeof Provider>;

/** What a key may be: it becomes a header, so one word of printable letters. */
const Key = z
  .string()
  .trim()
  .max(4096)
  .regex(/^[\x21-\x7e]+$/, "one word of printable ASCII letters");

export const NewProvider = z.strictObject({
  name: Provider.shape.name.refine((name) => name !== "demo", `"demo" is the built-in demo model`),
  baseUrl: z
    .string()
    .trim()
    .max(2000)
    .superRefine((text, context) => {
      const problem = problemOf(text);
      if (problem) context.addIssue({ code: "custom", message: problem });
    }),
  model: Provider.shape.model,
  /** Left out: the key stays as it is; null: none any more. */
  key: Key.nullable().optional(),
});
export type NewProvider = z.infer<typeof NewProvider>;

function problemOf(text: string): string | null {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return "must be an http:// or https:// address";
  const url = new URL(text);
  if (url.username || url.password) return "must not carry a name or password: give the key by itself";
  return url.search || url.hash ? "must not carry a query or fragment" : null;
}

/** One way to write an address: without slashes at its end. */
export const plainUrl = (baseUrl: string): string => new URL(baseUrl).href.replace(/\/+$/, "");

/** A key was given for one server: it goes to no other. */
export const isSameServer = (a: string, b: string): boolean =>
  URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;

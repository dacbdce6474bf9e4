import { z } from "zod";
import { OpenAiApi, Protocol, type SessionModel } from "./model.ts";

/** Where models are: an address, the protocol that is spoken there, and a model. Its key is never part of it: only the server reads it. */
export const Provider = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes"),
  protocol: Protocol,
  api: OpenAiApi.nullable().describe("null: the protocol is not OpenAI's"),
  baseUrl: z
    .string()
    .describe(
      "as programs take it in OPENAI_BASE_URL, ANTHROPIC_BASE_URL or GOOGLE_GEMINI_BASE_URL: of OpenAI's protocol with the version part. No slash at its end.",
    ),
  model: z.string().trim().min(1).max(200),
  keyName: z
    .string()
    .nullable()
    .describe('the name of the key\'s file; "environment": it came by a variable; null: the provider wants no key'),
  source: z
    .enum(["store", "environment"])
    .describe("environment: named by the variables that the server was started with, and changed only there"),
});
export type Provider = z.infer<typeof Provider>;

/** A model at its provider, with the key: for the server's own use. */
export interface Target extends SessionModel {
  baseUrl: string;
  key: string | null;
}

/** What a key may be: it becomes a header, so one word of printable letters. */
const Key = z
  .string()
  .trim()
  .max(4096)
  .regex(/^[\x21-\x7e]+$/, "one word of printable ASCII letters");

export const NewProvider = z.strictObject({
  name: Provider.shape.name.refine((name) => name !== "demo", `"demo" is the built-in demo model`),
  protocol: Protocol.optional().describe("the language spoken there; openai when only an address is given"),
  api: OpenAiApi.optional().describe("which of OpenAI's two APIs; chat when left out, responses at OpenAI itself"),
  baseUrl: z
    .string()
    .trim()
    .max(2000)
    .superRefine((text, context) => {
      const problem = addressProblem(text);
      if (problem) context.addIssue({ code: "custom", message: problem });
    })
    .optional()
    .describe("the vendor's own when left out"),
  model: Provider.shape.model,
  /** Left out: the key stays as it is; null: none any more. */
  key: Key.nullable().optional().describe("kept by the server and never shown; null: none any more"),
});
export type NewProvider = z.infer<typeof NewProvider>;

/** Why this cannot be a provider's address; null when it can. */
export function addressProblem(text: string): string | null {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return "must be an http:// or https:// address";
  const url = new URL(text);
  if (url.username || url.password) return "must not carry a name or password: give the key by itself";
  return url.search || url.hash ? "must not carry a query or fragment" : null;
}

/** Where each vendor itself is. */
export const vendorAddresses: Readonly<Record<Protocol, string>> = {
  openai: "https://api.openai.com/v1",
  anthropic: "https://api.anthropic.com",
  google: "https://generativelanguage.googleapis.com/v1beta",
};

/** Providers that are called as their vendor need not say what they speak. */
const vendorNames: ReadonlyMap<string, Protocol> = new Map([
  ["openai", "openai"],
  ["anthropic", "anthropic"],
  ["google", "google"],
  ["gemini", "google"],
]);

/**
 * Where a provider is and what it speaks: what was said, else what it was before, else what its name or its protocol tells.
 * null: neither an address nor a vendor is known.
 */
export function placeOf(
  wanted: Pick<NewProvider, "name" | "protocol" | "baseUrl" | "api">,
  old: Pick<Provider, "protocol" | "baseUrl" | "api"> | null,
): Pick<Provider, "protocol" | "baseUrl" | "api"> | null {
  const told = wanted.protocol ?? old?.protocol ?? vendorNames.get(wanted.name);
  const protocol = told ?? (wanted.baseUrl === undefined ? null : "openai");
  if (protocol === null) return null;
  const before = old?.protocol === protocol ? old : null;
  const baseUrl = plainUrl(wanted.baseUrl ?? before?.baseUrl ?? vendorAddresses[protocol]);
  return { protocol, baseUrl, api: protocol === "openai" ? (wanted.api ?? before?.api ?? usualApi(baseUrl)) : null };
}

/** Only OpenAI itself surely has Responses; everybody has Chat Completions. */
export const usualApi = (baseUrl: string): OpenAiApi => (isSameServer(baseUrl, vendorAddresses.openai) ? "responses" : "chat");

/** One way to write an address: without slashes at its end. */
export const plainUrl = (baseUrl: string): string => new URL(baseUrl).href.replace(/\/+$/, "");

/** A key was given for one server: it goes to no other. */
export const isSameServer = (a: string, b: string): boolean =>
  URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;

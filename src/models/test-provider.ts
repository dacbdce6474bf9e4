import { z } from "zod";
import { keyHeaders, ask, shortBody } from "./upstream.ts";
import { findPath, urlAt, type Path } from "./paths.ts";
import type { Target } from "./provider.ts";
import { Refusal } from "./refusal.ts";

/** What came of asking a provider's model for one word. */
export const ProviderTest = z.object({
  name: z.string(),
  model: z.string(),
  /** limited: it is there and the key is taken, but not now. failed: it answered what is none of the others. */
  state: z.enum(["ready", "key refused", "unreachable", "model unknown", "limited", "failed"]),
  /** What it said, without the key. */
  message: z.string().nullable(),
  /** The one thing that mends it. */
  fix: z.string().nullable(),
  ms: z.int(),
});
export type ProviderTest = z.infer<typeof ProviderTest>;
type State = ProviderTest["state"];

/** A model that must be loaded first needs some seconds. */
const usualLimitMs = 20_000;
const words = "Answer with the one word: ok";
/** Some will not take less. */
const mostTokens = 16;

/** One real, tiny call with the provider's own key. Never rejects: whatever happens is a state. */
export async function testProvider(target: Target, limitMs = usualLimitMs): Promise<ProviderTest> {
  const started = performance.now();
  const { state, message } = await call(target, limitMs);
  const hidden = message !== null && target.key !== null ? message.replaceAll(target.key, "[key]") : message;
  const ms = Math.round(performance.now() - started);
  return { name: target.provider, model: target.model, state, message: hidden?.slice(0, 500) ?? null, fix: fixFor(state, target), ms };
}

function fixFor(state: State, { provider, model, baseUrl }: Target): string | null {
  switch (state) {
    case "ready":
      return null;
    case "key refused":
      return `tutti providers set ${provider} --model ${model} --key-stdin`;
    case "model unknown":
      return `tutti providers set ${provider} --model <a model that it has>`;
    case "unreachable":
      return `start what listens at ${baseUrl}, or give the right address: tutti providers set ${provider} --base-url <url> --model ${model}`;
    case "limited":
      return "wait, or give the agent a fallback: docs/models.md";
    case "failed":
      return "docs/models.md";
  }
}

async function call(target: Target, limitMs: number): Promise<{ state: State; message: string | null }> {
  const { path, body } = requestFor(target);
  const content = Buffer.from(JSON.stringify(body));
  try {
    const answered = await ask(urlAt(target, path, new URLSearchParams()), {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": String(content.length),
        "accept-encoding": "identity",
        "user-agent": "tutti",
        ...(target.protocol === "anthropic" ? { "anthropic-version": "2023-06-01" } : {}),
        ...keyHeaders(target.protocol, target.key),
      },
      body: content,
      connectMs: Math.min(limitMs, 5_000),
      idleMs: limitMs,
      signal: AbortSignal.timeout(limitMs),
    });
    return judge(answered.statusCode ?? 0, (await shortBody(answered)).toString("utf8"));
  } catch (error) {
    if (error instanceof Refusal) return { state: "unreachable", message: error.message };
    throw error;
  }
}

function requestFor({ protocol, api, model }: Target): { path: Path; body: object } {
  const at = (path: string): Path => {
    const found = findPath(path);
    if (!found) throw new Error(`the broker serves no ${path}`);
    return found;
  };
  const messages = [{ role: "user", content: words }];
  switch (protocol) {
    case "openai":
      return api === "responses"
        ? { path: at("/v1/responses"), body: { model, input: words, max_output_tokens: mostTokens, store: false } }
        : { path: at("/v1/chat/completions"), body: { model, messages, max_tokens: mostTokens } };
    case "anthropic":
      return { path: at("/v1/messages"), body: { model, messages, max_tokens: mostTokens } };
    case "google":
      return {
        path: at("/v1beta/models/any:generateContent"),
        body: { contents: [{ role: "user", parts: [{ text: words }] }], generationConfig: { maxOutputTokens: mostTokens } },
      };
  }
}

/** An answer of any of the protocols; a page of something else that says 200 is none. */
const Answer = z.union([
  z.object({ choices: z.array(z.looseObject({})) }),
  z.object({ output: z.array(z.looseObject({})) }),
  z.object({ type: z.literal("message"), content: z.array(z.looseObject({})) }),
  z.object({ candidates: z.array(z.looseObject({})) }),
]);

/** What a provider's answer says. Vendors differ in the status for the same trouble, so their words are read too. */
function judge(status: number, text: string): { state: State; message: string | null } {
  const body = parse(text);
  if (status === 200 && Answer.safeParse(body).success) return { state: "ready", message: null };
  const said = messageIn(body) ?? `it answered ${status}`;
  const message = `${status}: ${said}`;
  if (status < 300) return { state: "unreachable", message: "something answers there, but no model" };
  if (status < 400) return { state: "unreachable", message: `it answered ${status}, a redirect, which is not followed` };
  // Google says 400 for a wrong key.
  if (status === 401 || status === 403 || (status === 400 && /api[ _]key/i.test(said))) return { state: "key refused", message };
  if (status === 429) return { state: "limited", message };
  if ((status === 404 || status === 400) && /model/i.test(said)) return { state: "model unknown", message };
  if (status === 404) return { state: "unreachable", message: `${message}: the address is not that of an API` };
  return { state: "failed", message };
}

/** The words of an error in any of the dialects. */
function messageIn(body: unknown): string | null {
  const error = z.object({ error: z.union([z.string(), z.object({ message: z.string() })]) }).safeParse(body);
  if (!error.success) return null;
  return typeof error.data.error === "string" ? error.data.error : error.data.error.message;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON: judged like any other answer that is none.
    return null;
  }
}

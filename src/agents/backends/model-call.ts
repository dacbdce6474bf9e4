import type { LanguageModel, LanguageModelUsage, ModelMessage, ToolSet } from "ai";
import type { AgentEvent } from "../backend.ts";
import { readFailure, type Failure } from "./model-failure.ts";
import { toolDeclarations } from "./tools/tool.ts";

export interface ToolCall {
  id: string;
  name: string;
  input: Record<string, unknown>;
  /** Why it cannot be run: unknown tool, input that does not fit. */
  problem: string | null;
}

/** A whole answer of the model. */
export interface Reply {
  kind: "reply";
  text: string;
  calls: ToolCall[];
  message: ModelMessage;
  usage: LanguageModelUsage | null;
}

export interface Question {
  model: LanguageModel;
  secrets: string[];
  instructions: string;
  messages: ModelMessage[];
  silenceMs: number;
  signal: AbortSignal;
}

/** Hides what must not be seen, whoever wrote it into a message. */
const withoutSecrets = (text: string, secrets: string[]): string =>
  secrets.reduce((left, secret) => left.replaceAll(secret, "[secret]"), text).slice(0, 2000);

/** One call of one model. The SDK retries nothing. Yields text as it comes; rejects only when the signal aborts. */
export async function* callModel(question: Question): AsyncGenerator<AgentEvent, Reply | Failure> {
  const { signal, silenceMs } = question;
  signal.throwIfAborted();
  const { streamText } = await import("ai");
  // They would come out on the server's terminal.
  globalThis.AI_SDK_LOG_WARNINGS = false;
  const cut = new AbortController();
  const result = streamText({
    model: question.model,
    instructions: question.instructions,
    messages: question.messages,
    tools: offeredTools,
    maxRetries: 0,
    // Nothing of a conversation is left with a vendor, and so no id of something that only one of them has.
    providerOptions: { openai: { store: false } },
    abortSignal: AbortSignal.any([signal, cut.signal]),
    // The default prints the error, with the request in it, on the server's terminal.
    onError: () => undefined,
  });
  const parts = result.stream[Symbol.asyncIterator]();
  const reply: Pick<Reply, "text" | "calls" | "usage"> & { finish: string } = { text: "", calls: [], usage: null, finish: "" };
  let spoke = false;
  const failed = (failure: Omit<Failure, "spoke">): Failure => ({
    ...failure,
    message: withoutSecrets(failure.message, question.secrets),
    spoke,
  });
  try {
    for (;;) {
      const next = await nextPart(parts, silenceMs, signal);
      if (next === "silence") return failed(own("silence", `the model said nothing for ${silenceMs} ms`));
      if (next.done) break;
      const part = next.value;
      if (part.type === "error") return failed(readFailure(part.error, Date.now()));
      if (part.type === "text-delta" || part.type === "reasoning-delta") {
        if (part.text === "") continue;
        spoke = true;
        if (part.type === "text-delta") reply.text += part.text;
        yield { kind: part.type === "text-delta" ? "text" : "thought", text: part.text };
      }
      if (part.type === "tool-call") reply.calls.push(callOf(part));
      if (part.type === "finish-step") {
        reply.usage = part.usage;
        reply.finish = part.finishReason;
      }
    }
    if (reply.finish === "length") return failed(own("ended", "the answer was cut: it reached the provider's longest length"));
    if (reply.finish === "content-filter") return failed(own("ended", "the provider's content filter stopped the answer"));
    const { messages } = await result.response;
    const message = messages.find(({ role }) => role === "assistant") ?? { role: "assistant", content: reply.text };
    return { kind: "reply", text: reply.text, calls: reply.calls, usage: reply.usage, message };
  } catch (error) {
    if (signal.aborted) throw error;
    return failed(readFailure(error, Date.now()));
  } finally {
    // Whoever stopped listening also stops paying.
    cut.abort();
  }
}

const own = (cause: Failure["cause"], message: string): Omit<Failure, "spoke"> => ({
  kind: "failure",
  cause,
  message,
  status: null,
  retryAfterMs: null,
});

const offeredTools: ToolSet = Object.fromEntries(
  Object.entries(toolDeclarations).map(([name, { description, inputSchema }]) => [name, { description, inputSchema }]),
);

interface CallPart {
  toolCallId: string;
  toolName: string;
  input: unknown;
  invalid?: boolean;
  error?: unknown;
}

function callOf({ toolCallId, toolName, input, invalid, error }: CallPart): ToolCall {
  const problem = invalid ? (error instanceof Error ? error.message : String(error)).slice(0, 2000) : null;
  const fields = typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Record<string, unknown>) : {};
  return { id: toolCallId, name: toolName, input: fields, problem };
}

/** The next part, or "silence" when none came in time; rejects at once when the signal aborts, whether or not the stream minds it. */
async function nextPart<Part>(
  parts: AsyncIterator<Part>,
  silenceMs: number,
  signal: AbortSignal,
): Promise<IteratorResult<Part> | "silence"> {
  const { promise, resolve, reject } = Promise.withResolvers<"silence">();
  const timer = setTimeout(resolve, silenceMs, "silence");
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const next = parts.next();
  // When the race is lost nobody looks at it any more.
  next.catch(() => undefined);
  try {
    signal.throwIfAborted();
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

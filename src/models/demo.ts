import type { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { nextMove, type DemoResult, type Move } from "./demo/behaviour.ts";
import { behaviourFor } from "./demo/role.ts";

/**
 * The built-in demo model: a model as the SDK wants one, without a network and without a language model. It is a small program
 * that repairs, plans and sums up; what it does follows only from what it read through its tools, and all that it says is
 * marked. It keeps nothing between two calls.
 */
export const demoModelName = "tutti-demo";
const mark = "[demo]";

export const isDemo = (provider: string | undefined): boolean => provider === "demo";

type Model = ReturnType<ReturnType<typeof createOpenAICompatible>["chatModel"]>;
type CallOptions = Parameters<Model["doStream"]>[0];
type Message = CallOptions["prompt"][number];
type Generated = Awaited<ReturnType<Model["doGenerate"]>>;
type StreamPart = Awaited<ReturnType<Model["doStream"]>>["stream"] extends ReadableStream<infer Part> ? Part : never;

export const demoModel = (): Model => ({
  specificationVersion: "v4",
  provider: "tutti",
  modelId: demoModelName,
  supportedUrls: {},
  doGenerate: async ({ prompt }) => answer(prompt),
  doStream: async ({ prompt }) => ({ stream: ReadableStream.from(partsOf(answer(prompt))) }),
});

/** It costs nothing and counts nothing. */
const usage: Generated["usage"] = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
};

function answer(prompt: Message[]): Generated {
  const prompts = prompt.flatMap((message) => (message.role === "user" ? [textIn(message.content)] : []));
  const move = nextMove(behaviourFor(prompts), resultsIn(prompt));
  const text = marked(move.kind === "end" ? move.text : move.step.say);
  const calls = move.kind === "end" ? [] : callsOf(move, prompt.length);
  return {
    content: [{ type: "text", text }, ...calls],
    finishReason: { unified: calls.length > 0 ? "tool-calls" : "stop", raw: undefined },
    usage,
    warnings: [],
  };
}

/** An answer that must be JSON carries the mark inside, in its titles: in front of it nobody could read it. */
const marked = (text: string): string => (/^[{[]\s*"/.test(text) ? text : `${mark} ${text}`);

/** The length of the conversation makes the ids unique in it. */
const callsOf = ({ step }: Move & { kind: "step" }, length: number): Extract<Generated["content"][number], { type: "tool-call" }>[] =>
  step.calls.map(({ tool, input }, index) => ({
    type: "tool-call",
    toolCallId: `demo-${length}-${index}`,
    toolName: tool,
    input: JSON.stringify(input),
  }));

const textIn = (content: { type: string; text?: unknown }[]): string =>
  content.flatMap(({ type, text }) => (type === "text" && typeof text === "string" ? [text] : [])).join("\n");

/** What the tools answered since the newest prompt, step by step, in the order of the calls. */
function resultsIn(prompt: Message[]): DemoResult[][] {
  const turn = prompt.slice(prompt.findLastIndex(({ role }) => role === "user") + 1);
  const given = new Map<string, DemoResult>();
  for (const message of turn) {
    if (message.role !== "tool") continue;
    for (const part of message.content) {
      if (part.type === "tool-result") given.set(part.toolCallId, resultOf(part.output));
    }
  }
  return turn.flatMap((message) => {
    if (message.role !== "assistant") return [];
    const calls = message.content.flatMap((part) => (part.type === "tool-call" ? [part.toolCallId] : []));
    return calls.length > 0 ? [calls.map((id) => given.get(id) ?? { ok: false, output: "no result" })] : [];
  });
}

const resultOf = (output: { type: string; value?: unknown }): DemoResult => ({
  ok: output.type === "text" || output.type === "json",
  output: typeof output.value === "string" ? output.value : JSON.stringify(output.value ?? ""),
});

function* partsOf({ content, finishReason }: Generated): Generator<StreamPart> {
  yield { type: "stream-start", warnings: [] };
  for (const part of content) {
    if (part.type === "tool-call") yield part;
    if (part.type !== "text") continue;
    yield { type: "text-start", id: "text" };
    yield { type: "text-delta", id: "text", delta: part.text };
    yield { type: "text-end", id: "text" };
  }
  yield { type: "finish", usage, finishReason };
}

import { z } from "zod";
import type { Line, StreamReader, Told } from "./told.ts";

/**
 * `--output-format stream-json` as Claude Code prints it, and Qwen Code (0.24) after it. A result may say "success" and yet be an
 * error: `is_error` counts.
 */

const Block = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("thinking"), thinking: z.string() }),
  z.object({ type: z.literal("tool_use"), id: z.string(), name: z.string(), input: z.unknown() }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: z.string(),
    is_error: z.boolean().nullish(),
    content: z.union([z.string(), z.array(z.unknown())]).nullish(),
  }),
]);
const Said = z.object({
  type: z.enum(["assistant", "user"]),
  parent_tool_use_id: z.string().nullish(),
  message: z.object({ content: z.union([z.string(), z.array(z.unknown())]) }),
});

const Count = z.number().nonnegative().catch(0);
const Result = z.object({
  type: z.literal("result"),
  subtype: z.string().catch(""),
  is_error: z.boolean().catch(false),
  result: z.string().nullish(),
  error: z.object({ message: z.string() }).nullish().catch(null),
  errors: z.array(z.string()).nullish().catch(null),
  total_cost_usd: z.number().nullish().catch(null),
  usage: z
    .object({
      input_tokens: Count,
      output_tokens: Count,
      cache_read_input_tokens: Count.optional(),
      cache_creation_input_tokens: Count.optional(),
    })
    .nullish()
    .catch(null),
});

export const readClaude: StreamReader = (line, told) => {
  told.session(line.session_id);
  if (line.type === "result") return readResult(line, told);
  const said = Said.safeParse(line);
  if (!said.success || typeof said.data.message.content === "string") return;
  // What a helper of its own says is no answer; what it does counts.
  const isOwn = !said.data.parent_tool_use_id;
  for (const part of said.data.message.content) {
    const block = Block.safeParse(part);
    if (block.success) readBlock(block.data, isOwn && said.data.type === "assistant", told);
  }
};

function readBlock(block: z.infer<typeof Block>, isAnswer: boolean, told: Told): void {
  switch (block.type) {
    case "text":
      return isAnswer ? told.message(block.text) : undefined;
    case "thinking":
      return isAnswer ? told.thought(block.thinking) : undefined;
    case "tool_use":
      return told.toolStarted(block.id, block.name, block.input);
    case "tool_result":
      return told.toolEnded(block.tool_use_id, block.is_error ? "failed" : "done", contentText(block.content));
  }
}

function contentText(content: string | unknown[] | null | undefined): string | null {
  if (content === null || content === undefined) return null;
  if (typeof content === "string") return content;
  const texts = content.map((part) => (part as { text?: unknown } | null)?.text).filter((text) => typeof text === "string");
  return texts.length === 0 ? null : texts.join("\n");
}

/** Its input is counted without what came from the cache, which is told beside it. */
function readResult(line: Line, told: Told): void {
  const parsed = Result.safeParse(line);
  if (!parsed.success) return;
  const { subtype, is_error: isError, result, error, errors, usage, total_cost_usd: costUsd } = parsed.data;
  if (isError || subtype.startsWith("error")) {
    const words = error?.message ?? result ?? errors?.join("; ") ?? "";
    // It marks an error of the model in the answer's own words; the brackets are its own.
    told.error(words.replace(/^\[(.*)\]$/s, "$1") || `it ended its turn: ${subtype}`);
  }
  if (!usage) return;
  const cached = usage.cache_read_input_tokens ?? 0;
  const made = usage.cache_creation_input_tokens;
  told.used({
    inputTokens: made === undefined ? usage.input_tokens : usage.input_tokens + made + cached,
    outputTokens: usage.output_tokens,
    cachedTokens: cached,
    ...(typeof costUsd === "number" ? { costUsd } : {}),
  });
}

import { z } from "zod";
import type { StreamReader, Told } from "./told.ts";

/** `goose run --output-format stream-json` (1.34). It tells no id of the conversation, and the sum of all its tokens. */

const Value = z.object({ content: z.array(z.looseObject({ text: z.string().optional() })).optional(), isError: z.boolean().optional() });
const Part = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("thinking"), thinking: z.string() }),
  z.object({
    type: z.literal("toolRequest"),
    id: z.string(),
    toolCall: z.looseObject({ value: z.object({ name: z.string(), arguments: z.unknown() }).optional(), error: z.string().optional() }),
  }),
  z.object({
    type: z.literal("toolResponse"),
    id: z.string(),
    toolResult: z.looseObject({ status: z.string(), value: Value.optional(), error: z.string().optional() }),
  }),
]);
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("message"), message: z.object({ role: z.string(), content: z.array(z.unknown()) }) }),
  z.object({ type: z.literal("error"), error: z.string() }),
  z.object({ type: z.literal("complete"), input_tokens: z.number().nullish(), output_tokens: z.number().nullish() }),
]);

export const readGoose: StreamReader = (line, told) => {
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data } = parsed;
  switch (data.type) {
    case "message":
      for (const given of data.message.content) {
        const part = Part.safeParse(given);
        if (part.success) readPart(part.data, data.message.role, told);
      }
      return;
    case "error":
      return told.error(data.error);
    case "complete":
      if (typeof data.input_tokens === "number") told.used({ inputTokens: data.input_tokens, outputTokens: data.output_tokens ?? 0 });
  }
};

function readPart(part: z.infer<typeof Part>, role: string, told: Told): void {
  switch (part.type) {
    case "text":
      return role === "assistant" ? told.text(part.text) : undefined;
    case "thinking":
      return told.thought(part.thinking);
    case "toolRequest":
      return told.toolStarted(part.id, part.toolCall.value?.name ?? "tool", part.toolCall.value?.arguments ?? null);
    case "toolResponse": {
      const { status, value, error } = part.toolResult;
      const texts = (value?.content ?? []).flatMap(({ text }) => text ?? []);
      const isDone = status === "success" && value?.isError !== true;
      return told.toolEnded(part.id, isDone ? "done" : "failed", error ?? (texts.length > 0 ? texts.join("\n") : null));
    }
  }
}

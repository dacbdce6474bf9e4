import { z } from "zod";
import type { StreamReader } from "./told.ts";

/** `pi --mode json` (0.87). It ends with code 0 whatever happened; it tries again by itself, so an error is one only if nothing follows. */

const Count = z.number().nonnegative().catch(0);
const Text = z.looseObject({ text: z.string().optional() });
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("session"), id: z.string() }),
  z.object({
    type: z.literal("message_update"),
    assistantMessageEvent: z.looseObject({ type: z.string(), delta: z.string().optional() }),
  }),
  z.object({
    type: z.literal("message_end"),
    message: z.looseObject({
      role: z.string(),
      stopReason: z.string().optional(),
      errorMessage: z.string().optional(),
      usage: z
        .object({ input: Count, output: Count, cacheRead: Count, cost: z.object({ total: z.number() }).optional() })
        .optional()
        .catch(undefined),
    }),
  }),
  z.object({ type: z.literal("tool_execution_start"), toolCallId: z.string(), toolName: z.string(), args: z.unknown() }),
  z.object({
    type: z.literal("tool_execution_end"),
    toolCallId: z.string(),
    isError: z.boolean().optional(),
    result: z
      .object({ content: z.array(Text).optional() })
      .nullish()
      .catch(null),
  }),
]);

export const readPi: StreamReader = (line, told) => {
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data } = parsed;
  switch (data.type) {
    case "session":
      return told.session(data.id);
    case "message_update": {
      const { type, delta } = data.assistantMessageEvent;
      if (type === "text_delta") return told.text(delta ?? "");
      return type === "thinking_delta" ? told.thought(delta ?? "") : undefined;
    }
    case "message_end": {
      const { role, stopReason, errorMessage, usage } = data.message;
      if (role !== "assistant") return;
      told.error(stopReason === "error" || stopReason === "aborted" ? (errorMessage ?? stopReason) : null);
      if (!usage || usage.input + usage.output === 0) return;
      return told.used({
        inputTokens: usage.input + usage.cacheRead,
        outputTokens: usage.output,
        cachedTokens: usage.cacheRead,
        ...(usage.cost?.total ? { costUsd: usage.cost.total } : {}),
      });
    }
    case "tool_execution_start":
      return told.toolStarted(data.toolCallId, data.toolName, data.args);
    case "tool_execution_end": {
      const texts = (data.result?.content ?? []).flatMap(({ text }) => text ?? []);
      return told.toolEnded(data.toolCallId, data.isError ? "failed" : "done", texts.length > 0 ? texts.join("\n") : null);
    }
  }
};

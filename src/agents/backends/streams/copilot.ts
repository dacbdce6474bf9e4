import { z } from "zod";
import type { StreamReader } from "./told.ts";

/**
 * `copilot --output-format json`: the events of a session as the vendor's SDK documents them (github/copilot-sdk), and at the end one
 * "result" with the session's id. Not recorded from the program itself: it is proprietary, and tried only where a person gives its path.
 */

const Count = z.number().nonnegative().catch(0);
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["session.start", "session.resume"]), data: z.looseObject({ sessionId: z.string().optional() }) }),
  z.object({ type: z.literal("result"), sessionId: z.string().optional() }),
  z.object({ type: z.literal("assistant.message_delta"), data: z.object({ messageId: z.string(), deltaContent: z.string() }) }),
  z.object({
    type: z.literal("assistant.message"),
    data: z.object({ messageId: z.string().catch(""), content: z.string(), parentToolCallId: z.string().nullish() }),
  }),
  z.object({ type: z.literal("assistant.reasoning"), data: z.object({ content: z.string() }) }),
  z.object({
    type: z.literal("assistant.usage"),
    data: z.object({ inputTokens: Count, outputTokens: Count, cacheReadTokens: Count.optional() }),
  }),
  z.object({
    type: z.literal("tool.execution_start"),
    data: z.object({ toolCallId: z.string(), toolName: z.string(), arguments: z.unknown() }),
  }),
  z.object({
    type: z.literal("tool.execution_complete"),
    data: z.object({
      toolCallId: z.string(),
      success: z.boolean().catch(true),
      result: z.looseObject({ content: z.string().optional() }).nullish().catch(null),
      error: z.looseObject({ message: z.string().optional() }).nullish().catch(null),
    }),
  }),
  z.object({ type: z.literal("session.error"), data: z.object({ message: z.string() }) }),
]);

export const readCopilot: StreamReader = (line, told) => {
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data: event } = parsed;
  switch (event.type) {
    case "session.start":
    case "session.resume":
      return told.session(event.data.sessionId);
    case "result":
      return told.session(event.sessionId);
    case "assistant.message_delta":
      return told.piece(event.data.messageId, event.data.deltaContent);
    case "assistant.message":
      // The same words whole, after their pieces; without pieces they are news.
      return event.data.parentToolCallId || told.hasPieces(event.data.messageId) ? undefined : told.message(event.data.content);
    case "assistant.reasoning":
      return told.thought(event.data.content);
    case "assistant.usage":
      return told.used({
        inputTokens: event.data.inputTokens,
        outputTokens: event.data.outputTokens,
        cachedTokens: event.data.cacheReadTokens,
      });
    case "tool.execution_start":
      return told.toolStarted(event.data.toolCallId, event.data.toolName, event.data.arguments);
    case "tool.execution_complete": {
      const { toolCallId, success, result, error } = event.data;
      return told.toolEnded(toolCallId, success ? "done" : "failed", error?.message ?? result?.content ?? null);
    }
    case "session.error":
      return told.error(event.data.message);
  }
};

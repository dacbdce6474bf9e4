import { z } from "zod";
import type { StreamReader } from "./told.ts";

/** `opencode run --format json` (1.18): every line names the conversation; a tool is told of once, when it has ended. */

const Count = z.number().nonnegative().catch(0);
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), part: z.object({ text: z.string() }) }),
  z.object({ type: z.literal("reasoning"), part: z.object({ text: z.string() }) }),
  z.object({
    type: z.literal("tool_use"),
    part: z.object({
      tool: z.string(),
      callID: z.string(),
      state: z.object({
        status: z.string(),
        input: z.unknown(),
        output: z.string().nullish().catch(null),
        error: z.string().nullish().catch(null),
      }),
    }),
  }),
  z.object({
    type: z.literal("step_finish"),
    part: z.object({
      tokens: z.object({ input: Count, output: Count, cache: z.object({ read: Count }).optional() }).optional(),
      cost: z.number().optional().catch(undefined),
    }),
  }),
  z.object({
    type: z.literal("error"),
    error: z.object({
      name: z.string().catch("error"),
      data: z.looseObject({ message: z.string().optional(), statusCode: z.number().optional() }).optional(),
    }),
  }),
]);

export const readOpencode: StreamReader = (line, told) => {
  told.session(line.sessionID);
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data } = parsed;
  switch (data.type) {
    case "text":
      return told.message(data.part.text);
    case "reasoning":
      return told.thought(data.part.text);
    case "tool_use": {
      const { tool: name, callID, state } = data.part;
      return told.toolEnded(callID, state.status === "completed" ? "done" : "failed", state.error ?? state.output ?? null, {
        name,
        input: state.input,
      });
    }
    case "step_finish": {
      const { tokens, cost } = data.part;
      if (!tokens) return;
      // A cost of nothing is how it says that it does not know the model's price.
      return told.used({
        inputTokens: tokens.input + (tokens.cache?.read ?? 0),
        outputTokens: tokens.output,
        cachedTokens: tokens.cache?.read,
        ...(cost ? { costUsd: cost } : {}),
      });
    }
    case "error": {
      const { name, data: details } = data.error;
      return told.error([details?.statusCode, details?.message ?? name].filter(Boolean).join(" "));
    }
  }
};

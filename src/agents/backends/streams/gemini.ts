import { z } from "zod";
import type { StreamReader } from "./told.ts";

/** `gemini --output-format stream-json` (0.61). */

const Count = z.number().nonnegative().catch(0);
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("init"), session_id: z.string() }),
  z.object({ type: z.literal("message"), role: z.string(), content: z.string(), delta: z.boolean().optional() }),
  z.object({ type: z.literal("tool_use"), tool_name: z.string(), tool_id: z.string(), parameters: z.unknown() }),
  z.object({
    type: z.literal("tool_result"),
    tool_id: z.string(),
    status: z.string(),
    output: z.string().nullish().catch(null),
    error: z.object({ message: z.string() }).nullish().catch(null),
  }),
  z.object({ type: z.literal("error"), severity: z.string().optional(), message: z.string() }),
  z.object({
    type: z.literal("result"),
    status: z.string(),
    error: z.object({ message: z.string() }).nullish().catch(null),
    stats: z.object({ input_tokens: Count, output_tokens: Count, cached: Count }).nullish().catch(null),
  }),
]);

export const readGemini: StreamReader = (line, told) => {
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data } = parsed;
  switch (data.type) {
    case "init":
      return told.session(data.session_id);
    case "message":
      if (data.role !== "assistant") return;
      return data.delta ? told.text(data.content) : told.message(data.content);
    case "tool_use":
      return told.toolStarted(data.tool_id, data.tool_name, data.parameters);
    case "tool_result":
      return told.toolEnded(data.tool_id, data.status === "success" ? "done" : "failed", data.error?.message ?? data.output ?? null);
    case "error":
      return data.severity === "error" ? told.error(data.message) : undefined;
    case "result":
      if (data.status !== "success") told.error(data.error?.message ?? `it ended its turn: ${data.status}`);
      if (data.stats)
        told.used({ inputTokens: data.stats.input_tokens, outputTokens: data.stats.output_tokens, cachedTokens: data.stats.cached });
  }
};

import { z } from "zod";
import type { StreamReader, Told } from "./told.ts";

/** `codex exec --json` (0.169). Its token counts are the sum over the whole conversation. */

const Item = z.looseObject({
  id: z.string(),
  type: z.string(),
  text: z.string().optional(),
  command: z.string().optional(),
  aggregated_output: z.string().nullish(),
  changes: z.array(z.looseObject({ path: z.string() })).optional(),
  server: z.string().optional(),
  tool: z.string().optional(),
  arguments: z.unknown().optional(),
  query: z.string().optional(),
  status: z.string().optional(),
});
type Item = z.infer<typeof Item>;

const Count = z.number().nonnegative().catch(0);
const Line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("thread.started"), thread_id: z.string() }),
  z.object({ type: z.enum(["item.started", "item.updated", "item.completed"]), item: Item }),
  z.object({
    type: z.literal("turn.completed"),
    usage: z.object({ input_tokens: Count, output_tokens: Count, cached_input_tokens: Count.optional() }).optional(),
  }),
  z.object({ type: z.literal("turn.failed"), error: z.object({ message: z.string() }) }),
]);

export const readCodex: StreamReader = (line, told) => {
  const parsed = Line.safeParse(line);
  if (!parsed.success) return;
  const { data } = parsed;
  switch (data.type) {
    case "thread.started":
      return told.session(data.thread_id);
    case "turn.completed":
      if (!data.usage) return;
      return told.used({
        inputTokens: data.usage.input_tokens,
        outputTokens: data.usage.output_tokens,
        cachedTokens: data.usage.cached_input_tokens,
      });
    case "turn.failed":
      return told.error(data.error.message);
    case "item.started":
    case "item.updated":
    case "item.completed":
      return readItem(data.item, data.type === "item.completed", told);
  }
};

/** An item of the kind "error" is a warning ("model metadata not found"): the turn goes on. */
function readItem(item: Item, isOver: boolean, told: Told): void {
  if (item.type === "agent_message") return isOver ? told.message(item.text ?? "") : undefined;
  if (item.type === "reasoning") return isOver ? told.thought(item.text ?? "") : undefined;
  const tool = toolOf(item);
  if (!tool) return;
  told.toolStarted(item.id, tool.name, tool.input);
  // "declined": its policy or its own sandbox did not let it.
  if (isOver) told.toolEnded(item.id, item.status === "completed" ? "done" : "failed", item.aggregated_output ?? null);
}

function toolOf(item: Item): { name: string; input: unknown } | null {
  switch (item.type) {
    case "command_execution":
      return { name: "shell", input: { command: item.command ?? "" } };
    case "file_change":
      return { name: "edit", input: { changes: item.changes ?? [] } };
    case "mcp_tool_call":
      return { name: [item.server, item.tool].filter(Boolean).join(".") || "tool", input: item.arguments ?? null };
    case "web_search":
      return { name: "web search", input: { query: item.query ?? "" } };
    default:
      return null;
  }
}

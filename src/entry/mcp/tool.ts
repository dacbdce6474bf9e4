import type { CallToolResult, InputRequiredResult, ServerContext, Tool } from "@modelcontextprotocol/server";
import { toAppError, type AppError } from "../../errors.ts";

/** What a client sees of a tool, and what it does. `call` rejects with an AppError; whoever dispatches turns it into a tool error. */
export interface McpTool {
  definition: Tool;
  call(args: Record<string, unknown>, context: ServerContext): Promise<CallToolResult | InputRequiredResult>;
}

/** A model has to read what a tool answers: above this, long texts are cut, and the cut says where the whole is. */
export const maxAnswerChars = 100_000;
const maxTextChars = 20_000;

/** The answer as structured content, and as text for clients that know only that. `whole` names the resource that is not cut. */
export function answered(value: unknown, whole?: string): CallToolResult {
  const object = isObject(value) ? value : { result: value ?? null };
  const text = JSON.stringify(object);
  if (text.length <= maxAnswerChars) return { content: [{ type: "text", text }], structuredContent: object };
  const cut = cutTexts(object, whole ?? "a smaller limit, or the resource that it belongs to") as Record<string, unknown>;
  return { content: [{ type: "text", text: JSON.stringify(cut) }], structuredContent: cut };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function cutTexts(value: unknown, whole: string): unknown {
  if (typeof value === "string")
    return value.length <= maxTextChars
      ? value
      : `${value.slice(0, maxTextChars)}\n[cut: ${value.length - maxTextChars} more characters. The whole: ${whole}]`;
  if (Array.isArray(value)) return value.map((item) => cutTexts(item, whole));
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cutTexts(item, whole)])) : value;
}

/** The one error object as a tool error: a model can act on `why` and `fix`. */
export function failed(error: AppError): CallToolResult {
  const { code, message, why, fix } = error;
  const lines = [`${code}: ${message}`, ...(why ? [`why: ${why}`] : []), ...fix.map((one) => `fix: ${one}`)];
  return { isError: true, content: [{ type: "text", text: lines.join("\n") }], structuredContent: { error: error.toJSON() } };
}

export interface McpLog {
  error(fields: object, message: string): void;
}

/** As toAppError; what is a fault of ours goes into the log. */
export function known(error: unknown, log: McpLog, what: string): AppError {
  const problem = toAppError(error);
  if (problem.code === "internal") log.error({ err: problem.cause ?? error, what }, "an MCP request failed inside the server");
  return problem;
}

// The three dialects of model APIs say the same thing in different words. Everything that decides reads this one shape.

export type Json = Record<string, unknown>;

export interface OfferedTool {
  name: string;
  description: string;
  /** JSON Schema of the arguments; an empty object for free-form tools. */
  schema: Json;
  /** Takes one plain string instead of an object (the Responses API's "custom" tools). */
  freeForm: boolean;
}

export interface Said {
  role: "user" | "assistant" | "tool";
  text: string;
}

export interface Conversation {
  model: string;
  system: string;
  said: Said[];
  tools: OfferedTool[];
  stream: boolean;
  /** Whether the client asked for usage figures in its stream (chat completions only; the others always carry them). */
  wantsUsage: boolean;
}

export interface UsageFigures {
  input: number;
  output: number;
  cached?: number;
}

export interface ToolCall {
  name: string;
  /** A string for free-form tools. */
  arguments: Json | string;
}

export interface Reply {
  text: string;
  toolCalls: ToolCall[];
  /** null: the answer carries no usage at all. */
  usage: UsageFigures | null;
  /** Ends as if the output limit were reached, or as if the model refused. */
  stop?: "length" | "refusal";
}

export const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
export const asObject = (value: unknown): Json => (isObject(value) ? value : {});
export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const asText = (value: unknown): string => (typeof value === "string" ? value : "");

/** The text of a message's content in any dialect: a string, or parts that carry `text`. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return asList(content)
    .map((part) => (typeof part === "string" ? part : asText(asObject(part).text)))
    .filter((text) => text !== "")
    .join("\n");
}

/** What agents add to a person's words by themselves (clock, reminders): no prompt of anybody. */
const additions =
  /<(info-msg|system-reminder|environment_context|environment_details|session_context)>[\s\S]*?<\/\1>|<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>[\s\S]*?<<<END_OPENCLAW_INTERNAL_CONTEXT>>>|^\[\w{3} [\d: -]+\w+\] (?=\[Working directory)|^\[Working directory: [^\]\n]*\]$|^Runtime: agent=.*$/gm;

/** The newest words of the user and how many tool results came after them. */
export function newestPrompt(conversation: Conversation): { text: string; results: string[] } {
  const results: string[] = [];
  for (const { role, text } of [...conversation.said].reverse()) {
    if (role === "tool") results.unshift(text);
    if (role !== "user") continue;
    const words = text.replace(additions, "").trim();
    if (words !== "") return { text: words, results };
  }
  return { text: "", results };
}

export function userPrompts(conversation: Conversation): string[] {
  return conversation.said.filter(({ role }) => role === "user").map(({ text }) => text.replace(additions, "").trim());
}

/** Everything that was said, as rules match it. */
export const transcript = (conversation: Conversation): string =>
  [conversation.system, ...conversation.said.map(({ role, text }) => `${role}: ${text}`)].join("\n");

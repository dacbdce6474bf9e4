import type { ModelMessage } from "ai";

/** A conversation that several models may go on with, each with the messages in a form that it takes. */
export interface History<Model> {
  /** Said by a person, or by who was there before. */
  add(...messages: ModelMessage[]): void;
  /** An answer of this model, and what came of its calls. */
  addBy(model: Model, ...messages: ModelMessage[]): void;
  for(model: Model): ModelMessage[];
}

export function makeHistory<Model>(): History<Model> {
  const said: { by: Model | null; message: ModelMessage }[] = [];
  return {
    add: (...messages) => void said.push(...messages.map((message) => ({ by: null, message }))),
    addBy: (by, ...messages) => void said.push(...messages.map((message) => ({ by, message }))),
    for: (model) => said.map(({ by, message }) => (by === null || by === model ? message : portable(message))),
  };
}

/**
 * A message as any provider takes it. Thoughts, signatures and ids belong to who made them: others refuse or misread them. Ids of
 * calls keep their sense with letters that all of them allow (Anthropic: [a-zA-Z0-9_-]).
 */
function portable(message: ModelMessage): ModelMessage {
  if (message.role === "tool") {
    return {
      role: "tool",
      content: message.content.map((part) => (part.type === "tool-result" ? { ...part, toolCallId: plainId(part.toolCallId) } : part)),
    };
  }
  if (message.role !== "assistant" || typeof message.content === "string") return message;
  const content: Exclude<typeof message.content, string> = [];
  for (const part of message.content) {
    if (part.type === "text") content.push({ type: "text", text: part.text });
    if (part.type === "tool-call")
      content.push({ type: "tool-call", toolCallId: plainId(part.toolCallId), toolName: part.toolName, input: part.input });
  }
  return { role: "assistant", content: content.length > 0 ? content : "(no answer)" };
}

const plainId = (id: string): string => id.replaceAll(/[^\w-]/g, "_");

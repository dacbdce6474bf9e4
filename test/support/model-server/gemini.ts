// The Gemini API (generateContent, streamGenerateContent): how it is read and answered. https://ai.google.dev/api/generate-content
import { randomUUID } from "node:crypto";
import { asList, asObject, asText, isObject, type Conversation, type Json, type Reply, type Said } from "./conversation.ts";
import type { Dialect } from "./dialects.ts";

/** `/v1beta/models/<model>:<method>`; null for any other path. */
export function geminiPath(path: string): { model: string; method: string } | null {
  const [, model = "", method = ""] = /^\/v1(?:beta|alpha)?\/models\/([^/:]+):(\w+)$/.exec(path) ?? [];
  return method === "" ? null : { model, method };
}

function saidIn(contents: unknown): Said[] {
  const said: Said[] = [];
  for (const content of asList(contents).map(asObject)) {
    const role = content.role === "model" ? "assistant" : "user";
    const parts = asList(content.parts).map(asObject);
    for (const part of parts) {
      if (isObject(part.functionResponse)) said.push({ role: "tool", text: JSON.stringify(part.functionResponse.response ?? {}) });
    }
    const text = parts
      .filter((part) => part.thought !== true && typeof part.text === "string")
      .map((part) => asText(part.text))
      .join("\n");
    if (text !== "" || !parts.some((part) => isObject(part.functionResponse))) said.push({ role, text });
  }
  return said;
}

const toolsIn = (tools: unknown): Conversation["tools"] =>
  asList(tools)
    .flatMap((tool) => asList(asObject(tool).functionDeclarations))
    .map(asObject)
    .map((tool) => ({
      name: asText(tool.name),
      description: asText(tool.description),
      schema: asObject(tool.parametersJsonSchema ?? tool.parameters),
      freeForm: false,
    }));

function finishOf({ stop }: Reply): string {
  if (stop === "length") return "MAX_TOKENS";
  return stop === "refusal" ? "SAFETY" : "STOP";
}

function answer(conversation: Conversation, parts: Json[], finishReason: string | null, usage: Reply["usage"]): Json {
  const candidate = { content: { role: "model", parts }, index: 0, ...(finishReason === null ? {} : { finishReason }) };
  return {
    candidates: [candidate],
    ...(usage && {
      usageMetadata: {
        promptTokenCount: usage.input,
        candidatesTokenCount: usage.output,
        totalTokenCount: usage.input + usage.output,
        cachedContentTokenCount: usage.cached ?? 0,
      },
    }),
    modelVersion: conversation.model,
    responseId: randomUUID(),
  };
}

/** The reply as parts: its text in pieces, then its calls, each whole, as this API sends them. */
function partsOf(reply: Reply): Json[] {
  const size = Math.max(1, Math.ceil(reply.text.length / 3));
  const parts: Json[] = [];
  for (let start = 0; start < reply.text.length; start += size) parts.push({ text: reply.text.slice(start, start + size) });
  for (const call of reply.toolCalls) parts.push({ functionCall: { id: randomUUID().slice(0, 8), name: call.name, args: call.arguments } });
  return parts;
}

const statusNames: Record<number, string> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

/** The model, and whether to stream, stand in the address: the server puts both into the body. */
export const gemini: Dialect = {
  read: (body) => ({
    model: asText(body.model),
    system: asList(asObject(body.systemInstruction).parts)
      .map((part) => asText(asObject(part).text))
      .join("\n"),
    said: saidIn(body.contents),
    tools: toolsIn(body.tools),
    stream: body.stream === true,
    wantsUsage: true,
  }),
  whole: (conversation, reply) => answer(conversation, partsOf(reply), finishOf(reply), reply.usage),
  stream(conversation, reply) {
    const chunks = [
      ...partsOf(reply).map((part) => answer(conversation, [part], null, null)),
      answer(conversation, [], finishOf(reply), reply.usage),
    ];
    return chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  },
  error: (status, message) => ({ error: { code: status, message, status: statusNames[status] ?? "INTERNAL" } }),
};

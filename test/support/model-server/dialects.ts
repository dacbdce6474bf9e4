// The three APIs: how each is read, and how each answers whole or as a stream of server-sent events. A stream is a list of
// events; the server writes them one by one, so that it can break off or fall silent after the first.
import { randomUUID } from "node:crypto";
import {
  asList,
  asObject,
  asText,
  isObject,
  textOf,
  type Conversation,
  type Json,
  type OfferedTool,
  type Reply,
  type Said,
} from "./conversation.ts";

export interface Dialect {
  read(body: Json): Conversation;
  whole(conversation: Conversation, reply: Reply): Json;
  stream(conversation: Conversation, reply: Reply): string[];
  error(status: number, message: string): Json;
}

const newId = (prefix: string): string => `${prefix}${randomUUID().replaceAll("-", "").slice(0, 24)}`;
const seconds = (): number => Math.floor(Date.now() / 1000);
const argumentsText = (value: Json | string): string => (typeof value === "string" ? value : JSON.stringify(value));

/** In several pieces, as real servers send them: a client that takes the first piece for the whole is found out. */
function pieces(text: string): string[] {
  const size = Math.max(1, Math.ceil(text.length / 3));
  const found: string[] = [];
  for (let start = 0; start < text.length; start += size) found.push(text.slice(start, start + size));
  return found;
}

function errorKind(status: number): string {
  if (status === 429) return "rate_limit_error";
  if (status === 529) return "overloaded_error";
  if (status === 401) return "authentication_error";
  return status < 500 ? "invalid_request_error" : "api_error";
}

const openAiError = (status: number, message: string): Json => ({
  error: { message, type: errorKind(status), param: null, code: status === 429 ? "rate_limit_exceeded" : null },
});

// ---- OpenAI Chat Completions ----

function chatTools(value: unknown): OfferedTool[] {
  return asList(value).map((tool) => {
    const described = asObject(asObject(tool).function);
    return {
      name: asText(described.name),
      description: asText(described.description),
      schema: asObject(described.parameters),
      freeForm: false,
    };
  });
}

function chatUsage({ usage }: Reply): Json | undefined {
  if (!usage) return undefined;
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached ?? 0 },
  };
}

function chatFinish(reply: Reply): string {
  if (reply.stop) return reply.stop === "length" ? "length" : "content_filter";
  return reply.toolCalls.length > 0 ? "tool_calls" : "stop";
}

const chatCalls = (reply: Reply): Json[] =>
  reply.toolCalls.map((call) => ({
    id: newId("call_"),
    type: "function",
    function: { name: call.name, arguments: argumentsText(call.arguments) },
  }));

function chatStream(conversation: Conversation, reply: Reply): string[] {
  const head = { id: newId("chatcmpl-"), object: "chat.completion.chunk", created: seconds(), model: conversation.model };
  const chunk = (delta: Json, finish: string | null): string =>
    `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const events = [chunk({ role: "assistant", content: "" }, null)];
  for (const text of pieces(reply.text)) events.push(chunk({ content: text }, null));
  for (const [index, call] of chatCalls(reply).entries()) {
    const described = asObject(call.function);
    events.push(chunk({ tool_calls: [{ ...call, index, function: { name: described.name, arguments: "" } }] }, null));
    for (const part of pieces(asText(described.arguments))) {
      events.push(chunk({ tool_calls: [{ index, function: { arguments: part } }] }, null));
    }
  }
  events.push(chunk({}, chatFinish(reply)));
  const usage = chatUsage(reply);
  if (usage && conversation.wantsUsage) events.push(`data: ${JSON.stringify({ ...head, choices: [], usage })}\n\n`);
  events.push("data: [DONE]\n\n");
  return events;
}

export const chat: Dialect = {
  read(body) {
    const messages = asList(body.messages).map(asObject);
    const said: Said[] = [];
    for (const message of messages) {
      if (message.role === "user" || message.role === "assistant" || message.role === "tool") {
        said.push({ role: message.role, text: textOf(message.content) });
      }
    }
    return {
      model: asText(body.model),
      system: messages
        .filter(({ role }) => role === "system" || role === "developer")
        .map(({ content }) => textOf(content))
        .join("\n"),
      said,
      tools: chatTools(body.tools),
      stream: body.stream === true,
      wantsUsage: asObject(body.stream_options).include_usage === true,
    };
  },
  whole(conversation, reply) {
    const calls = chatCalls(reply);
    const message = {
      role: "assistant",
      content: reply.text === "" ? null : reply.text,
      refusal: null,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    return {
      id: newId("chatcmpl-"),
      object: "chat.completion",
      created: seconds(),
      model: conversation.model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: chatFinish(reply) }],
      usage: chatUsage(reply),
    };
  },
  stream: chatStream,
  error: openAiError,
};

// ---- OpenAI Responses ----

function responsesSaid(input: unknown): Said[] {
  if (typeof input === "string") return [{ role: "user", text: input }];
  const said: Said[] = [];
  for (const item of asList(input).map(asObject)) {
    if (item.type === "function_call_output" || item.type === "custom_tool_call_output") {
      said.push({ role: "tool", text: typeof item.output === "string" ? item.output : textOf(item.output) });
    } else if (item.role === "user" || item.role === "assistant") {
      said.push({ role: item.role, text: textOf(item.content) });
    }
  }
  return said;
}

function responsesItems(reply: Reply, tools: OfferedTool[]): Json[] {
  const items: Json[] = [];
  if (reply.text !== "") {
    const content = [{ type: "output_text", text: reply.text, annotations: [] }];
    items.push({ type: "message", id: newId("msg_"), role: "assistant", status: "completed", content });
  }
  for (const call of reply.toolCalls) {
    const common = { id: newId("fc_"), call_id: newId("call_"), name: call.name, status: "completed" };
    const freeForm = tools.some((tool) => tool.name === call.name && tool.freeForm);
    if (freeForm) items.push({ type: "custom_tool_call", ...common, input: argumentsText(call.arguments) });
    else items.push({ type: "function_call", ...common, arguments: argumentsText(call.arguments) });
  }
  return items;
}

function responsesWhole(conversation: Conversation, reply: Reply): Json {
  const { usage } = reply;
  return {
    id: newId("resp_"),
    object: "response",
    created_at: seconds(),
    status: reply.stop === "length" ? "incomplete" : "completed",
    incomplete_details: reply.stop === "length" ? { reason: "max_output_tokens" } : null,
    model: conversation.model,
    output: responsesItems(reply, conversation.tools),
    usage: usage && {
      input_tokens: usage.input,
      input_tokens_details: { cached_tokens: usage.cached ?? 0 },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.input + usage.output,
    },
  };
}

/** The events that make up one item: text or arguments come as deltas between "added" and "done". */
function responsesItemEvents(item: Json, index: number): { type: string; data: Json }[] {
  const place = { item_id: item.id, output_index: index };
  if (item.type === "message") {
    const text = textOf(item.content);
    return [
      { type: "response.output_item.added", data: { output_index: index, item: { ...item, status: "in_progress", content: [] } } },
      {
        type: "response.content_part.added",
        data: { ...place, content_index: 0, part: { type: "output_text", text: "", annotations: [] } },
      },
      ...pieces(text).map((delta) => ({ type: "response.output_text.delta", data: { ...place, content_index: 0, delta } })),
      { type: "response.output_text.done", data: { ...place, content_index: 0, text } },
      { type: "response.output_item.done", data: { output_index: index, item } },
    ];
  }
  if (item.type === "custom_tool_call") {
    return [
      { type: "response.output_item.added", data: { output_index: index, item: { ...item, status: "in_progress", input: "" } } },
      { type: "response.custom_tool_call_input.done", data: { ...place, input: item.input } },
      { type: "response.output_item.done", data: { output_index: index, item } },
    ];
  }
  return [
    { type: "response.output_item.added", data: { output_index: index, item: { ...item, status: "in_progress", arguments: "" } } },
    ...pieces(asText(item.arguments)).map((delta) => ({ type: "response.function_call_arguments.delta", data: { ...place, delta } })),
    { type: "response.function_call_arguments.done", data: { ...place, arguments: item.arguments } },
    { type: "response.output_item.done", data: { output_index: index, item } },
  ];
}

export const responses: Dialect = {
  read(body) {
    return {
      model: asText(body.model),
      system: asText(body.instructions),
      said: responsesSaid(body.input),
      tools: asList(body.tools)
        .map(asObject)
        .filter(({ type }) => type === "function" || type === "custom")
        .map((tool) => ({
          name: asText(tool.name),
          description: asText(tool.description),
          schema: asObject(tool.parameters),
          freeForm: tool.type === "custom",
        })),
      stream: body.stream === true,
      wantsUsage: true,
    };
  },
  whole: responsesWhole,
  stream(conversation, reply) {
    const whole = responsesWhole(conversation, reply);
    const started = { ...whole, status: "in_progress", output: [], usage: null };
    const events = [
      { type: "response.created", data: { response: started } },
      { type: "response.in_progress", data: { response: started } },
      ...asList(whole.output).flatMap((item, index) => responsesItemEvents(asObject(item), index)),
      { type: reply.stop === "length" ? "response.incomplete" : "response.completed", data: { response: whole } },
    ];
    return events.map(
      ({ type, data }, sequence) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence, ...data })}\n\n`,
    );
  },
  error: openAiError,
};

// ---- Anthropic Messages ----

function anthropicSaid(messages: unknown): Said[] {
  const said: Said[] = [];
  for (const message of asList(messages).map(asObject)) {
    const role = message.role === "assistant" ? "assistant" : "user";
    if (typeof message.content === "string") said.push({ role, text: message.content });
    for (const block of Array.isArray(message.content) ? message.content.filter(isObject) : []) {
      if (block.type === "tool_result") said.push({ role: "tool", text: textOf(block.content) });
      else if (block.type === "text") said.push({ role, text: asText(block.text) });
    }
  }
  return said;
}

function anthropicStop(reply: Reply): string {
  if (reply.stop) return reply.stop === "length" ? "max_tokens" : "refusal";
  return reply.toolCalls.length > 0 ? "tool_use" : "end_turn";
}

const anthropicUsage = ({ usage }: Reply): Json => ({
  input_tokens: usage?.input ?? 0,
  output_tokens: usage?.output ?? 0,
  cache_read_input_tokens: usage?.cached ?? 0,
  cache_creation_input_tokens: 0,
});

function anthropicBlocks(reply: Reply): Json[] {
  const blocks: Json[] = reply.text === "" ? [] : [{ type: "text", text: reply.text }];
  for (const call of reply.toolCalls) blocks.push({ type: "tool_use", id: newId("toolu_"), name: call.name, input: call.arguments });
  return blocks;
}

function anthropicWhole(conversation: Conversation, reply: Reply): Json {
  return {
    id: newId("msg_"),
    type: "message",
    role: "assistant",
    model: conversation.model,
    content: anthropicBlocks(reply),
    stop_reason: anthropicStop(reply),
    stop_sequence: null,
    usage: anthropicUsage(reply),
  };
}

export const anthropic: Dialect = {
  read(body) {
    return {
      model: asText(body.model),
      system: textOf(body.system),
      said: anthropicSaid(body.messages),
      tools: asList(body.tools)
        .map(asObject)
        .filter((tool) => isObject(tool.input_schema))
        .map((tool) => ({
          name: asText(tool.name),
          description: asText(tool.description),
          schema: asObject(tool.input_schema),
          freeForm: false,
        })),
      stream: body.stream === true,
      wantsUsage: true,
    };
  },
  whole: anthropicWhole,
  stream(conversation, reply) {
    const event = (data: Json): string => `event: ${asText(data.type)}\ndata: ${JSON.stringify(data)}\n\n`;
    const whole = anthropicWhole(conversation, reply);
    const usage = anthropicUsage(reply);
    const events = [
      event({ type: "message_start", message: { ...whole, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } } }),
    ];
    for (const [index, block] of anthropicBlocks(reply).entries()) {
      const isText = block.type === "text";
      const deltas = isText
        ? pieces(asText(block.text)).map((text) => ({ type: "text_delta", text }))
        : pieces(JSON.stringify(block.input)).map((json) => ({ type: "input_json_delta", partial_json: json }));
      events.push(
        event({ type: "content_block_start", index, content_block: isText ? { type: "text", text: "" } : { ...block, input: {} } }),
      );
      for (const delta of deltas) events.push(event({ type: "content_block_delta", index, delta }));
      events.push(event({ type: "content_block_stop", index }));
    }
    events.push(event({ type: "message_delta", delta: { stop_reason: anthropicStop(reply), stop_sequence: null }, usage }));
    events.push(event({ type: "message_stop" }));
    return events;
  },
  error: (status, message) => ({ type: "error", error: { type: errorKind(status), message }, request_id: newId("req_") }),
};

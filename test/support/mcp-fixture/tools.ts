import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type CallToolResult,
  type ServerContext,
  type ServerEventBus,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import type { McpTool } from "../../../src/entry/mcp/tool.ts";
import { AppError } from "../../../src/errors.ts";
import { image, text, wav } from "./content.ts";

/** The tools that the conformance suite calls by name; each does what the suite's own description of it says. */
export const fixtureTools = (bus: ServerEventBus): McpTool[] => [
  tool("test_simple_text", async () => says("This is a simple text response for testing.")),
  tool("test_image_content", async () => ({ content: [image] })),
  tool("test_audio_content", async () => ({ content: [{ type: "audio", data: wav, mimeType: "audio/wav" }] })),
  tool("test_embedded_resource", async () => ({
    content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  })),
  tool("test_multiple_content_types", async () => ({
    content: [
      text("Multiple content types test:"),
      image,
      resource("test://mixed-content-resource", "application/json", JSON.stringify({ test: "data", value: 123 })),
    ],
  })),
  tool("test_error_handling", async () => {
    throw new AppError("failed", "This tool intentionally returns an error for testing");
  }),
  tool("test_tool_with_progress", async (_args, context) => {
    for (const progress of [0, 50, 100]) {
      await tellProgress(context, progress);
      await wait(50);
    }
    return says("done");
  }),
  tool("test_logging_tool", async (_args, context) => {
    await context.mcpReq.log("info", "only for those who asked for a log");
    return says("done");
  }),
  tool("test_missing_capability", async (_args, context) => {
    if (!capabilitiesOf(context).sampling) throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
    return says("it can sample");
  }),
  tool("test_trigger_tool_change", async () => {
    bus.publish({ kind: "tools_list_changed" });
    return says("told");
  }),
  tool("test_trigger_prompt_change", async () => {
    bus.publish({ kind: "prompts_list_changed" });
    return says("told");
  }),
  ...asking,
];

const tool = (name: string, call: McpTool["call"]): McpTool => ({
  definition: { name, description: `fixture ${name}`, inputSchema: { type: "object", properties: {} } },
  call,
});

const says = (words: string): CallToolResult => ({ content: [text(words)] });

const resource = (uri: string, mimeType: string, words: string) => ({
  type: "resource" as const,
  resource: { uri, mimeType, text: words },
});

const tellProgress = async ({ mcpReq }: ServerContext, progress: number): Promise<void> => {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
};

const Capabilities = z.looseObject({ sampling: z.unknown(), elicitation: z.unknown(), roots: z.unknown() }).partial();

const capabilitiesOf = ({ mcpReq }: ServerContext) => {
  const envelope: Record<string, unknown> = mcpReq.envelope ?? {};
  return Capabilities.catch({}).parse(envelope[CLIENT_CAPABILITIES_META_KEY]);
};

const Name = z.object({ name: z.string() });
const Colour = z.object({ color: z.string() });
const Confirmed = z.object({ ok: z.boolean() });

const key = randomBytes(32);
const sign = (state: string): string => createHmac("sha256", key).update(state).digest("base64url");
const sealed = (state: string): string => `${state}.${sign(state)}`;

/** Throws the protocol's error for a state that is not one of ours. */
function opened(context: ServerContext): string | null {
  const given = context.mcpReq.requestState<string>();
  if (given === undefined) return null;
  const dot = given.lastIndexOf(".");
  const [state, seal] = [given.slice(0, dot), Buffer.from(given.slice(dot + 1))];
  const wanted = Buffer.from(sign(state));
  if (seal.length !== wanted.length || !timingSafeEqual(seal, wanted))
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "this requestState was not made here");
  return state;
}

const asksName = () => inputRequired.elicit({ message: "What is your name?", requestedSchema: Name });
const asksToSample = (words: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: text(words) }], maxTokens });
const wordsOf = (context: ServerContext, name: string): string | null => {
  const given = inputResponse(context.mcpReq.inputResponses, name);
  return given.kind === "sampling" ? JSON.stringify(given.result.content) : null;
};

/** Tools that ask their client something before they answer (multi-round-trip requests). */
const asking: McpTool[] = [
  tool("test_input_required_result_elicitation", async (_args, context) => {
    const given = acceptedContent(context.mcpReq.inputResponses, "user_name", Name);
    return given ? says(`Hello, ${given.name}!`) : inputRequired({ inputRequests: { user_name: asksName() } });
  }),
  tool("test_streaming_elicitation", async (_args, context) => {
    await tellProgress(context, 0);
    const given = acceptedContent(context.mcpReq.inputResponses, "user_name", Name);
    return given ? says(`Hello, ${given.name}!`) : inputRequired({ inputRequests: { user_name: asksName() } });
  }),
  tool("test_input_required_result_sampling", async (_args, context) => {
    const words = wordsOf(context, "capital_question");
    const question = asksToSample("What is the capital of France?", 100);
    return words === null ? inputRequired({ inputRequests: { capital_question: question } }) : says(words);
  }),
  tool("test_input_required_result_list_roots", async (_args, context) => {
    const given = inputResponse(context.mcpReq.inputResponses, "client_roots");
    if (given.kind !== "roots") return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return says(given.roots.map(({ uri }) => uri).join(", "));
  }),
  tool("test_input_required_result_request_state", async (_args, context) => {
    const given = acceptedContent(context.mcpReq.inputResponses, "confirm", Confirmed);
    if (given && opened(context) === "confirm") return says("state-ok");
    const confirm = inputRequired.elicit({ message: "Please confirm", requestedSchema: Confirmed });
    return inputRequired({ inputRequests: { confirm }, requestState: sealed("confirm") });
  }),
  tool("test_input_required_result_multiple_inputs", async (_args, context) => {
    const { inputResponses } = context.mcpReq;
    const name = acceptedContent(inputResponses, "user_name", Name);
    const greeting = wordsOf(context, "greeting");
    const roots = inputResponse(inputResponses, "client_roots");
    if (name && greeting !== null && roots.kind === "roots" && opened(context) === "several") return says(`${greeting} ${name.name}`);
    return inputRequired({
      inputRequests: { user_name: asksName(), greeting: asksToSample("Generate a greeting", 50), client_roots: inputRequired.listRoots() },
      requestState: sealed("several"),
    });
  }),
  tool("test_input_required_result_multi_round", async (_args, context) => {
    const { inputResponses } = context.mcpReq;
    const state = opened(context);
    const colour = acceptedContent(inputResponses, "step2", Colour);
    if (state?.startsWith("named:") && colour) return says(`${state.slice(6)} likes ${colour.color}`);
    const name = acceptedContent(inputResponses, "step1", Name);
    if (state === "first" && name) {
      const step2 = inputRequired.elicit({ message: "Step 2: What is your favorite color?", requestedSchema: Colour });
      return inputRequired({ inputRequests: { step2 }, requestState: sealed(`named:${name.name}`) });
    }
    const step1 = inputRequired.elicit({ message: "Step 1: What is your name?", requestedSchema: Name });
    return inputRequired({ inputRequests: { step1 }, requestState: sealed("first") });
  }),
  tool("test_input_required_result_tampered_state", async (_args, context) => {
    if (opened(context) === "whole") return says("untouched");
    const confirm = inputRequired.elicit({ message: "Please confirm", requestedSchema: Confirmed });
    return inputRequired({ inputRequests: { confirm }, requestState: sealed("whole") });
  }),
  tool("test_input_required_result_capabilities", async (_args, context) => {
    if (context.mcpReq.inputResponses) return says("answered");
    const { sampling, elicitation, roots } = capabilitiesOf(context);
    const inputRequests = {
      ...(elicitation ? { user_name: asksName() } : {}),
      ...(sampling ? { greeting: asksToSample("Generate a greeting", 50) } : {}),
      ...(roots ? { client_roots: inputRequired.listRoots() } : {}),
    };
    return Object.keys(inputRequests).length === 0 ? says("nothing can be asked") : inputRequired({ inputRequests });
  }),
];

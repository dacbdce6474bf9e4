import {
  acceptedContent,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  type GetPromptResult,
  type InputRequiredResult,
  type Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { image, text } from "./content.ts";

const says = (...contents: GetPromptResult["messages"][number]["content"][]): GetPromptResult => ({
  messages: contents.map((content) => ({ role: "user", content })),
});

interface FixturePrompt {
  description: string;
  arguments: string[];
  get(args: Record<string, string>, context: ServerContext): GetPromptResult | InputRequiredResult;
}

const Context = z.object({ context: z.string() });

const prompts: Record<string, FixturePrompt> = {
  test_simple_prompt: { description: "a sentence", arguments: [], get: () => says(text("This is a simple prompt for testing.")) },
  test_prompt_with_arguments: {
    description: "a sentence with two words of yours",
    arguments: ["arg1", "arg2"],
    get: ({ arg1, arg2 }) => says(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  },
  test_prompt_with_embedded_resource: {
    description: "a resource",
    arguments: ["resourceUri"],
    get: ({ resourceUri = "" }) =>
      says(
        { type: "resource", resource: { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." } },
        text("Please process the embedded resource above."),
      ),
  },
  test_prompt_with_image: { description: "an image", arguments: [], get: () => says(image, text("Please analyze the image above.")) },
  test_input_required_result_prompt: {
    description: "asks first",
    arguments: [],
    get(_args, { mcpReq }) {
      const given = acceptedContent(mcpReq.inputResponses, "user_context", Context);
      if (given) return says(text(`With this context: ${given.context}`));
      const message = "What context should the prompt use?";
      return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema: Context }) } });
    },
  },
};

/** Prompts and completions: Tutti itself has none. */
export function addPrompts(server: Server): void {
  server.registerCapabilities({ prompts: {}, completions: {} });
  server.setRequestHandler("prompts/list", () => ({
    prompts: Object.entries(prompts).map(([name, { description, arguments: names }]) => ({
      name,
      description,
      arguments: names.map((argument) => ({ name: argument, description: argument, required: true })),
    })),
  }));
  server.setRequestHandler("prompts/get", ({ params }, context) => {
    const prompt = Object.hasOwn(prompts, params.name) ? prompts[params.name] : undefined;
    if (!prompt) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no prompt "${params.name}"`);
    return prompt.get(params.arguments ?? {}, context);
  });
  server.setRequestHandler("completion/complete", ({ params }) => {
    const values = ["paris", "park", "party"].filter((word) => word.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
}

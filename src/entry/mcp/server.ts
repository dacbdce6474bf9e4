import {
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type CallToolResult,
  type Implementation,
  type InputRequiredResult,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server";
import type { AppError } from "../../errors.ts";
import type { McpResources } from "./resources.ts";
import { failed, known, type McpLog, type McpTool } from "./tool.ts";

/** What one caller is served. */
export interface Served {
  tools: { shown(): Tool[]; find(name: string): McpTool | undefined };
  resources: McpResources;
}

export interface ServerOptions {
  info: Implementation;
  instructions: string;
  served: Served;
  /** Whether changes of resources can be told: not to clients of 2025, who would need a stream of their own. */
  subscribe: boolean;
  log: McpLog;
}

/** A server for one request: it says what there is, and passes every call on. Errors become the one error object. */
export function makeServer({ info, instructions, served, subscribe, log }: ServerOptions): Server {
  const capabilities = { tools: {}, resources: subscribe ? { subscribe: true, listChanged: true } : {} };
  const server = new Server(info, { capabilities, instructions });
  const { tools, resources } = served;
  server.setRequestHandler("tools/list", () => asked("tools/list", log, async () => ({ tools: tools.shown() })));
  server.setRequestHandler("tools/call", async ({ params }, context) => await callTool(served, params, context, log));
  server.setRequestHandler("resources/list", ({ params }) => asked("resources/list", log, () => resources.list(params?.cursor)));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: resources.templates }));
  server.setRequestHandler("resources/read", ({ params }) => asked("resources/read", log, () => resources.read(params.uri)));
  return server;
}

async function callTool(
  { tools }: Served,
  { name, arguments: args = {} }: { name: string; arguments?: Record<string, unknown> },
  context: ServerContext,
  log: McpLog,
): Promise<CallToolResult | InputRequiredResult> {
  const tool = tools.find(name);
  if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no tool "${name}"`);
  try {
    return await tool.call(args, context);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    return failed(known(error, log, name));
  }
}

/** Outside of tools the protocol has its own errors; ours goes along as their data. */
async function asked<Result>(what: string, log: McpLog, answer: () => Promise<Result>): Promise<Result> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw protocolErrorOf(known(error, log, what));
  }
}

function protocolErrorOf(error: AppError): ProtocolError {
  const code = error.code === "internal" ? ProtocolErrorCode.InternalError : ProtocolErrorCode.InvalidParams;
  return new ProtocolError(code, error.message, error.toJSON());
}

import { Client, StreamableHTTPClientTransport, type McpSubscription, type Progress } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { join } from "node:path";
import { serveHttp } from "../../src/entry/http.ts";
import { makeMcp } from "../../src/entry/mcp.ts";
import { makeRegistry, type Entry } from "../../src/registry.ts";
import { openServer, type TestServer } from "./server.ts";
import { bareEnvironment, root } from "./tutti.ts";

/** The official client, spoken to as an assistant's program does. */
export interface McpClient {
  client: Client;
  /** Addresses of resources that were told to have changed, in order. */
  updated: string[];
  /** Calls a tool: its structured content, or its error object. */
  call(name: string, args?: Record<string, unknown>, onProgress?: (progress: Progress) => void): Promise<Called>;
  names(): Promise<string[]>;
  follow(uris: string[], more?: { resourcesListChanged?: boolean }): Promise<McpSubscription>;
}

export interface Called {
  isError: boolean;
  value: Record<string, unknown>;
  text: string;
}

interface HttpOptions {
  url: string;
  token: string | null;
  groups?: string;
  /** "legacy": as a client of 2025. */
  mode?: "auto" | "legacy";
}

const open: Client[] = [];

/** Closes every client that was opened. */
export const closeClients = async (): Promise<void> => void (await Promise.all(open.splice(0).map((client) => client.close())));

export async function overHttp({ url, token, groups, mode = "auto" }: HttpOptions): Promise<McpClient> {
  const address = new URL(groups === undefined ? "/mcp" : `/mcp?groups=${groups}`, url);
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return await connected(new StreamableHTTPClientTransport(address, { requestInit: { headers } }), mode);
}

/** Starts `tutti mcp` as a program would. */
export async function overStdio({
  home,
  args = [],
  mode = "auto",
}: {
  home: string;
  args?: string[];
  mode?: "auto" | "legacy";
}): Promise<McpClient> {
  const argv = [join(root, "src/entry/cli/main.ts"), "mcp", ...args];
  return await connected(
    new StdioClientTransport({ command: process.execPath, args: argv, env: bareEnvironment(home), stderr: "inherit" }),
    mode,
  );
}

async function connected(transport: StreamableHTTPClientTransport | StdioClientTransport, mode: "auto" | "legacy"): Promise<McpClient> {
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
  const updated: string[] = [];
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
  client.setNotificationHandler("notifications/resources/list_changed", () => void updated.push("list"));
  await client.connect(transport);
  open.push(client);
  return {
    client,
    updated,
    async call(name, args = {}, onProgress) {
      const result = await client.callTool({ name, arguments: args }, onProgress ? { onprogress: onProgress } : {});
      const [first] = result.content;
      return {
        isError: result.isError === true,
        value: (result.structuredContent ?? {}) as Record<string, unknown>,
        text: first?.type === "text" ? first.text : "",
      };
    },
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    follow: (uris, more = {}) => client.listen({ resourceSubscriptions: uris, ...more }),
  };
}

/** The door with everything behind it and /mcp, in this process. */
export async function openMcp(
  entries: readonly Entry[],
  options: { tokenCheckMs?: number } = {},
): Promise<TestServer & { faults: object[] }> {
  const behind = await openServer({ entries });
  const faults: object[] = [];
  const log = { error: (fields: object) => void faults.push(fields) };
  const registry = makeRegistry(entries);
  const mcp = makeMcp({ registry, services: behind.services, log, ...options });
  const http = await serveHttp({ registry, services: behind.services, host: "127.0.0.1", port: 0, log, graceMs: 2_000, mounts: [mcp] });
  return {
    ...behind,
    url: http.url,
    port: http.port,
    faults,
    async close() {
      await mcp.close();
      await http.close();
      await behind.close();
    },
  };
}

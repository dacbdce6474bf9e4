import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { serveHttp } from "../../../src/entry/http.ts";
import { makeChanges } from "../../../src/entry/mcp/changes.ts";
import { makeMount } from "../../../src/entry/mcp/mount.ts";
import { makeServer } from "../../../src/entry/mcp/server.ts";
import { makeRegistry } from "../../../src/registry.ts";
import { openServer } from "../server.ts";
import { addPrompts } from "./prompts.ts";
import { fixtureResources } from "./resources.ts";
import { fixtureTools } from "./tools.ts";

/**
 * What the official conformance suite talks to: our own doors, mount and dispatch (src/entry/http.ts, src/entry/mcp), behind
 * them the tools, resources and prompts that the suite wants by name. The suite sends no token, so a small proxy adds one;
 * everything else passes through it as it came, Host and Origin too.
 */
export interface Fixture {
  /** With /mcp. */
  url: string;
  close(): Promise<void>;
}

export async function startFixture(): Promise<Fixture> {
  const behind = await openServer({ entries: [] });
  const log = { error: (fields: object, message: string) => process.stderr.write(`${message}: ${JSON.stringify(fields)}\n`) };
  const changes = makeChanges(behind.services, { onError: (error) => log.error({ error: String(error) }, "events") });
  const tools = fixtureTools(changes.bus);
  const mount = makeMount({
    services: behind.services,
    changes,
    log,
    followable: async (uris) => [...uris],
    serve: (_asking, era) => {
      const server = makeServer({
        info: { name: "tutti-fixture", version: "1.0.0" },
        instructions: "Named fixtures for the conformance suite.",
        served: {
          tools: {
            shown: () => tools.map(({ definition }) => definition),
            find: (name) => tools.find(({ definition }) => definition.name === name),
          },
          resources: fixtureResources,
        },
        subscribe: era === "modern",
        log,
      });
      addPrompts(server);
      return server;
    },
  });
  const http = await serveHttp({ registry: makeRegistry([]), services: behind.services, host: "127.0.0.1", port: 0, log, mounts: [mount] });
  const proxy = await addToken(http.port, behind.tokens.person);
  return {
    url: `http://127.0.0.1:${proxy.port}/mcp`,
    async close() {
      await mount.close();
      await proxy.close();
      await http.close();
      await behind.close();
    },
  };
}

async function addToken(port: number, token: string): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    const onward = httpRequest({ host: "127.0.0.1", port, path: incoming.url, method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

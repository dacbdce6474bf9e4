import type { Registry } from "../registry.ts";
import type { Services } from "../services.ts";
import { makeCatalogue, type Asking } from "./mcp/catalogue.ts";
import { makeChanges } from "./mcp/changes.ts";
import { makeMount, type McpMount } from "./mcp/mount.ts";
import { makeResources } from "./mcp/resources.ts";
import { makeServer } from "./mcp/server.ts";
import type { McpLog } from "./mcp/tool.ts";

/** The registry as an MCP server at /mcp: tools, resources and subscriptions, each judged as if it came over HTTP. */
const instructions = `Tutti queues tasks and flows, gives each to an agent that fits and merges what passed its checks.
create_task, then wait_for_task until it is over, then read the result (get_task, task_diff). A task that "needs you" waits for a person: see list_approvals.`;

export interface McpOptions {
  registry: Registry;
  services: Services;
  log: McpLog;
  /** How often the token of an open stream is looked at again, ms. */
  tokenCheckMs?: number;
}

export function makeMcp({ registry, services, log, tokenCheckMs }: McpOptions): McpMount {
  const catalogue = makeCatalogue({ registry, services });
  const resourcesFor = ({ actor }: Asking) => makeResources({ registry, services, actor });
  return makeMount({
    services,
    log,
    tokenCheckMs,
    changes: makeChanges(services, { onError: (error) => log.error({ err: error }, "the events could not be followed") }),
    async followable(uris, asking) {
      const resources = resourcesFor(asking);
      const allowed = await Promise.all(uris.map((uri) => resources.canFollow(uri)));
      return uris.filter((_uri, index) => allowed[index]);
    },
    serve: (asking, era) =>
      makeServer({
        info: { name: "tutti", title: "Tutti", version: services.version },
        instructions,
        served: {
          tools: { shown: () => catalogue.shown(asking), find: (name) => catalogue.find(name, asking) },
          resources: resourcesFor(asking),
        },
        subscribe: era === "modern",
        log,
      }),
  });
}

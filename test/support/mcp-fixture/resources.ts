import { ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { McpResources } from "../../../src/entry/mcp/resources.ts";
import { png } from "./content.ts";

const known = [
  { uri: "test://static-text", name: "static text", description: "a text that stays", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static binary", description: "an image that stays", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched", description: "a text that may change", mimeType: "text/plain" },
];

export const fixtureResources: McpResources = {
  templates: [{ uriTemplate: "test://template/{id}/data", name: "template", title: "Data by id", mimeType: "application/json" }],
  list: async () => ({ resources: known }),
  async read(uri) {
    if (uri === "test://static-text")
      return { contents: [{ uri, mimeType: "text/plain", text: "This is the content of the static text resource." }] };
    if (uri === "test://static-binary") return { contents: [{ uri, mimeType: "image/png", blob: png }] };
    if (uri === "test://watched-resource") return { contents: [{ uri, mimeType: "text/plain", text: "watched" }] };
    const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
    if (id === undefined) throw new ResourceNotFoundError(uri);
    return {
      contents: [{ uri, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
    };
  },
  canFollow: async (uri) => known.some((resource) => resource.uri === uri),
};

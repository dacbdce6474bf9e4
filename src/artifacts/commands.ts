import { z } from "zod";
import { blob, command } from "../registry.ts";
import { ArtifactId } from "./artifact.ts";
import { collectArtifacts } from "./collect.ts";

export const getArtifact = blob({
  name: "artifact.get",
  help: "A result that is too large for a row, by the SHA-256 of its bytes.",
  path: "/artifacts/:id",
  input: z.strictObject({ id: ArtifactId }),
  access: "person",
  async run({ id }, { artifacts }) {
    const size = await artifacts.size(id);
    // What it is nobody says for sure; whoever knows gives it a name.
    // A blob's end is its last byte, an artifact's the place behind it.
    return { type: "application/octet-stream", size, etag: id, open: (start, end) => artifacts.open(id, start, end + 1) };
  },
});

export const collectArtifactsCommand = command({
  name: "artifact.collect",
  help: "Remove artifacts that nothing references and that are older than 24 hours; the server does it every hour by itself.",
  input: z.strictObject({}),
  output: z.object({
    removed: z.int().describe("artifacts that are gone"),
    bytes: z.int().describe("what they had together"),
    leftovers: z.int().describe("writes that never ended and were cleaned up"),
  }),
  access: "person",
  scope: "admin",
  // It acts where others only decide: collecting twice does nothing the second time, and there is no plan to be overtaken.
  async decide(_input, { db, artifacts }) {
    return { plan: null, result: await collectArtifacts({ db, artifacts }) };
  },
});

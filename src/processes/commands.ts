import { z } from "zod";
import { query } from "../registry.ts";

export const serverDoctor = query({
  name: "server.doctor",
  help: "What this server runs on: version, store, and how it keeps agents in their sandbox.",
  path: "/doctor",
  input: z.object({}),
  output: z.object({
    version: z.string(),
    store: z.enum(["sqlite", "postgres"]),
    home: z.string(),
    processes: z.object({ kind: z.enum(["bubblewrap", "unshare", "group"]), sandbox: z.boolean(), why: z.string() }),
  }),
  access: "person",
  run: async (_input, { version, db, home, processes }) => ({ version, store: db.kind, home, processes: processes.abilities }),
});

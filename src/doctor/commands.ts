import { join } from "node:path";
import { z } from "zod";
import { readConfig } from "../config.ts";
import { query } from "../registry.ts";
import { examineDatabase, examineLog } from "./examine.ts";

export const serverDoctor = query({
  name: "server.doctor",
  help: "What this server runs on and how it is: version, store, log, and how it keeps agents in their sandbox.",
  path: "/doctor",
  input: z.strictObject({ deep: z.boolean().default(false).describe("also read the whole store, which may take seconds") }),
  output: z.object({
    version: z.string(),
    store: z.enum(["sqlite", "postgres"]),
    home: z.string(),
    path: z.string().describe("where the server looks for programs"),
    log: z.object({ file: z.string(), problem: z.string().nullable() }),
    database: z.object({
      kind: z.enum(["sqlite", "postgres"]),
      version: z.string(),
      schema: z.int(),
      newestSchema: z.int(),
      integrity: z.string().nullable().describe('"ok", what is wrong, or null when it was not looked at'),
      skewMs: z.int().describe("the database's clock less the server's"),
    }),
    processes: z.object({ kind: z.enum(["bubblewrap", "unshare", "group"]), sandbox: z.boolean(), why: z.string() }),
  }),
  access: "person",
  mcp: { tool: "check_server", group: "admin" },
  async run({ deep }, { version, db, home, processes }) {
    const file = join(home, "log", "server.log");
    const [database, problem] = await Promise.all([examineDatabase(db, { home, deep }), examineLog(file)]);
    return { version, store: db.kind, home, path: readConfig().path, log: { file, problem }, database, processes: processes.abilities };
  },
});

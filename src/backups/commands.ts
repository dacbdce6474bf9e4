import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { comparePostgresAt, compareSqlite } from "../db/compare-high-water.ts";
import { invalidInput } from "../errors.ts";
import { command, query } from "../registry.ts";
import type { Services } from "../services.ts";
import { Backup, folderName, Verification } from "./backup.ts";
import type { Source } from "./own-connection.ts";
import { verifyBackup } from "./verify.ts";
import { verifyStore } from "./verify-store.ts";
import { writeBackup } from "./write.ts";

export const createBackup = command({
  name: "backup.create",
  help: "Write a backup of everything into a folder, while the server works.",
  input: z.strictObject({
    to: z
      .string()
      .min(1)
      .max(4000)
      .optional()
      .describe("the folder that is made, on the server's machine; left out: $TUTTI_HOME/backups/<time>"),
  }),
  output: Backup,
  access: "person",
  scope: "admin",
  mcp: { tool: "create_backup", group: "admin" },
  // It acts in deciding: what is written is no row, and a backup that is written twice is two backups.
  async decide({ to }, context) {
    const { artifacts, workspaces, version, home, now } = context;
    if (to !== undefined && !isAbsolute(to))
      throw invalidInput(`"${to}" is not a full path`, "the server has a working folder of its own", [`tutti backup --to "$PWD/${to}"`]);
    const path = to ?? join(home, "backups", folderName(now));
    const backup = await writeBackup({ source: sourceOf(context), to: path, artifacts, workspaces, version });
    const { at, rows, events, bytes } = backup;
    const data = { path: path.slice(-1000), at, rows, events, bytes };
    return { plan: { statements: [], events: [{ stream: "instance", type: "backup.created", data }] }, result: backup };
  },
});

export const verifyBackupQuery = query({
  name: "backup.verify",
  help: "Read a whole backup, or the whole store, and say what is wrong with it. It may take minutes.",
  path: "/backups/verify",
  input: z.strictObject({ folder: z.string().min(1).max(4000).optional().describe("a backup; left out: the store itself") }),
  output: Verification,
  access: "person",
  scope: "admin",
  mcp: { tool: "verify_backup", group: "admin" },
  async run({ folder }, context) {
    if (folder !== undefined) return await verifyBackup(folder);
    const { read, artifacts, workspaces, home } = context;
    const source = sourceOf(context);
    // The mark is read before the store, which only gets further: so it can be asked while the server writes.
    const compared = source.kind === "sqlite" ? compareSqlite(source.file) : await comparePostgresAt(home, source.url);
    return await verifyStore({ source, read, artifacts, workspaces, compared });
  },
});

/** Where the store is that this server has open. */
function sourceOf({ db, home, databaseUrl }: Services): Source {
  if (db.kind === "sqlite") return { kind: "sqlite", file: join(home, "tutti.db") };
  if (databaseUrl === undefined) throw new Error("a server on PostgreSQL was not told where its database is");
  return { kind: "postgres", url: databaseUrl };
}

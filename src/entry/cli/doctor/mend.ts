import { randomUUID } from "node:crypto";
import { chmodSync, lstatSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Mend } from "../../../doctor/finding.ts";
import { readServerFile } from "../../server-file.ts";
import type { TuttiClient } from "../connect.ts";

/** Does one thing that can harm nothing, and says what it did; null when there was nothing left to do. */
export async function mend(what: Mend, { home, client }: { home: string; client: TuttiClient | null }): Promise<string | null> {
  switch (what.kind) {
    case "remove server file":
      // A server may have started since it was looked at: its file stays.
      if (await readServerFile(home)) return null;
      await rm(join(home, "server.json"), { force: true });
      return "removed server.json: no server had it";
    case "close":
      return close(what.path);
    case "refresh agents":
      if (!client) return null;
      await client.command("agent.refresh", {}, { key: randomUUID() });
      return "looked for all agents again, and remembered what was found";
  }
}

/** Never through a link: it could lead to what is not ours. */
function close(path: string): string | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat || stat.isSymbolicLink()) return null;
  const mode = stat.mode & 0o700;
  chmodSync(path, mode);
  return `${path} has mode ${mode.toString(8).padStart(4, "0")} now`;
}

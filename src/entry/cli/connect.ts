import { entries } from "../../commands.ts";
import { readConfig } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { makeClient, type Client } from "../client.ts";
import { readServerFile } from "../server-file.ts";

export type TuttiClient = Client<typeof entries>;

/**
 * The server of this home, by `$TUTTI_HOME/server.json`; TUTTI_URL and TUTTI_TOKEN go before it (an agent's own, a script's).
 * Never opens the database. Throws AppError unreachable when no server runs.
 */
export async function connect(): Promise<TuttiClient> {
  const config = readConfig();
  if (config.url && config.token) return makeClient({ url: config.url, token: config.token, entries });
  const file = await readServerFile(config.home);
  if (!file) {
    throw new AppError("unreachable", "no Tutti server is running", {
      why: `there is no living server for ${config.home}`,
      fix: ["tutti up"],
    });
  }
  return makeClient({ url: file.url, token: config.token ?? file.token, entries });
}

import { entries } from "../../commands.ts";
import { readConfig } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { makeClient, type Client } from "../client.ts";
import { readServerFile } from "../server-file.ts";

export type TuttiClient = Client<typeof entries>;

export interface Connection {
  client: TuttiClient;
  url: string;
}

/**
 * The server of this home, by `$TUTTI_HOME/server.json`; TUTTI_URL and TUTTI_TOKEN go before it (an agent's own, a script's).
 * Never opens the database. Throws AppError unreachable when no server runs.
 */
export async function connect(): Promise<Connection> {
  const config = readConfig();
  if (config.url && config.token) return connectTo(config.url, config.token);
  const file = await readServerFile(config.home);
  if (!file) {
    throw new AppError("unreachable", "no Tutti server is running", {
      why: `there is no living server for ${config.home}`,
      fix: ["tutti up"],
    });
  }
  return connectTo(file.url, config.token ?? file.token);
}

export const connectTo = (url: string, token: string): Connection => ({ client: makeClient({ url, token, entries }), url });

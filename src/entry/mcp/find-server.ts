import { readConfig } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { readServerFile } from "../server-file.ts";
import { readToken } from "./token-file.ts";

/**
 * Where the server of this home is, and the token to come with: that of `as` when it is named, else TUTTI_TOKEN or the home's
 * own. Throws AppError unreachable when no server runs, not_found for a program without a token.
 */
export async function findServer(as: string | null): Promise<{ url: string; token: string }> {
  const config = readConfig();
  const own = as === null ? config.token : await readToken(config.home, as);
  if (config.url && own) return { url: config.url, token: own };
  const file = await readServerFile(config.home);
  if (!file) {
    throw new AppError("unreachable", "no Tutti server is running", {
      why: `there is no living server for ${config.home}`,
      fix: ["tutti up"],
    });
  }
  return { url: file.url, token: own ?? file.token };
}

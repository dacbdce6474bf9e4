import type { IncomingHttpHeaders } from "node:http";
import type { SessionModel } from "./model.ts";
import type { Path } from "./paths.ts";
import type { Target } from "./provider.ts";
import { Refusal } from "./refusal.ts";

/** Asks for one of the session's models and for no other: failing over is then the caller's own work. */
const choiceHeader = "tutti-model";

/** The value of that header: both names, and nothing that a header cannot carry. */
export const choiceOf = ({ provider, model }: Pick<SessionModel, "provider" | "model">): Record<string, string> => ({
  [choiceHeader]: encodeURIComponent(`${provider}/${model}`),
});

/** Where programs put their key; here it is the session's token, and it goes no further. null: there is none. */
export function tokenOf(headers: IncomingHttpHeaders, query: URLSearchParams, { protocol }: Path): string | null {
  const { authorization, "x-api-key": anthropic, "x-goog-api-key": google } = headers;
  const bearer = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
  const inQuery = protocol === "google" ? query.get("key") : null;
  return [bearer, anthropic, google, inQuery].find((text) => typeof text === "string" && text !== "")?.toString() ?? null;
}

export const noToken = (): Refusal => new Refusal(401, "the session's token is missing or opens nothing here");

/**
 * Whom to ask, in this order. The session's first model says which protocol its program has to speak; only who names a model gets
 * another one. Throws Refusal.
 */
export function choose(targets: readonly Target[], { protocol }: Path, headers: IncomingHttpHeaders): [Target, ...Target[]] {
  const [first] = targets;
  if (!first) throw noToken();
  const wanted = headers[choiceHeader];
  const named = wanted === undefined ? null : targets.filter((target) => choiceOf(target)[choiceHeader] === wanted);
  const main = named ? named[0] : first;
  if (!main) throw new Refusal(404, "this session has no such model");
  if (main.protocol !== protocol) {
    throw new Refusal(
      400,
      `this session's provider ${main.provider} speaks the protocol of ${main.protocol}, and this request is one of ${protocol}`,
    );
  }
  return named ? [main] : [main, ...targets.slice(1).filter((target) => target.protocol === protocol)];
}

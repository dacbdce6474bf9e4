import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { Scope } from "../../../access/token.ts";
import { invalidInput } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import { connect } from "../connect.ts";
import type { AgentOptions, ProjectOptions, ProviderOptions } from "../grammar/setup.ts";
import { wholeNumber } from "../options.ts";
import { note, oneLine, print, printJson } from "../output.ts";

/** One object with --json, else one line. */
function say(json: boolean, record: object, line: string): void {
  if (json) printJson(record);
  else print(line);
}

/** Throws AppError invalid_input for a name that cannot be one, and whatever the server refuses. */
export async function addAgent(name: string, options: AgentOptions, json: boolean): Promise<void> {
  const { backend, preset, provider, model, role } = options;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
    throw invalidInput(`"${oneLine(name)}" cannot be an agent's name`, "a name has lower-case letters, digits and dashes");
  }
  const limit = wholeNumber("--limit", options.limit, 1);
  const { client } = await connect();
  const settings = {
    preset,
    command: options.command.length > 0 ? options.command : undefined,
    provider,
    model,
    credentials: options.credentials ?? (provider && backend === "acp" ? ("key" as const) : ("none" as const)),
    permissions: options.ask ? ("ask" as const) : ("auto" as const),
  };
  const wanted = { name, backend, role: role ?? null, skills: options.skill, limit, settings };
  const agent = await client.command("agent.create", wanted, { key: randomUUID() });
  const { state, message, fix } = agent.detection;
  say(json, agent, `agent ${agent.name} added: ${state === "ready" ? "ready" : `${state}, so it gets no work yet`}`);
  if (state !== "ready") note([message, fix].flatMap((text) => (text ? [oneLine(text)] : [])).join("; "));
}

export async function removeAgent(name: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const removed = await client.command("agent.remove", { name }, { key: randomUUID() });
  say(json, removed, `agent ${removed.name} removed`);
}

/** The key comes by standard input, never by an option: those are seen by everybody on the machine. */
export async function setProvider(name: string, { protocol, baseUrl, model, keyStdin }: ProviderOptions, json: boolean): Promise<void> {
  const key = keyStdin ? (await readAll(process.stdin)).trim() : undefined;
  const { client } = await connect();
  const provider = await client.command("provider.set", { name, protocol, baseUrl, model, key }, { key: randomUUID() });
  const kept = provider.keyName ? "its key is kept by the server" : "without a key";
  say(json, provider, `provider ${provider.name}: ${oneLine(provider.model)} at ${oneLine(provider.baseUrl)}, ${kept}`);
  note(`tutti agents add <name> --backend model --provider ${provider.name}`);
}

export async function removeProvider(name: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const removed = await client.command("provider.remove", { name }, { key: randomUUID() });
  say(json, removed, `provider ${removed.name} removed`);
}

export async function addProject(folder: string, { branch }: { branch?: string }, json: boolean): Promise<void> {
  const { client } = await connect();
  const project = await client.command("project.create", { folder: resolve(folder), baseBranch: branch });
  say(json, project, `project ${project.id}: ${oneLine(project.source)}, branch ${oneLine(project.baseBranch)}`);
}

/** Throws AppError invalid_input when nothing to change was named. */
export async function updateProject(id: string, { sandbox, setup, limit }: ProjectOptions, json: boolean): Promise<void> {
  const settings = {
    ...(sandbox ? { sandbox } : {}),
    ...(setup === undefined ? {} : { setup }),
    ...(limit === undefined ? {} : { limit: wholeNumber("--limit", limit, 1) }),
  };
  if (Object.keys(settings).length === 0) {
    throw invalidInput("nothing to change was named", undefined, ["tutti projects update --help", `tutti show ${id}`]);
  }
  const { client } = await connect();
  const project = await client.command("project.update", { id, settings }, { key: randomUUID() });
  const { sandbox: kind, setup: first, limit: most } = project.settings;
  const line = `project ${project.id}: sandbox ${kind}, set-up ${first === null ? "none" : oneLine(first)}, at most ${most} at once`;
  say(json, project, line);
}

/** Throws AppError invalid_input for a scope that there is not. */
export async function createToken(name: string, { scope }: { scope: string[] }, json: boolean): Promise<void> {
  const scopes = scope.map((word) => {
    const known = Scope.safeParse(word);
    if (known.success) return known.data;
    const meant = nearest(word, Scope.options);
    throw invalidInput(`there is no scope "${oneLine(word)}"`, `there are: ${Scope.options.join(", ")}`, meant ? [`--scope ${meant}`] : []);
  });
  const { client } = await connect();
  const made = await client.command("token.create", { name, scopes: scopes.length > 0 ? scopes : undefined }, { key: randomUUID() });
  if (json) return printJson(made);
  note("keep it: it is shown only now");
  print(made.token);
}

export async function revokeToken(id: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const revoked = await client.command("token.revoke", { id }, { key: randomUUID() });
  say(json, revoked, `token ${revoked.id} (${oneLine(revoked.name)}) revoked`);
}

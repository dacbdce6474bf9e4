import { existsSync, lstatSync, statSync } from "node:fs";
import { readdir, statfs } from "node:fs/promises";
import { connect as connectSocket, createServer } from "node:net";
import { join } from "node:path";
import { readTerminal, type Config } from "../../../config.ts";
import type { AgentSeen, ChannelSeen, DiskFacts, NetworkFacts, PortFacts, ProviderSeen, ServerSeen } from "../../../doctor/judge.ts";
import { toAppError } from "../../../errors.ts";
import { readIfThere } from "../../../secret-file.ts";
import { readServerFile, ServerFile } from "../../server-file.ts";
import { connectTo, type TuttiClient } from "../connect.ts";

/** What `tutti doctor` sees from outside of the server. Nothing here changes anything, and nothing rejects for a fault that it looks for. */

type Health = Awaited<ReturnType<typeof askHealth>>;

const askHealth = (client: TuttiClient, deep: boolean) => client.query("server.doctor", { deep });

export interface Running {
  client: TuttiClient;
  url: string;
  health: Health;
}

/** The server, and what it says of itself; `running` is null when it cannot be asked. */
export async function lookForServer(config: Config, deep: boolean): Promise<{ seen: ServerSeen; running: Running | null }> {
  const given = config.url && config.token ? { url: config.url, token: config.token, pid: 0 } : null;
  const file = given ?? (await readServerFile(config.home));
  if (!file) return { seen: await whyNoServer(config.home), running: null };
  const { client, url } = connectTo(file.url, config.token ?? file.token);
  try {
    const health = await askHealth(client, deep);
    return { seen: { kind: "answers", url, version: health.version, log: health.log }, running: { client, url, health } };
  } catch (error) {
    const { code, message, why, fix } = toAppError(error);
    const text = why ?? message;
    if (code === "unreachable" && file.pid > 0) return { seen: { kind: "silent", pid: file.pid, url, why: text }, running: null };
    return { seen: { kind: "refused", url, why: text, fix: fix[0] ?? null }, running: null };
  }
}

/** readServerFile says null for a file that is not there, that is damaged, and that a dead process left. */
async function whyNoServer(home: string): Promise<ServerSeen> {
  const text = await readIfThere(join(home, "server.json"));
  if (text === null) return { kind: "none" };
  try {
    return { kind: "stale", pid: ServerFile.parse(JSON.parse(text)).pid };
  } catch {
    return { kind: "damaged" };
  }
}

/** Everything in the home that only its owner may read: the home itself, what opens the server, keys, and the store. */
export async function lookAtDisk(home: string): Promise<DiskFacts> {
  if (!existsSync(home)) return { home, exists: false, freeMb: 0, open: [] };
  const { bavail, bsize } = await statfs(home);
  const keys = existsSync(join(home, "keys")) ? (await readdir(join(home, "keys"))).map((name) => join("keys", name)) : [];
  const secret = ["", "server.json", "token", "id", "tutti.db", "tutti.db-wal", "keys", "log", ...keys];
  const open = secret.flatMap((name) => {
    const path = join(home, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    // What a link leads to is not the home's: the home that it lies in is closed.
    const mode = !stat || stat.isSymbolicLink() ? 0 : stat.mode & 0o777;
    return (mode & 0o077) === 0 || isSealed(home, name) ? [] : [{ path, mode }];
  });
  return { home, exists: true, freeMb: Math.round((bavail * bsize) / 1_048_576), open };
}

/** In a home that nobody else can enter, the mode of a log's folder is no fault. */
const isSealed = (home: string, name: string): boolean => ["log", "tutti.db-wal"].includes(name) && (statSync(home).mode & 0o077) === 0;

const agentLimit = 500;

/** Each is really looked for again, by the code that would start it. */
export async function lookAtAgents(client: TuttiClient): Promise<AgentSeen[]> {
  const { items } = await client.query("agent.list", { limit: agentLimit });
  return await Promise.all(
    items.map(async ({ name, detection }) => ({ name, stored: detection, now: await client.query("agent.detect", { name }) })),
  );
}

/** By their names alone: neither a key nor an address with a password in it is shown. */
export async function lookAtProviders(client: TuttiClient, home: string): Promise<ProviderSeen[]> {
  const { items } = await client.query("provider.list", {});
  return await Promise.all(
    items.map(async ({ name, keyName, baseUrl, source }) => ({
      name,
      // A home that cannot be seen from here (another machine's) says nothing.
      keyMissing: source === "store" && keyName !== null && existsSync(home) && !existsSync(join(home, "keys", keyName)),
      unreachable: await problemWithAddress(baseUrl),
    })),
  );
}

const reachLimitMs = 2_000;

function problemWithAddress(baseUrl: string): Promise<string | null> {
  if (!URL.canParse(baseUrl)) return Promise.resolve("its address is none");
  const { hostname, port, protocol } = new URL(baseUrl);
  const socket = connectSocket(Number(port || (protocol === "https:" ? 443 : 80)), hostname.replace(/^\[|\]$/g, ""));
  return new Promise((resolve) => {
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(reachLimitMs, () => end(`no answer within ${reachLimitMs / 1000} s`));
    socket.once("connect", () => end(null));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "it failed"));
  });
}

/** Their addresses may be as good as passwords: names and states only. */
export async function lookAtChannels(client: TuttiClient): Promise<ChannelSeen[]> {
  const { items } = await client.query("channel.list", { limit: 50 });
  return items.map(({ name, enabled, message }) => ({ name, enabled, message }));
}

export async function lookAtNetwork(): Promise<NetworkFacts> {
  return { loopback: await problemWithPort(0), proxies: readTerminal().proxies };
}

export async function lookAtPorts(config: Config, url: string | null): Promise<PortFacts> {
  const own = url === null ? null : Number(new URL(url).port);
  const taken = own === null && (await problemWithPort(config.port ?? 7420)) !== null;
  return { wanted: config.port, own, taken };
}

/** Why nobody can listen there on 127.0.0.1; null when one can. */
function problemWithPort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

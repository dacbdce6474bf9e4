import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { entries } from "../../src/commands.ts";
import { makeClient } from "../../src/entry/client.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { readFinal } from "./evidence.ts";
import { recordPostgres, recordSqlite } from "./history.ts";
import type { Target } from "./nemesis.ts";
import { makeNode, type Node } from "./node.ts";

/** Servers with networks around them that can be broken, work for them, and triggers that record what becomes of it. */
export interface World {
  folder: string;
  /** Servers. */
  nodes: Node[];
  /** Runners as processes of their own, each beside the server of the same place in the list. */
  runners: Node[];
  /** Between clients and servers, between servers and PostgreSQL, and between runners and servers. */
  fronts: FaultProxy[];
  backs: FaultProxy[];
  sides: FaultProxy[];
}

export type RunnerKind = "own" | "separate";

export const emptyWorld = (folder: string): World => ({ folder, nodes: [], runners: [], fronts: [], backs: [], sides: [] });

interface OpenOptions {
  /** undefined: SQLite. */
  databaseUrl: string | undefined;
  canMoveClock: boolean;
  runner: RunnerKind;
}

/** SQLite belongs to one server; PostgreSQL is used by two, each through a network of its own and with a home of its own. */
export async function openWorld(world: World, { databaseUrl, canMoveClock, runner }: OpenOptions): Promise<void> {
  for (const name of databaseUrl === undefined ? ["one"] : ["one", "two"]) {
    const port = await freePort();
    const home = join(world.folder, `home-${name}`);
    world.fronts.push(await startFaultProxy({ to: { host: "127.0.0.1", port } }));
    const url = databaseUrl && (await behindProxy(world, databaseUrl));
    const env: Record<string, string> = runner === "own" ? {} : { TUTTI_RUNNER: "none" };
    const node = makeNode({ name, home, port, databaseUrl: url, canMoveClock, env });
    world.nodes.push(node);
    await node.start();
    if (runner === "own") continue;
    const side = await startFaultProxy({ to: { host: "127.0.0.1", port } });
    world.sides.push(side);
    const beside = makeNode({
      name: `${name} runner`,
      home,
      port,
      databaseUrl: undefined,
      canMoveClock,
      runnerOf: `http://127.0.0.1:${side.port}`,
    });
    world.runners.push(beside);
    await beside.start();
  }
}

async function behindProxy(world: World, databaseUrl: string): Promise<string> {
  const url = new URL(databaseUrl);
  const back = await startFaultProxy({ to: { host: "127.0.0.1", port: Number(url.port) } });
  world.backs.push(back);
  url.port = String(back.port);
  return url.href;
}

/** Everything ends at once. */
export async function closeWorld({ nodes, runners, fronts, backs, sides }: World): Promise<void> {
  for (const node of [...runners, ...nodes]) node.end();
  for (const proxy of [...fronts, ...backs, ...sides]) await proxy.close();
}

export const targetsOf = ({ nodes, runners, fronts, backs, sides }: World): Target[] =>
  nodes.map((node, index) => {
    const front = fronts[index];
    if (!front) throw new Error(`${node.name} has no network to its clients`);
    return { node, front, back: backs[index] ?? null, runner: runners[index] ?? null, side: sides[index] ?? null };
  });

export const agentName = "worker";

/** Projects of these names (see `plainPrefix`), each with a repository of one commit, and one agent that takes any of their work. Answers their ids. */
export async function prepare(
  { folder, nodes }: Pick<World, "folder" | "nodes">,
  program: string,
  names: readonly string[],
): Promise<string[]> {
  const [node] = nodes;
  if (!node) throw new Error("there is no server");
  const client = makeClient({ url: node.url, token: node.token(), entries });
  const settings = { command: [program], permissions: "auto" as const, credentials: "none" as const, env: {} };
  await client.command("agent.create", { name: agentName, backend: "command", limit: 40, settings });
  const ids: string[] = [];
  for (const name of names) {
    const source = makeRepository(join(folder, name.replaceAll(" ", "-")));
    const { id } = await client.command("project.create", {
      folder: source,
      name,
      settings: { sandbox: "none", setup: null, deliver: "local", limit: 12 },
    });
    ids.push(id);
  }
  return ids;
}

function makeRepository(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const identity = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.org"];
  const git = (...args: string[]): void => void execFileSync("git", [...identity, "-C", folder, ...args], { stdio: "ignore" });
  git("init", "-q", "-b", "main");
  writeFileSync(join(folder, "note.txt"), "a note\n");
  git("add", "-A");
  git("commit", "-q", "-m", "first");
  return folder;
}

/** A SQLite file belongs to its server, which therefore rests while the triggers are made. */
export async function recordHistory({ nodes }: Pick<World, "nodes">, databaseUrl: string | undefined): Promise<void> {
  const [node] = nodes;
  if (databaseUrl !== undefined) return await recordPostgres(databaseUrl);
  if (!node) throw new Error("there is no server");
  await node.stop();
  recordSqlite(join(node.home, "tutti.db"));
  await node.start();
}

/** Waits until nothing is left to do, or nothing goes on any more; answers how it all ended. */
export async function finish(
  { nodes }: Pick<World, "nodes">,
  watch: { stuck(): number },
  limitMs: number,
): Promise<Awaited<ReturnType<typeof readFinal>>> {
  const [node] = nodes;
  if (!node) throw new Error("there is no server");
  const client = makeClient({ url: node.url, token: node.token(), entries });
  const limit = performance.now() + limitMs;
  const before = watch.stuck();
  while (performance.now() < limit && watch.stuck() < before + 2) {
    try {
      const open = await client.query("task.list", { limit: 1, state: "queued,starting,running,needs you,paused" });
      const runs = (await client.query("run.list", { limit: 500 })).items;
      if (open.items.length === 0 && runs.every(({ state }) => state === "done" || state === "failed" || state === "cancelled")) break;
    } catch (error) {
      if (performance.now() > limit) throw error;
    }
    await pause(200);
  }
  await node.start();
  return await readFinal(client);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

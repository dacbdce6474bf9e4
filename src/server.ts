import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino, { type Logger } from "pino";
import { actorOf } from "./access/authenticate.ts";
import { ensurePersonToken } from "./access/grant.ts";
import { Link } from "./access/link.ts";
import type { Agent } from "./agents/agent.ts";
import type { AgentBackend } from "./agents/backend.ts";
import { acpBackend } from "./agents/backends/acp.ts";
import { commandBackend } from "./agents/backends/command.ts";
import { modelBackend } from "./agents/backends/model.ts";
import { ensureAgents } from "./agents/ensure.ts";
import { defaultAgents } from "./agents/defaults.ts";
import { findAgent } from "./agents/store.ts";
import { makeDetect } from "./agents/probe.ts";
import { openArtifacts } from "./artifacts/files.ts";
import { entries } from "./commands.ts";
import type { Config } from "./config.ts";
import { lockHome } from "./db/lock.ts";
import { openDb } from "./db/open.ts";
import { sql, type Db } from "./db/plan.ts";
import { serveHttp } from "./entry/http.ts";
import { openPages } from "./entry/http/pages.ts";
import { makeMcp } from "./entry/mcp.ts";
import { openApiText } from "./entry/openapi.ts";
import { readServerFile, removeServerFile, writeServerFile } from "./entry/server-file.ts";
import { AppError } from "./errors.ts";
import { makeBus } from "./events/bus.ts";
import { startBroker } from "./models/broker.ts";
import { discoverModels, usualPlaces } from "./models/discover.ts";
import { allProviders, environmentProviders, targetsOf, withoutKey } from "./models/find.ts";
import type { Target } from "./models/provider.ts";
import { startNotifier } from "./notifications/notifier.ts";
import { makeOutbound } from "./notifications/outbound.ts";
import { startOrchestrators } from "./orchestrators/orchestrators.ts";
import { receive } from "./orchestrators/receive.ts";
import { openProcesses } from "./processes/open.ts";
import { findProgram, readableFor } from "./processes/program.ts";
import { execute, makeRegistry } from "./registry.ts";
import { keepRunnerLease } from "./runners/lease.ts";
import { makeLocalLink } from "./runners/link.ts";
import { startRunner } from "./runners/runner.ts";
import { writeSecretFile } from "./secret-file.ts";
import type { Services } from "./services.ts";
import { version } from "./version.ts";
import { openWorkspaces } from "./workspaces/open.ts";
import { makeSampleRepository } from "./workspaces/sample.ts";

/** A running server: everything wired in start order. */
export interface Server {
  url: string;
  token: string;
  home: string;
  /** A fresh one-time link to the dashboard. */
  link(): Promise<string>;
  /** Makes the tour's sample repository when it is not there yet; answers its folder. */
  sample(): Promise<string>;
  /** Drains: nothing new is begun, what runs is interrupted and goes on at the next start. Harmless twice. */
  stop(): Promise<void>;
}

/**
 * Starts a server on this home. Throws AppError already_running naming the holder when another one has the home, and
 * whatever its parts throw; then nothing of it is left.
 */
export async function startServer(config: Config): Promise<Server> {
  const started: (() => Promise<void> | void)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of started.splice(0).toReversed()) await stop();
  };
  try {
    return await wire(config, started, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function wire(config: Config, started: (() => Promise<void> | void)[], stopAll: () => Promise<void>): Promise<Server> {
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  // Without links in it: the sandbox hides and shows places by their real names.
  const home = await realpath(config.home);
  const lock = await holdHome(home);
  started.push(() => lock.release());
  const log = openLog(config);
  const instance = await homeId(home);
  const clock = { now: () => Date.now() };

  const db = await openDb({ home, databaseUrl: config.databaseUrl, crashAt: config.crashAt });
  started.push(() => db.close());
  const bus = makeBus();
  started.push(db.onCommit((news) => bus.wake(news)));

  const processes = await openProcesses({ tuttiHome: home, instance, force: config.processes, path: config.path });
  started.push(() => processes.close());
  await processes.sweep("all");
  const workspaces = await openWorkspaces({
    home,
    path: config.path,
    sandbox: processes.abilities.kind === "bubblewrap" ? "bubblewrap" : "none",
    now: clock.now,
    personHome: config.userHome,
  });
  const artifacts = await openArtifacts(home);
  const sources = { read: db.read, home, environment: environmentProviders(config) };
  const providers = async (): Promise<string[]> => (await allProviders(sources)).map(({ name }) => name);
  const backends = new Map<string, AgentBackend>([acpBackend, commandBackend, modelBackend].map((backend) => [backend.kind, backend]));
  const detect = makeDetect({ path: config.path, home: config.userHome, providers, backends });
  const outbound = makeOutbound({ allow: config.notifyAllow });
  const services: Services = {
    db,
    clock,
    bus,
    artifacts,
    workspaces,
    processes,
    detect,
    environmentProviders: sources.environment,
    outbound,
    version,
    home,
  };

  const token = await ensurePersonToken(db, { home, now: clock.now() });
  await ensureAgents(services, defaultAgents(sources.environment));

  const modelsOf = (agent: Agent): Promise<Target[]> => targetsOf(sources, agent.settings);
  const broker = await startBroker({ resolve: async (text) => await modelsOfToken(db, text, modelsOf), log });
  started.push(() => broker.close());

  const registry = makeRegistry(entries);
  const mcp = makeMcp({ registry, services, log });
  const http = await serveHttp({
    registry,
    services,
    mounts: [mcp],
    description: openApiText(registry, version),
    host: "127.0.0.1",
    port: config.port,
    hosts: config.hosts,
    pages: openPages(config.dashboard ?? dashboardFolder),
    log,
  });
  started.push(() => http.close());
  // Before the door: it waits for what is open, and a subscription stays open by itself.
  started.push(() => mcp.close());
  for (const { url } of [http, broker]) outbound.serve(url);

  const lease = await keepRunnerLease(db, `runner-${instance}`, randomUUID());
  started.push(() => lease.stop());
  const link = makeLocalLink();
  const runner = startRunner({
    link: link.runner,
    lease,
    log,
    tools: {
      workspaces,
      processes,
      backends,
      home,
      personHome: config.userHome,
      environment: config.environment,
      readable: toolFolders(config.path),
      now: clock.now,
    },
  });
  const orchestrators = startOrchestrators({
    db,
    bus,
    log,
    holder: instance,
    runner: { id: lease.runner, epoch: lease.epoch },
    url: http.url,
    brokerOf: async (agent) => {
      const [first, ...others] = (await modelsOf(agent)).map(withoutKey);
      return first ? { url: broker.url, ...first, fallbacks: others } : null;
    },
    now: clock.now,
    send: (message) => link.server.send(message),
    sweep: async (sessions) => void (await processes.sweep(sessions)),
  });
  link.server.receive((message) =>
    receive(
      { db, bus, artifacts, now: clock.now, onPermission: (approval, asked) => orchestrators.expectAnswer(approval, asked) },
      message,
    ),
  );
  started.push(() => runner.stop());
  started.push(() => orchestrators.stop());
  await orchestrators.tick();
  const notifier = startNotifier({ db, bus, outbound, home, now: clock.now, log });
  started.push(() => notifier.stop());

  await writeServerFile(home, { url: http.url, token, pid: process.pid, version });
  started.push(() => removeServerFile(home, process.pid));
  log.info({ url: http.url, store: db.kind, processes: processes.abilities }, "ready");
  // Nothing waits for it and nothing is added: what was found is told, and `tutti provider discover` looks again.
  void discoverModels(usualPlaces).then((found) => found.length > 0 && log.info({ found }, "there are model servers on this machine"));
  return {
    url: http.url,
    token,
    home,
    async link() {
      const actor = await actorOf(db.read, token);
      if (!actor) throw new AppError("unauthenticated", "the home's own token was revoked", { fix: ["tutti down", "npm start"] });
      const { path } = Link.parse(await execute(registry, { actor, services }, "link.create", {}, null));
      return http.url + path;
    },
    sample: () => makeSampleRepository({ from: examplesFolder, to: join(home, "sample"), path: config.path }),
    stop: stopAll,
  };
}

const dashboardFolder = fileURLToPath(new URL("../dashboard/dist", import.meta.url));
const examplesFolder = fileURLToPath(new URL("../examples/sample", import.meta.url));

/** One server for one home, for as long as the process lives. */
async function holdHome(home: string): Promise<{ release(): void }> {
  try {
    return lockHome(home);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "already_running") throw error;
    const holder = await readServerFile(home);
    throw new AppError("already_running", `another Tutti server has ${home}`, {
      why: holder ? `it is process ${holder.pid} at ${holder.url}` : "it is starting or stopping just now",
      fix: holder ? [`open ${holder.url}`, "tutti down", "TUTTI_HOME=<another folder> npm start"] : ["try again in a moment"],
      cause: error,
    });
  }
}

/** The home's own id, made once: it marks this home's processes and holds its leases from start to start. */
async function homeId(home: string): Promise<string> {
  const path = join(home, "id");
  if (existsSync(path)) {
    const kept = (await readFile(path, "utf8")).trim();
    if (/^[a-z0-9-]{8,64}$/.test(kept)) return kept;
  }
  const made = randomUUID();
  await writeSecretFile(path, `${made}\n`);
  return made;
}

function openLog(config: Config): Logger {
  return pino({ level: config.logLevel }, pino.destination({ dest: join(config.home, "log", "server.log"), mkdir: true, sync: false }));
}

/** The folders of the usual tools where they lie in somebody's home (a Node from a version manager), so that agents can use them. */
const toolFolders = (path: string): string[] => [
  ...new Set(
    ["node", "npm", "git", "python3"].flatMap((name) => {
      const program = findProgram(name, path);
      return program ? readableFor(program) : [];
    }),
  ),
];

/** The models behind an agent's session token: what the broker may call for it. */
async function modelsOfToken(db: Db, text: string, modelsOf: (agent: Agent) => Promise<Target[]>): Promise<Target[]> {
  const actor = await actorOf(db.read, text);
  if (actor?.kind !== "agent") return [];
  const row = await db.read.one<{ agent: string }>(sql`select agent from sessions where id = ${actor.session}`);
  const agent = row && (await findAgent(db.read, row.agent));
  return agent ? await modelsOf(agent) : [];
}

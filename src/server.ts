import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino, { type Logger } from "pino";
import { actorOf } from "./access/authenticate.ts";
import { ensurePersonToken } from "./access/grant.ts";
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
import { readServerFile, removeServerFile, writeServerFile } from "./entry/server-file.ts";
import { AppError } from "./errors.ts";
import { makeBus } from "./events/bus.ts";
import { startBroker } from "./models/broker.ts";
import { findProvider, listProviderNames } from "./models/store.ts";
import { startOrchestrators } from "./orchestrators/orchestrators.ts";
import { receive } from "./orchestrators/receive.ts";
import { openProcesses } from "./processes/open.ts";
import { findProgram, readableFor } from "./processes/program.ts";
import { makeRegistry } from "./registry.ts";
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
  const environmentProvider = config.openai ? { name: "openai", ...config.openai } : null;
  const providers = async (): Promise<string[]> => [
    ...(environmentProvider ? [environmentProvider.name] : []),
    ...(await listProviderNames(db.read)),
  ];
  const backends = new Map<string, AgentBackend>([acpBackend, commandBackend, modelBackend].map((backend) => [backend.kind, backend]));
  const detect = makeDetect({ path: config.path, home: config.userHome, providers, backends });
  const services: Services = { db, clock, bus, artifacts, workspaces, processes, detect, version, home };

  const token = await ensurePersonToken(db, { home, now: clock.now() });
  await ensureAgents(services, defaultAgents(environmentProvider?.name ?? null));

  const providerOf = async (agent: Agent): Promise<{ baseUrl: string; key: string | null; model: string } | null> => {
    const name = agent.settings.provider;
    if (!name || name === "demo") return null;
    const found = environmentProvider?.name === name ? environmentProvider : await findProvider(db.read, home, name);
    return found && { baseUrl: found.baseUrl, key: found.key, model: agent.settings.model ?? found.model };
  };
  const broker = await startBroker({ resolve: async (text) => await providerOfToken(db, text, providerOf), log });
  started.push(() => broker.close());

  const registry = makeRegistry(entries);
  const http = await serveHttp({ registry, services, host: "127.0.0.1", port: config.port, hosts: config.hosts, log });
  started.push(() => http.close());

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
      const provider = await providerOf(agent);
      return provider && { url: broker.url, model: provider.model };
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

  await writeServerFile(home, { url: http.url, token, pid: process.pid, version });
  started.push(() => removeServerFile(home, process.pid));
  log.info({ url: http.url, store: db.kind, processes: processes.abilities }, "ready");
  return {
    url: http.url,
    token,
    home,
    sample: () => makeSampleRepository({ from: examplesFolder, to: join(home, "sample"), path: config.path }),
    stop: stopAll,
  };
}

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

/** The provider behind an agent's session token: what the broker may call for it. */
async function providerOfToken<Provider>(
  db: Db,
  text: string,
  providerOf: (agent: Agent) => Promise<Provider | null>,
): Promise<Provider | null> {
  const actor = await actorOf(db.read, text);
  if (actor?.kind !== "agent") return null;
  const row = await db.read.one<{ agent: string }>(sql`select agent from sessions where id = ${actor.session}`);
  const agent = row && (await findAgent(db.read, row.agent));
  return agent ? await providerOf(agent) : null;
}

import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pino, { type Logger } from "pino";
import { actorOf } from "./access/authenticate.ts";
import { ensurePersonToken } from "./access/grant.ts";
import { Link } from "./access/link.ts";
import { ensureRunnerToken } from "./access/runner-token.ts";
import type { Agent } from "./agents/agent.ts";
import { ensureAgents } from "./agents/ensure.ts";
import { rememberAgents } from "./agents/remember.ts";
import { defaultAgents } from "./agents/defaults.ts";
import { findAgent } from "./agents/store.ts";
import { makeDetect } from "./agents/probe.ts";
import { startCollector } from "./artifacts/collect.ts";
import { openArtifacts } from "./artifacts/open.ts";
import { makeProviderCalls } from "./breakers/calls.ts";
import { entries } from "./commands.ts";
import type { Config } from "./config.ts";
import { lockHome } from "./db/lock.ts";
import { openDb } from "./db/open.ts";
import { watchSpace } from "./db/space.ts";
import { sql, type Db } from "./db/plan.ts";
import { serveHttp } from "./entry/http.ts";
import { openPages } from "./entry/http/pages.ts";
import { makeMcp } from "./entry/mcp.ts";
import { openApiText } from "./entry/openapi.ts";
import { makeRunnerDoor } from "./entry/runner.ts";
import { readServerFile, removeServerFile, writeServerFile } from "./entry/server-file.ts";
import { AppError } from "./errors.ts";
import { makeBus } from "./events/bus.ts";
import { startBroker, type Broker, type BrokerOptions } from "./models/broker.ts";
import { discoverModels, usualPlaces } from "./models/discover.ts";
import { allProviders, environmentProviders, targetsOf, withoutKey } from "./models/find.ts";
import type { Target } from "./models/provider.ts";
import { startNotifier } from "./notifications/notifier.ts";
import { makeOutbound } from "./notifications/outbound.ts";
import { startOrchestrators } from "./orchestrators/orchestrators.ts";
import { receiveOnce } from "./orchestrators/receive-once.ts";
import { sweepProcesses } from "./processes/sweep.ts";
import { openLogFile } from "./log-file.ts";
import { execute, makeRegistry } from "./registry.ts";
import { makeConnections } from "./runners/connections.ts";
import { keepRunnerLease } from "./runners/lease.ts";
import { makeLocalLink } from "./runners/link.ts";
import type { FromRunner } from "./runners/message.ts";
import { homeId, openMachine, runnerOf } from "./runners/open.ts";
import { keepOwnRunner } from "./runners/own.ts";
import { startRunner } from "./runners/runner.ts";
import { readIfThere, writeSecretFile } from "./secret-file.ts";
import type { Services } from "./services.ts";
import { version } from "./version.ts";
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

  const space = watchSpace({
    folder: home,
    onChange: (mayStart, seen) =>
      log.warn(seen, mayStart ? "there is room on the disk: work is started again" : "the disk is nearly full: nothing new is started"),
  });
  await space.look();
  started.push(() => space.stop());
  const db = await openDb({
    home,
    databaseUrl: config.databaseUrl,
    crashAt: config.crashAt,
    tell: (note) => log.warn(note),
    onFull: () => space.refused(),
  });
  started.push(() => db.close());
  const bus = makeBus();
  started.push(db.onCommit((news) => bus.wake(news)));

  const ownRunner = config.runner === "own" ? holdRunner(home) : null;
  if (ownRunner) started.push(() => ownRunner.release());
  // Processes of a runner that outlives this server are not this server's to end: it marks its own in another way.
  const machine = await openMachine({ ...config, home, instance: ownRunner ? instance : `${instance}-server`, now: clock.now });
  const { processes, workspaces, backends } = machine;
  started.push(() => processes.close());
  const artifacts = await openArtifacts({ home, databaseUrl: config.databaseUrl });
  started.push(() => artifacts.close());
  const sources = { read: db.read, home, environment: environmentProviders(config) };
  const providers = async (): Promise<string[]> => (await allProviders(sources)).map(({ name }) => name);
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
    databaseUrl: config.databaseUrl,
  };

  const token = await ensurePersonToken(db, { home, now: clock.now() });
  const runnerId = runnerOf(instance);
  await ensureRunnerToken(db, { home, runner: runnerId, now: clock.now() });
  await ensureAgents(services, defaultAgents(sources.environment));

  const modelsOf = (agent: Agent): Promise<Target[]> => targetsOf(sources, agent.settings);
  const broker = await startBrokerAgain(home, {
    resolve: async (text) => await modelsOfToken(db, text, modelsOf),
    breakers: makeProviderCalls({ db, now: clock.now }),
    log,
  });
  started.push(() => broker.close());

  const registry = makeRegistry(entries);
  const mcp = makeMcp({ registry, services, log });
  const connections = makeConnections();
  const take = (message: FromRunner): Promise<boolean> => receiveOnce({ db, bus, artifacts, now: clock.now }, message);
  const runnerDoor = makeRunnerDoor({ db, artifacts, connections, url: () => http.url, receive: take, log });
  const http = await serveHttp({
    registry,
    services,
    mounts: [mcp, runnerDoor],
    description: openApiText(registry, version),
    host: "127.0.0.1",
    port: config.port,
    hosts: config.hosts,
    limits: config.limits,
    pages: openPages(config.dashboard ?? dashboardFolder),
    log,
  });
  started.push(() => http.close());
  // Before the door: it waits for what is open, and a subscription stays open by itself.
  started.push(() => mcp.close());
  started.push(() => runnerDoor.close());
  for (const { url } of [http, broker]) outbound.serve(url);

  if (ownRunner) {
    const own = await keepOwnRunner(async () => {
      const lease = await keepRunnerLease(db, runnerId, randomUUID(), { home: instance, capacity: config.capacity });
      const link = makeLocalLink();
      link.server.receive(take);
      const runner = startRunner({ link: link.runner, lease, log, tools: machine.tools(artifacts) });
      const send = link.server.send;
      return { lease, runner, leave: connections.add({ runner: runnerId, epoch: lease.epoch, send, close: () => {} }) };
    }, log);
    started.push(() => own.stop());
  }
  const agents = rememberAgents(db.read, bus);
  started.push(() => agents.stop());
  const orchestrators = startOrchestrators({
    db,
    bus,
    log,
    holder: instance,
    connections,
    ownRunner: runnerId,
    agents: agents.agents,
    sharesWork: db.kind === "postgres",
    holdsBack: () => (space.mayStart() ? null : { reason: "disk full", why: "the server's disk is nearly full: nothing new is started" }),
    url: http.url,
    brokerOf: async (agent) => {
      const [first, ...others] = (await modelsOf(agent)).map(withoutKey);
      return first ? { url: broker.url, ...first, fallbacks: others } : null;
    },
    now: clock.now,
    sweep: async (sessions) => void (await sweepProcesses(instance, sessions)),
  });
  started.push(() => orchestrators.stop());
  await orchestrators.tick();
  const collector = startCollector({ db, artifacts, log });
  started.push(() => collector.stop());
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

/** A home has one runner: null when a process of its own is it. */
function holdRunner(home: string): { release(): void } | null {
  try {
    const lock = lockHome(home, "runner");
    // Whoever wants to stop a runner process finds that there is none.
    rmSync(join(home, "runner.pid"), { force: true });
    return lock;
  } catch (error) {
    if (error instanceof AppError && error.code === "already_running") return null;
    throw error;
  }
}

/**
 * The broker at the port that it had before, if that is free: an agent that outlives the server (its runner is a process of its own)
 * goes on asking there.
 */
async function startBrokerAgain(home: string, options: BrokerOptions): Promise<Broker> {
  const path = join(home, "broker-port");
  const port = Number((await readIfThere(path)) ?? 0);
  const broker = await startBroker({ ...options, port: Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0 }).catch(
    async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
      return await startBroker(options);
    },
  );
  await writeSecretFile(path, `${new URL(broker.url).port}\n`);
  return broker;
}

function openLog(config: Config): Logger {
  return pino({ level: config.logLevel }, openLogFile(join(config.home, "log", "server.log")));
}

/** The models behind an agent's session token: what the broker may call for it. */
async function modelsOfToken(db: Db, text: string, modelsOf: (agent: Agent) => Promise<Target[]>): Promise<Target[]> {
  const actor = await actorOf(db.read, text);
  if (actor?.kind !== "agent") return [];
  const row = await db.read.one<{ agent: string }>(sql`select agent from sessions where id = ${actor.session}`);
  const agent = row && (await findAgent(db.read, row.agent));
  return agent ? await modelsOf(agent) : [];
}

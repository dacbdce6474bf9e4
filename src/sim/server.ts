import type { Logger } from "pino";
import { answerApproval } from "../approvals/commands.ts";
import type { Agent } from "../agents/agent.ts";
import type { Db } from "../db/plan.ts";
import { makeBus } from "../events/bus.ts";
import { createRun, retryRun, stopRun } from "../flows/commands.ts";
import { startOrchestrators, type Orchestrators } from "../orchestrators/orchestrators.ts";
import { deliverAnswers } from "../orchestrators/remind.ts";
import { receiveOnce } from "../orchestrators/receive-once.ts";
import { execute, makeRegistry, type Actor } from "../registry.ts";
import { makeConnections, type Connections } from "../runners/connections.ts";
import type { FromRunner } from "../runners/message.ts";
import { findLife, renewRunnerLease, takeRunnerLease } from "../runners/store.ts";
import type { Services } from "../services.ts";
import { createTask, replyToTask, retryTask, stopAll, stopTask } from "../tasks/commands.ts";
import { startOfTime, type Client, type Network } from "./network.ts";
import type { Schedule } from "./schedule.ts";

/** One life of a server: the product's own orchestrators, registry and receiving, on the simulated store. */
export interface SimServer extends Client {
  /** The home's own id: the same in each life. */
  home: string;
  db: Db;
  connections: Connections;
  call(name: string, input: unknown, key: string | null): Promise<unknown>;
  take(message: FromRunner): Promise<boolean>;
  takeLease(runner: string, life: string, isVoid: () => boolean): Promise<number>;
  renewLease(runner: string, epoch: number): Promise<boolean>;
  crash(): void;
}

const registry = makeRegistry([createTask, stopTask, retryTask, replyToTask, stopAll, createRun, stopRun, retryRun, answerApproval]);
const person: Actor = { kind: "person", token: "token-of-ann", name: "ann", session: null, scopes: null };

export interface ServerOptions {
  home: string;
  life: number;
  skewMs: number;
  network: Network;
  schedule: Schedule;
  agents(): Promise<Agent[]>;
  /** What the product logs as an error. */
  failed(error: unknown): void;
}

export function startSimServer({ home, life, skewMs, network, schedule, agents, failed }: ServerOptions): SimServer {
  const name = `${home}/${life}`;
  const client: Client = {
    alive: true,
    paused: false,
    late: [],
    name,
    held: [],
    listeners: new Set(),
    skewMs,
    waiting: 0,
    pause(ms) {
      if (client.paused) return;
      client.paused = true;
      schedule.after(ms, "resume", resume);
    },
  };
  function resume(): void {
    client.paused = false;
    if (!client.alive) return;
    for (const run of client.late.splice(0)) run();
    for (const run of client.held.splice(0)) run();
  }

  const db = network.dbOf(client, { server: name, message: null });
  const bus = makeBus();
  db.onCommit((wake) => bus.wake(wake));
  const connections = makeConnections();
  const clock = { now: () => startOfTime + Math.floor(schedule.now()) + skewMs };
  const services = {
    db,
    clock,
    bus,
    workspaces: { refresh: async () => ({ head: "c0" }) },
    version: "0.0.0-sim",
    home,
  } as unknown as Services;
  const log = { error: ({ err }: { err: unknown }) => failed(err), warn: () => {}, info: () => {} } as unknown as Logger;
  const orchestrators: Orchestrators = schedule.as(client, () =>
    startOrchestrators({
      db,
      bus,
      log,
      connections,
      holder: home,
      ownRunner: null,
      url: "http://127.0.0.1:1",
      brokerOf: async () => null,
      now: clock.now,
      agents,
      sweep: async () => {},
    }),
  );
  // As the real server wires it: what people answered is told when something was said of it, or somebody connects.
  const tellAnswers = (): void => connections.all().forEach((connection) => void deliverAnswers(db.read, connection).catch(failed));
  connections.onConnect(tellAnswers);
  bus.onWake(({ events }) => {
    if (events.length === 0 || events.some(({ type }) => type.startsWith("approval."))) tellAnswers();
  });
  void orchestrators.tick();

  return Object.assign(client, {
    home,
    db,
    connections,
    call: (command: string, input: unknown, key: string | null) => execute(registry, { actor: person, services }, command, input, key),
    take: (message: FromRunner) => {
      const { task, attempt, runner, runnerEpoch, kind } = message;
      const tagged = network.dbOf(client, { server: name, message: { task, attempt, runner, runnerEpoch, kind } });
      return receiveOnce({ db: tagged, bus, artifacts: services.artifacts, now: clock.now }, message);
    },
    async takeLease(runner: string, of: string, isVoid: () => boolean) {
      const own = network.dbOf(client, { server: name, message: null, isVoid });
      return (await findLife(own.read, runner, of)) ?? (await takeRunnerLease(own, { runner, life: of, home: runner, capacity: null }));
    },
    renewLease: (runner: string, epoch: number) => renewRunnerLease(db, { runner, epoch }, { draining: false }),
    crash() {
      client.alive = false;
      client.listeners.clear();
    },
  });
}

import { sql } from "../db/plan.ts";
import { toAppError } from "../errors.ts";
import { makeChecker, Violation, type Checker } from "./check.ts";
import { makeFaults, type Faults } from "./faults.ts";
import { makeNetwork, startOfTime, type Network } from "./network.ts";
import { makeRandom, type Random } from "./random.ts";
import { startSimRunner, type SimRunner } from "./runner.ts";
import { makeSchedule, type Schedule } from "./schedule.ts";
import { startSimServer, type SimServer } from "./server.ts";
import { makeStore, type Engine } from "./store.ts";
import { beginRun, behave, isUnclear, makeWorld, tookTooLong, type NewTask, type World } from "./world.ts";

/** One seed: a world, its faults, and what must hold. The same seed always takes the same course. */
export interface Outcome {
  seed: number;
  steps: number;
  bites: number;
  violation: { invariant: string; detail: string } | null;
  virtualMs: number;
}

export interface SimulateOptions {
  engine: Engine;
  /** Beside what the engine's bug changes in the store. */
  planted?: { usesServerClock?: boolean; ignoresLease?: boolean };
  /** What the product is known not to hold yet goes wrong too. */
  isHard?: boolean;
  trace?: ((line: string) => void) | null;
}

/** Everything is over so long after the last fault, ms. */
const healsWithinMs = 1_500_000;

interface Simulation {
  isHard: boolean;
  seed: number;
  world: World;
  schedule: Schedule;
  random: Random;
  faults: Faults;
  network: Network;
  checker: Checker;
  servers: SimServer[];
  runners: SimRunner[];
  /** Requests that wait for an answer. */
  asking: number;
  isCalm: boolean;
  stop(error: unknown): void;
}

export async function simulate(seed: number, { engine, planted = {}, isHard = false, trace = null }: SimulateOptions): Promise<Outcome> {
  const random = makeRandom(seed);
  const faults = makeFaults(random);
  const schedule = makeSchedule(trace ? (at, label) => trace(`${(at / 1000).toFixed(4)} ${label}`) : null);
  const world = makeWorld(random, startOfTime, isHard);
  const store = makeStore(engine);
  const checker = makeChecker(store, { ...world, isHard });
  let broken: unknown = null;
  const stop = (error: unknown): void => void (broken ??= error);
  const guarded = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      stop(error);
    }
  };
  const servers: SimServer[] = [];
  const network = makeNetwork({
    store,
    schedule,
    random,
    faults,
    clients: () => servers,
    usesServerClock: planted.usesServerClock ?? false,
    isHard,
    written: (what) => {
      if (trace)
        for (const { type, task, run, data } of what.events)
          trace(`    ${what.author.server}: ${type} ${task ?? run ?? ""} ${JSON.stringify(data)}`);
      guarded(() => checker.written(what));
    },
  });
  network.write(world.plan);
  const simulation: Simulation = {
    isHard,
    seed,
    world,
    schedule,
    random,
    faults,
    network,
    checker,
    servers,
    runners: [],
    asking: 0,
    isCalm: false,
    stop,
  };
  // As the first event of the run: its timers are virtual from there on.
  schedule.after(0, "begin", () => {
    for (let index = 0; index < world.servers; index += 1) startServer(simulation, `s${index}`, 1, trace);
  });
  for (const { name, home } of world.runners) {
    const runner = startSimRunner({
      name,
      home,
      schedule,
      random,
      faults,
      servers: () => servers,
      behave: (assignment) => behave(seed, simulation.isCalm, assignment),
      begins: (by, epoch, { task, attempt }) => checker.begins(by, epoch, task, attempt),
      ends: (by, epoch, { task, attempt }) => checker.ends(by, epoch, task, attempt),
      effect: (by, epoch, { task, attempt }) => guarded(() => checker.effect(by, epoch, task, attempt, network.now())),
      ignoresLease: planted.ignoresLease ?? false,
      isHard,
      failed: stop,
    });
    simulation.runners.push(runner);
  }
  work(simulation);
  makeTrouble(simulation, trace);
  const deadline = world.calmAt + healsWithinMs;
  await schedule.runUntil(() => {
    if (broken !== null) return true;
    const isDone = simulation.isCalm && simulation.asking === 0 && checker.openTasks + checker.openRuns === 0;
    if (!isDone && schedule.now() > deadline)
      stop(new Violation("liveness", `${checker.openTasks} tasks and ${checker.openRuns} runs are not over: ${checker.open()}`));
    return isDone;
  });
  if (broken === null) guarded(() => checker.finish());
  return {
    seed,
    steps: schedule.steps(),
    bites: faults.bites,
    virtualMs: schedule.now(),
    violation:
      broken === null
        ? null
        : broken instanceof Violation
          ? { invariant: broken.invariant, detail: broken.message }
          : { invariant: "error", detail: broken instanceof Error ? (broken.stack ?? broken.message) : JSON.stringify(broken) },
  };
}

function startServer(simulation: Simulation, home: string, life: number, trace: SimulateOptions["trace"]): void {
  const { schedule, network, faults, random, servers, stop, isHard } = simulation;
  const server = startSimServer({
    home,
    life,
    network,
    schedule,
    agents: async () => simulation.world.agentRows,
    skewMs: faults.isArmed("clock skew") ? random.whole(-1, 1) * random.whole(0, isHard ? 20_000 : 5_000) : 0,
    failed: (error) => {
      if (!isUnclear(error)) stop(error);
      else trace?.(`    ${home}: ${toAppError(error).message}`);
    },
  });
  const before = servers.findIndex((one) => one.home === home);
  if (before >= 0) servers[before] = server;
  else servers.push(server);
}

// ---- what people do

function work(simulation: Simulation): void {
  const { world, schedule } = simulation;
  const made: (string | null)[] = [];
  for (const [index, task] of world.tasks.entries()) {
    simulation.asking += 1;
    schedule.after(task.at, "client", () => void createTask(simulation, task, index, made).finally(() => (simulation.asking -= 1)));
  }
  for (const run of world.runs) {
    simulation.asking += 1;
    schedule.after(run.at, "client", () => void createRun(simulation, run).finally(() => (simulation.asking -= 1)));
  }
  answerQuestions(simulation);
}

async function createTask(simulation: Simulation, task: NewTask, index: number, made: (string | null)[]): Promise<void> {
  const { schedule, random, checker } = simulation;
  const needs = [...new Set(task.needs.flatMap((back) => made[index - back] ?? []))];
  const project = task.input["project"];
  const same = needs.filter((id) => simulation.network.all(sql`select project from tasks where id = ${id}`)[0]?.["project"] === project);
  const created = await request(simulation, "task.create", { ...task.input, needs: same });
  if (!created) return;
  const { id } = created as { id: string };
  made[index] = id;
  checker.accepted(id);
  if (task.stopAt !== null) {
    await schedule.sleep(Math.max(0, task.stopAt - schedule.now()), "client", null);
    await request(simulation, "task.stop", { id });
  }
  if (!task.retries) return;
  await schedule.sleep(random.next() * 8_000, "client", null);
  await request(simulation, "task.retry", { id });
}

async function createRun(simulation: Simulation, run: World["runs"][number]): Promise<void> {
  const { schedule, random, network, servers } = simulation;
  let id: string | null = null;
  for (let tries = 0; id === null && tries < 30; tries += 1) {
    const server = random.pick(servers);
    try {
      id = await within(simulation, beginRun(server.db, { ...run, now: network.now() + server.skewMs }));
    } catch (error) {
      if (!isUnclear(error)) return simulation.stop(error);
      await schedule.sleep(500, "client", null);
      // It may have begun already: then there are two, which is this client's own doing, as it sent no key.
    }
  }
  if (id !== null && random.chance(0.2)) {
    await schedule.sleep(random.next() * 5_000, "client", null);
    await request(simulation, "run.stop", { id });
  }
  if (id === null || !random.chance(0.4)) return;
  await schedule.sleep(random.next() * 8_000, "client", null);
  await request(simulation, "run.retry", { id });
}

/** Answers what is asked, sooner or later; some of it not before it expires. */
function answerQuestions(simulation: Simulation): void {
  const { schedule, random, network } = simulation;
  const asked = new Set<string>();
  const look = (): void => {
    for (const { id, kind } of openApprovals(network)) {
      if (asked.has(id)) continue;
      asked.add(id);
      if (kind === "ask" && random.chance(0.4)) continue;
      simulation.asking += 1;
      const answer = random.chance(0.7) ? "yes" : "no";
      schedule.after(
        random.next() * 3_000,
        "client",
        () => void request(simulation, "approval.answer", { id, answer }).finally(() => (simulation.asking -= 1)),
      );
    }
    schedule.after(1_000, "client", look);
  };
  schedule.after(1_000, "client", look);
}

/** null: refused. Asked again, under the same key, until there is an answer. */
async function request(simulation: Simulation, name: string, input: Record<string, unknown>): Promise<unknown> {
  const { schedule, random, servers, faults } = simulation;
  const key = `${name} ${String(schedule.now())} ${random.next()}`;
  for (let tries = 0; tries < 100; tries += 1) {
    const server = random.pick(servers);
    try {
      const answer = within(simulation, server.call(name, input, key));
      if (faults.happens("message doubled")) {
        faults.bit("message doubled");
        server.call(name, input, key).catch(() => undefined); // Its twin's answer counts.
      }
      return await answer;
    } catch (error) {
      const { code, retryable } = toAppError(error);
      if (code === "internal") simulation.stop(error);
      if (!retryable) return null;
      await schedule.sleep(200 + random.next() * 800, "client", null);
    }
  }
  return null;
}

/** A client waits so long for its answer. */
function within<Answer>({ schedule }: Simulation, answer: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timeout = schedule.after(7_000, "client gives up", () => reject(tookTooLong()));
    answer.then(
      (value) => {
        timeout.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timeout.cancel();
        reject(toAppError(error));
      },
    );
  });
}

// ---- what goes wrong

function makeTrouble(simulation: Simulation, trace: SimulateOptions["trace"]): void {
  const { world, schedule, random, faults, servers, runners, network, checker } = simulation;
  const crashServer = (server: SimServer): void => {
    if (!server.alive) return;
    faults.bit("server crash");
    server.crash();
    for (const runner of world.runners) if (runner.home === server.home) runners.find(({ name }) => name === runner.name)?.crash();
    const life = Number(server.name.split("/")[1]) + 1;
    schedule.after(500 + random.next() * 6_000, "server begins", () => startServer(simulation, server.home, life, trace));
  };
  const trouble = (): void => {
    if (simulation.isCalm) return;
    const kind = random.pick(["server crash", "server pause", "runner crash", "runner pause", "store away"] as const);
    if (faults.isArmed(kind)) {
      trace?.(`    fault: ${kind}`);
      switch (kind) {
        case "server crash":
          crashServer(random.pick(servers));
          break;
        case "server pause": {
          const server = random.pick(servers);
          if (server.alive) {
            faults.bit(kind);
            server.pause(random.next() * 25_000);
          }
          break;
        }
        case "runner crash": {
          const runner = random.pick(runners);
          runner.crash();
          checker.died(runner.name);
          break;
        }
        case "runner pause":
          random.pick(runners).pause(random.next() * 25_000);
          break;
        case "store away":
          network.takeAway(random.next() * 5_000);
          break;
      }
    }
    schedule.after(random.next() * 5_000, "trouble", trouble);
  };
  schedule.after(random.next() * 3_000, "trouble", trouble);
  schedule.after(world.calmAt, "calm", () => {
    simulation.isCalm = true;
    faults.end();
    network.takeAway(0);
    stopEndless(simulation);
  });
}

/** Some agents never end by themselves: when all is calm, somebody stops them. */
function stopEndless(simulation: Simulation): void {
  const { schedule, runners } = simulation;
  const look = (): void => {
    for (const id of runners.flatMap((runner) => runner.endless())) void request(simulation, "task.stop", { id });
    schedule.after(5_000, "client", look);
  };
  look();
}

const openApprovals = (network: Network): { id: string; kind: string }[] =>
  network.all(sql`select id, kind from approvals where state = 'open'`) as { id: string; kind: string }[];

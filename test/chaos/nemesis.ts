import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import type { FaultProxy } from "../support/fault-proxy.ts";
import type { Node } from "./node.ts";
import { descendants, isAlive, variableOf } from "./processes.ts";
import type { Random } from "./random.ts";

/**
 * Does harm, in several lanes at once, each chosen by the seed. A fault counts when it bit: the process lived, the connection was open,
 * the backend was there, the bytes were held up. What did not bite is not counted.
 */
export interface Fault {
  kind: Kind;
  /** The server that it hit; null: the database that all of them use. */
  node: string | null;
  /** Wall clock of this machine, ms. */
  at: number;
  /** When whoever was hit could go on. */
  until: number;
}

export const kinds = {
  kill: "kill -9 of a server with all that it runs",
  freeze: "SIGSTOP of a server for less than its lease",
  "long freeze": "SIGSTOP of a server for longer than its lease",
  clock: "the wall clock of one server jumps by an hour",
  "runner kill": "kill -9 of a runner process with all that it runs",
  "runner freeze": "SIGSTOP of a runner process for less than its lease",
  "runner long freeze": "SIGSTOP of a runner process for longer than its lease",
  "runner clock": "the wall clock of one runner process jumps by an hour",
  "side reset": "connections between a runner process and a server are reset",
  "side latency": "latency and jitter between a runner process and a server",
  "side hole": "nothing passes between a runner process and a server, in one direction or both",
  "side unanswered": "what a runner process tells reaches the server, and its answer is lost",
  "agent kill": "kill -9 of an agent's process",
  "front reset": "connections between clients and a server are reset",
  "front latency": "latency and jitter between clients and a server",
  "front hole": "nothing passes between clients and a server, in one direction or both",
  "front unanswered": "a command reaches the server, and its answer is lost",
  "back reset": "connections between a server and PostgreSQL are reset",
  "back latency": "latency and jitter between a server and PostgreSQL",
  "back hole": "nothing passes between a server and PostgreSQL, in one direction or both",
  "back unanswered": "COMMIT reaches PostgreSQL, and its answer is lost",
  "backend writer": "pg_terminate_backend of a server's writing connection",
  "backend reader": "pg_terminate_backend of a server's reading connections",
  "backend listener": "pg_terminate_backend of a server's listening connection",
  "postgres restart": "PostgreSQL ends at once and starts again",
} as const;
export type Kind = keyof typeof kinds;

/** One server and the networks around it. */
export interface Target {
  node: Node;
  front: FaultProxy;
  /** Between it and PostgreSQL. */
  back: FaultProxy | null;
  /** A runner as a process of its own, and what is between it and the server. */
  runner: Node | null;
  side: FaultProxy | null;
}

export interface Nemesis {
  readonly faults: readonly Fault[];
  /** Everything is in order again when it resolves; nothing is harmed any more. */
  stop(): Promise<void>;
}

export interface NemesisOptions {
  random: Random;
  targets: Target[];
  /** null: SQLite. */
  postgres: { url: string; restart(): Promise<void> } | null;
  /** How long a lease holds, ms. */
  leaseMs: number;
  without: ReadonlySet<Kind>;
  /** Requests of clients that are under way: without one, a broken connection breaks nothing. */
  inFlight(): number;
  /** Whether there may be one more now: harm keeps pace with work, however slow the machine is. */
  mayHarm(faults: number): boolean;
  /** Rests between faults are so many times longer. */
  calm: number;
}

interface Choice {
  kind: Kind;
  weight: number;
  node: string | null;
  /** Whether it bit. */
  act(): Promise<boolean>;
}

const hourSeconds = 3_600;

export function startNemesis(options: NemesisOptions): Nemesis {
  const { targets, postgres, without, calm } = options;
  const faults: Fault[] = [];
  const stopping = new AbortController();

  /** So that in a run of any length each kind bites. */
  const rarest = (possible: readonly Choice[]): Choice => {
    const count = new Map([...Map.groupBy(faults, ({ kind }) => kind)].map(([kind, same]) => [kind, same.length]));
    return possible.reduce((least, each) => ((count.get(each.kind) ?? 0) < (count.get(least.kind) ?? 0) ? each : least));
  };

  /** Until there may be harm again, and a killed server has come back. */
  async function rest(ms: number, node: Node | null): Promise<void> {
    const { signal } = stopping;
    const isTooEarly = (): boolean => !options.mayHarm(faults.length) || (node !== null && !node.isUp());
    while (!signal.aborted && isTooEarly()) await pause(20);
    await pause(calm * ms, undefined, { signal }).catch(() => undefined);
  }

  async function lane(
    random: Random,
    choices: Choice[],
    between: [least: number, most: number],
    victim: Node | null = null,
  ): Promise<void> {
    const possible = choices
      .filter(({ kind }) => !without.has(kind))
      .flatMap((choice) => Array.from({ length: choice.weight }, () => choice));
    if (possible.length === 0) return;
    while (!stopping.signal.aborted) {
      await rest(random.between(...between), victim);
      if (stopping.signal.aborted) return;
      const { kind, node, act } = random.next() < 0.1 ? rarest(possible) : random.pick(possible);
      const at = Date.now();
      if (await act()) faults.push({ kind, node, at, until: Date.now() });
    }
  }

  // Each start of a process takes seconds of a processor; with two servers and two runners there are four that are killed.
  const begins: [number, number] = postgres ? [2_500, 7_000] : [1_000, 4_000];
  const lanes = targets.flatMap((target) => {
    const of = options.random.fork();
    return [
      lane(of.fork(), processFaults(target.node, "", options, of.fork()), begins, target.node),
      ...(target.runner ? [lane(of.fork(), processFaults(target.runner, "runner ", options, of.fork()), begins, target.runner)] : []),
      ...(target.side ? [lane(of.fork(), sideFaults(target.node, target.side, of.fork()), postgres ? [300, 900] : [20, 200])] : []),
      lane(of.fork(), frontFaults(target, options, of.fork()), postgres ? [100, 500] : [20, 150]),
      lane(of.fork(), agentFaults(target, of.fork()), postgres ? [300, 900] : [100, 400]),
      ...(target.back ? [lane(of.fork(), backFaults(target, target.back, of.fork()), [300, 900])] : []),
    ];
  });
  if (postgres) {
    lanes.push(lane(options.random.fork(), backendFaults(postgres.url), [200, 700]));
    lanes.push(lane(options.random.fork(), [restartOf(postgres)], [20_000, 40_000]));
  }

  return {
    faults,
    async stop() {
      stopping.abort();
      await Promise.all(lanes);
      for (const { node, runner, front, back, side } of targets) {
        node.setClock(0);
        runner?.setClock(0);
        for (const proxy of [front, back, side]) {
          proxy?.resume();
          proxy?.delay(0);
          proxy?.cutAfter(null);
        }
      }
    },
  };
}

function processFaults(node: Node, prefix: "" | "runner ", { leaseMs }: NemesisOptions, random: Random): Choice[] {
  let offset = 0;
  return [
    { kind: `${prefix}kill`, weight: 5, node: node.name, act: async () => node.kill(random.between(0, 400)) },
    { kind: `${prefix}freeze`, weight: 12, node: node.name, act: () => node.freeze(random.between(50, 1_500)) },
    { kind: `${prefix}long freeze`, weight: 1, node: node.name, act: () => node.freeze(leaseMs + random.between(500, 3_000)) },
    {
      kind: `${prefix}clock`,
      weight: 2,
      node: node.name,
      async act() {
        const before = offset;
        offset = random.pick([-hourSeconds, 0, hourSeconds].filter((each) => each !== before));
        node.setClock(offset);
        // The library looks once a second.
        await pause(1_100);
        return node.isUp();
      },
    },
  ];
}

function frontFaults({ node, front }: Target, { inFlight }: NemesisOptions, random: Random): Choice[] {
  return [
    { kind: "front reset", weight: 3, node: node.name, act: async () => inFlight() > 0 && front.cut() > 0 },
    { kind: "front latency", weight: 2, node: node.name, act: () => slowDown(front, random) },
    { kind: "front hole", weight: 2, node: node.name, act: () => swallow(front, random) },
    { kind: "front unanswered", weight: 3, node: node.name, act: () => cutAnswer(front, "POST /api/commands/") },
  ];
}

function backFaults({ node }: Target, back: FaultProxy, random: Random): Choice[] {
  return [
    { kind: "back reset", weight: 3, node: node.name, act: async () => back.cut() > 0 },
    { kind: "back latency", weight: 2, node: node.name, act: () => slowDown(back, random) },
    { kind: "back hole", weight: 2, node: node.name, act: () => swallow(back, random) },
    { kind: "back unanswered", weight: 4, node: node.name, act: () => cutAnswer(back, "commit\0") },
  ];
}

function sideFaults({ name }: Node, side: FaultProxy, random: Random): Choice[] {
  return [
    { kind: "side reset", weight: 3, node: name, act: async () => side.cut() > 0 },
    { kind: "side latency", weight: 2, node: name, act: () => slowDown(side, random) },
    { kind: "side hole", weight: 2, node: name, act: () => swallow(side, random) },
    { kind: "side unanswered", weight: 4, node: name, act: () => cutAnswer(side, "POST /runner/tell") },
  ];
}

/** Bites when something passed meanwhile, and so came late. */
async function slowDown(proxy: FaultProxy, random: Random): Promise<boolean> {
  const before = proxy.passed();
  proxy.delay(random.between(5, 60), random.between(5, 80));
  await pause(random.between(200, 700));
  proxy.delay(0);
  return proxy.passed() > before;
}

/** Bites when there are connections: each of them hears nothing, or is not heard. */
async function swallow(proxy: FaultProxy, random: Random): Promise<boolean> {
  const open = proxy.connections();
  proxy.pause(random.pick(["both", "to server", "to client"]));
  await pause(random.between(100, 1_200));
  // What was held up may still come, or the connection is found dead.
  if (random.next() < 0.5) proxy.cut();
  proxy.resume();
  return open > 0;
}

async function cutAnswer(proxy: FaultProxy, words: string): Promise<boolean> {
  const before = proxy.cutAfterWords();
  proxy.cutAfter(words);
  for (let waited = 0; waited < 500 && proxy.cutAfterWords() === before; waited += 10) await pause(10);
  proxy.cutAfter(null);
  return proxy.cutAfterWords() > before;
}

/** Each session is hit once at most: three failures of its agent would rightly end a task. */
function agentFaults({ node, runner }: Target, random: Random): Choice[] {
  const hit = new Set<string>();
  const act = async (): Promise<boolean> => {
    const server = (runner ?? node).pid();
    const agents =
      server === null ? [] : descendants(server).filter(({ command }) => command.endsWith("agent.sh") && command.startsWith("/bin/sh"));
    if (agents.length === 0) return false;
    const agent = random.pick(agents);
    const session = variableOf(agent.pid, "TUTTI_SESSION");
    if (session === null || hit.has(session) || !isAlive(agent)) return false;
    hit.add(session);
    try {
      return process.kill(agent.pid, "SIGKILL");
    } catch {
      return false; // It has just ended by itself.
    }
  };
  return [{ kind: "agent kill", weight: 1, node: node.name, act }];
}

function backendFaults(url: string): Choice[] {
  const terminate =
    (role: string): Choice["act"] =>
    async () => {
      const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
      client.on("error", () => undefined);
      try {
        await client.connect();
        const { rowCount } = await client.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database() order by random() limit 1",
          [`tutti ${role}`],
        );
        return (rowCount ?? 0) > 0;
      } catch {
        return false; // PostgreSQL is just starting again.
      } finally {
        await client.end().catch(() => undefined);
      }
    };
  return [
    { kind: "backend writer", weight: 3, node: null, act: terminate("writer") },
    { kind: "backend reader", weight: 2, node: null, act: terminate("reader") },
    { kind: "backend listener", weight: 2, node: null, act: terminate("listener") },
  ];
}

const restartOf = (postgres: { restart(): Promise<void> }): Choice => ({
  kind: "postgres restart",
  weight: 1,
  node: null,
  async act() {
    await postgres.restart();
    return true;
  },
});

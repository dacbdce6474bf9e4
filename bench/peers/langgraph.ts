import { join } from "node:path";
import { countEffects, type Peer, type Place } from "../peer.ts";
import { measureRuns, needsOf, result, stepsOfRun } from "../run-shape.ts";

interface Graph {
  addNode(name: string, work: (state: { number: number }) => object): Graph;
  addEdge(from: string | string[], to: string): Graph;
  compile(options: { checkpointer: object }): {
    invoke(input: object, options: object): Promise<unknown>;
  };
}

interface Langgraph {
  StateGraph: new (state: object) => Graph;
  Annotation: (() => object) & { Root(channels: Record<string, object>): object };
  START: string;
  END: string;
}

interface Checkpoints {
  SqliteSaver: new (database: Database) => object;
}

interface Database {
  prepare(text: string): object;
  pragma(text: string): unknown;
  exec(text: string): unknown;
}

export const peer: Peer = {
  name: "langgraph",
  packages: {
    "@langchain/langgraph": "1.7.3",
    "@langchain/langgraph-checkpoint-sqlite": "1.0.4",
    "@langchain/core": "1.4.0",
    "better-sqlite3": "12.11.1",
  },
  servers: [{ kind: "none" }],
  settings: "SqliteSaver with kept statements, a checkpoint after each step (durability async, its default)",
  durability: "SQLite in WAL as its checkpointer opens it (synchronous NORMAL: a power failure may lose the last commits)",
  rows: {
    async runs(place, work) {
      const { StateGraph, Annotation, START, END } = await place.load<Langgraph>("@langchain/langgraph");
      const { SqliteSaver } = await place.load<Checkpoints>("@langchain/langgraph-checkpoint-sqlite");
      const effects = countEffects(work.tasks * stepsOfRun);
      const steps = Array.from({ length: stepsOfRun }, (_, step) => step);
      const channels = Object.fromEntries(steps.map((step) => [`r${step}`, Annotation()]));
      const graph = new StateGraph(Annotation.Root({ number: Annotation(), ...channels }));
      for (const step of steps) {
        graph.addNode(`s${step}`, ({ number }) => {
          effects.effect(number * stepsOfRun + step);
          return { [`r${step}`]: result };
        });
      }
      for (const step of steps) {
        const needs = needsOf(step).map((need) => `s${need}`);
        graph.addEdge(needs.length > 1 ? needs : (needs[0] ?? START), `s${step}`);
      }
      graph.addEdge(`s${stepsOfRun - 1}`, END);
      const flow = graph.compile({ checkpointer: new SqliteSaver(await openDatabase(place)) });
      return measureRuns(work, effects, (number) => flow.invoke({ number }, { configurable: { thread_id: `r${number}` } }));
    },
  },
};

/**
 * Its binding ends the process when Node 24 collects a statement that it prepared ("Assertion failed: (env) != nullptr"), so each text
 * is prepared once. That makes it faster, too.
 */
async function openDatabase(place: Place): Promise<Database> {
  const { default: Sqlite } = await place.load<{ default: new (file: string) => Database }>("better-sqlite3");
  const database = new Sqlite(join(place.folder, "checkpoints.db"));
  const prepare = database.prepare.bind(database);
  const kept = new Map<string, object>();
  database.prepare = (text) => {
    const statement = kept.get(text) ?? prepare(text);
    kept.set(text, statement);
    return statement;
  };
  database.pragma = (text) => database.exec(`pragma ${text}`);
  return database;
}

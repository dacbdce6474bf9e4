import { countEffects, measureLatency, measureMemory, measureQueue, type Peer, type Place } from "../peer.ts";
import { measureRuns, result, stepsOfRun } from "../run-shape.ts";

interface Dbos {
  setConfig(config: object): void;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
  registerWorkflow<Result>(work: (number: number) => Promise<Result>, options: { name: string }): (number: number) => Promise<Result>;
  startWorkflow<Result>(workflow: (number: number) => Promise<Result>): (number: number) => Promise<{ getResult(): Promise<Result> }>;
  runStep<Result>(work: () => Promise<Result>, options: { name: string }): Promise<Result>;
}

async function open(place: Place): Promise<Dbos> {
  const { DBOS } = await place.load<{ DBOS: Dbos }>("@dbos-inc/dbos-sdk");
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: place.url, systemDatabasePoolSize: 20, logLevel: "error", useListenNotify: true });
  return DBOS;
}

export const peer: Peer = {
  name: "dbos",
  packages: { "@dbos-inc/dbos-sdk": "5.3.0" },
  servers: [{ kind: "postgres" }],
  settings: "workflows started directly in the process (not through a polled queue), 20 connections",
  durability: "commit of PostgreSQL",
  rows: {
    async queue(place, work) {
      const dbos = await open(place);
      const effects = countEffects(work.tasks);
      const task = dbos.registerWorkflow(async (number) => effects.effect(number), { name: "task" });
      await dbos.launch();
      const results: Promise<void>[] = [];
      const measured = await measureQueue(work, {
        effects,
        create: async (number) => {
          const handle = await dbos.startWorkflow(task)(number);
          results.push(handle.getResult());
        },
        // Of a workflow of this process the result is there when its row says so.
        settled: async () => void (await Promise.all(results)),
      });
      await dbos.shutdown();
      return measured;
    },
    async memory(place) {
      const dbos = await open(place);
      dbos.registerWorkflow(async () => null, { name: "task" });
      await dbos.launch();
      return measureMemory(place);
    },
    async latency(place, work) {
      const dbos = await open(place);
      let started: (number: number) => void = () => {};
      const task = dbos.registerWorkflow(async (number) => started(number), { name: "task" });
      await dbos.launch();
      const measured = await measureLatency(work, {
        create: (number) => dbos.startWorkflow(task)(number),
        onStart: (listener) => void (started = listener),
      });
      await dbos.shutdown();
      return measured;
    },
    async runs(place, work) {
      const dbos = await open(place);
      const effects = countEffects(work.tasks * stepsOfRun);
      const flow = dbos.registerWorkflow(
        async (number) => {
          const step = (at: number): Promise<string> =>
            dbos.runStep(
              async () => {
                effects.effect(number * stepsOfRun + at);
                return result;
              },
              { name: `s${at}` },
            );
          await step(0);
          await Promise.all([step(1), step(2)]);
          for (let at = 3; at < stepsOfRun; at += 1) await step(at);
        },
        { name: "flow" },
      );
      await dbos.launch();
      const measured = await measureRuns(work, effects, async (number) => (await dbos.startWorkflow(flow)(number)).getResult());
      await dbos.shutdown();
      return measured;
    },
  },
};

import { join } from "node:path";
import { countEffects, type Peer } from "../peer.ts";
import { measureRuns, result, stepsOfRun } from "../run-shape.ts";

interface Flow {
  then(step: object): Flow;
  parallel(steps: object[]): Flow;
  commit(): object;
}

interface Workflows {
  createStep(options: object): object;
  createWorkflow(options: object): Flow;
}

interface Run {
  start(options: { inputData: object }): Promise<{ status: string }>;
}

interface Core {
  Mastra: new (options: object) => { getWorkflow(name: string): { createRun(): Promise<Run> } };
}

interface Schemas {
  z: { object(shape: object): object; number(): object; any(): object };
}

export const peer: Peer = {
  name: "mastra",
  packages: { "@mastra/core": "1.71.0", "@mastra/libsql": "1.23.1", zod: "4.6.7" },
  servers: [{ kind: "none" }],
  settings: "LibSQLStore in a file, a snapshot after each step (its default)",
  durability: "SQLite in WAL as its store opens it",
  rows: {
    async runs(place, work) {
      const { createStep, createWorkflow } = await place.load<Workflows>("@mastra/core/workflows");
      const { Mastra } = await place.load<Core>("@mastra/core");
      const { LibSQLStore } = await place.load<{ LibSQLStore: new (options: object) => { init(): Promise<void> } }>("@mastra/libsql");
      const { z } = await place.load<Schemas>("zod");
      const effects = countEffects(work.tasks * stepsOfRun);
      const steps = Array.from({ length: stepsOfRun }, (_, at) =>
        createStep({
          id: `s${at}`,
          inputSchema: z.any(),
          outputSchema: z.any(),
          execute: async ({ getInitData }: { getInitData(): { number: number } }) => {
            effects.effect(getInitData().number * stepsOfRun + at);
            return { result };
          },
        }),
      );
      const [first = {}, left = {}, right = {}, ...rest] = steps;
      let flow = createWorkflow({ id: "flow", inputSchema: z.object({ number: z.number() }), outputSchema: z.any() })
        .then(first)
        .parallel([left, right]);
      for (const step of rest) flow = flow.then(step);
      const storage = new LibSQLStore({ id: "bench", url: `file:${join(place.folder, "mastra.db")}` });
      await storage.init();
      const mastra = new Mastra({ workflows: { flow: flow.commit() }, storage, logger: false });
      return measureRuns(work, effects, async (number) => {
        const run = await mastra.getWorkflow("flow").createRun();
        const { status } = await run.start({ inputData: { number } });
        if (status !== "success") throw new Error(`a run of Mastra ended as ${status}`);
      });
    },
  },
};

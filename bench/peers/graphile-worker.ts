import { countEffects, measureLatency, measureMemory, measureQueue, until, type Peer, type Place } from "../peer.ts";

interface Pool {
  query(text: string): Promise<{ rows: { left: number }[] }>;
  end(): Promise<void>;
}

interface Graphile {
  run(options: object): Promise<{ stop(): Promise<void> }>;
  makeWorkerUtils(options: object): Promise<{
    addJob(name: string, payload: { number: number }): Promise<unknown>;
    migrate(): Promise<void>;
    release(): Promise<void>;
  }>;
  Logger: new (factory: () => (level: string, message: string) => void) => object;
}

const concurrentJobs = 24;
const quietly = () => (level: string, message: string) => {
  if (level === "error") console.error(message);
};

/** `batches`: the local queue and batched completion that its page on performance recommends; without them a job starts sooner. */
async function open(place: Place, batches: boolean, work: (number: number) => void) {
  const graphile = await place.load<Graphile>("graphile-worker");
  const pg = await place.load<{ default: { Pool: new (options: object) => Pool } }>("pg");
  const pool = new pg.default.Pool({ connectionString: place.url, max: 20 });
  const logger = new graphile.Logger(quietly);
  const utils = await graphile.makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  const batched = { localQueue: { size: 500, refetchDelay: { durationMs: 10 } }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
  const runner = await graphile.run({
    preset: {
      worker: {
        connectionString: place.url,
        concurrentJobs,
        maxPoolSize: concurrentJobs + 2,
        pollInterval: 500,
        logger,
        ...(batches && batched),
      },
    },
    taskList: { task: async (payload: { number: number }) => work(payload.number) },
    crontab: "",
    noHandleSignals: true,
  });
  const isEmpty = async (): Promise<boolean> => {
    const { rows } = await pool.query("select count(*)::int as left from graphile_worker._private_jobs");
    return rows[0]?.left === 0;
  };
  return {
    create: (number: number) => utils.addJob("task", { number }),
    isEmpty,
    async close() {
      await runner.stop();
      await utils.release();
      await pool.end();
    },
  };
}

export const peer: Peer = {
  name: "graphile-worker",
  packages: { "graphile-worker": "0.18.0", pg: "8.23.1" },
  servers: [{ kind: "postgres" }],
  settings: `concurrentJobs ${concurrentJobs}; queue: localQueue of 500 with a refetch delay of 10 ms and batched completion; latency: without these`,
  durability: "commit of PostgreSQL",
  rows: {
    async queue(place, work) {
      const effects = countEffects(work.tasks);
      const opened = await open(place, true, effects.effect);
      const measured = await measureQueue(work, { effects, create: opened.create, settled: () => until(opened.isEmpty) });
      await opened.close();
      return measured;
    },
    async memory(place) {
      await open(place, true, () => {});
      return measureMemory(place);
    },
    async latency(place, work) {
      let started: (number: number) => void = () => {};
      const opened = await open(place, false, (number) => started(number));
      const measured = await measureLatency(work, { create: opened.create, onStart: (listener) => void (started = listener) });
      await opened.close();
      return measured;
    },
  },
};

import { countEffects, measureLatency, measureMemory, measureQueue, type Peer, type Place } from "../peer.ts";
import { measureRuns, result, stepsOfRun } from "../run-shape.ts";

interface Job {
  name: string;
  data: { number: number; step: number };
  getChildrenValues(): Promise<Record<string, string>>;
}

interface Child {
  name: string;
  queueName: string;
  data: Job["data"];
  opts?: object;
  children?: Child[];
}

interface Bullmq {
  Queue: new (
    name: string,
    options: object,
  ) => {
    add(name: string, data: object, options?: object): Promise<unknown>;
    waitUntilReady(): Promise<unknown>;
    getJobCounts(...types: string[]): Promise<Record<string, number>>;
    close(): Promise<void>;
  };
  Worker: new (
    name: string,
    work: (job: Job) => Promise<unknown>,
    options: object,
  ) => {
    on(event: "completed", listener: (job: Job) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  };
  FlowProducer: new (options: object) => { add(flow: Child): Promise<unknown>; close(): Promise<void> };
}

const concurrency = 100;
const complain = (error: Error): void => console.error(error.message);

async function open(place: Place) {
  const bullmq = await place.load<Bullmq>("bullmq");
  const { hostname, port } = new URL(place.url);
  const connection = { host: hostname, port: Number(port), enableAutoPipelining: true, maxRetriesPerRequest: null };
  const queue = new bullmq.Queue("q", { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  const startWorker = async (work: (job: Job) => Promise<unknown>) => {
    const worker = new bullmq.Worker("q", work, { connection, concurrency, removeOnComplete: { count: 0 } });
    worker.on("error", complain);
    await worker.waitUntilReady();
    return worker;
  };
  const isEmpty = async (): Promise<boolean> =>
    Object.values(await queue.getJobCounts("waiting", "active", "delayed", "waiting-children")).every((count) => count === 0);
  return { bullmq, connection, queue, startWorker, isEmpty };
}

export const peer: Peer = {
  name: "bullmq",
  packages: { bullmq: "6.7.0", ioredis: "5.11.1" },
  servers: [
    { kind: "redis", appendfsync: "always" },
    { kind: "redis", appendfsync: "everysec" },
  ],
  settings: `one worker, concurrency ${concurrency}, ioredis auto-pipelining, finished jobs removed`,
  durability: "append-only file, appendfsync as named (everysec may lose a second)",
  rows: {
    async queue(place, work) {
      const { queue, startWorker } = await open(place);
      const effects = countEffects(work.tasks);
      const completed = countEffects(work.tasks);
      const worker = await startWorker(async ({ data }) => effects.effect(data.number));
      // The event follows the answer of Redis, which follows the fsync where appendfsync is "always".
      worker.on("completed", ({ data }) => completed.effect(data.number));
      const measured = await measureQueue(work, {
        effects,
        create: (number) => queue.add("task", { number }),
        settled: () => completed.all,
      });
      await worker.close();
      await queue.close();
      return measured;
    },
    async latency(place, work) {
      const { queue, startWorker } = await open(place);
      let started: (number: number) => void = () => {};
      const worker = await startWorker(async ({ data }) => started(data.number));
      const measured = await measureLatency(work, {
        create: (number) => queue.add("task", { number }),
        onStart: (listener) => void (started = listener),
      });
      await worker.close();
      await queue.close();
      return measured;
    },
    async memory(place) {
      const { startWorker } = await open(place);
      await startWorker(async () => null);
      return measureMemory(place);
    },
    /** A tree, not a graph: a job has one parent, so the diamond's first step cannot be shared by both of its arms. */
    async runs(place, work) {
      const { bullmq, connection, queue, startWorker } = await open(place);
      const over = new Map<number, () => void>();
      const effects = countEffects(work.tasks * stepsOfRun);
      const worker = await startWorker(async (job) => {
        if (job.data.step > 1) await job.getChildrenValues();
        effects.effect(job.data.number * stepsOfRun + job.data.step);
        return result;
      });
      worker.on("completed", ({ data }) => {
        if (data.step === stepsOfRun - 1) over.get(data.number)?.();
      });
      const flows = new bullmq.FlowProducer({ connection });
      const measured = await measureRuns(work, effects, async (number) => {
        const done = Promise.withResolvers<void>();
        over.set(number, done.resolve);
        await flows.add(treeOf(number));
        await done.promise;
      });
      await flows.close();
      await worker.close();
      await queue.close();
      return measured;
    },
  },
};

/** Steps 0 to 9 from the leaves to the root: 0 -> 1 -> 3, 2 -> 3, 3 -> ... -> 9. */
function treeOf(number: number): Child {
  const job = (step: number, children: Child[] = []): Child => ({
    name: "step",
    queueName: "q",
    data: { number, step },
    // A parent reads its children's results, so these stay until it has run.
    opts: { removeOnComplete: step === stepsOfRun - 1 },
    children,
  });
  let tree = job(3, [job(1, [job(0)]), job(2)]);
  for (let step = 4; step < stepsOfRun; step += 1) tree = job(step, [tree]);
  return tree;
}

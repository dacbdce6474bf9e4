import { countEffects, measureLatency, measureMemory, measureQueue, until, type Peer, type Place } from "../peer.ts";
import { measureRuns, result, stepsOfRun } from "../run-shape.ts";

interface Job {
  id: string;
  data: { number: number; step: number };
}

interface Boss {
  on(event: "error", listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: object): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  send(name: string, data: object): Promise<unknown>;
  insert(name: string, jobs: { data: Job["data"] }[], options: { db: Database }): Promise<unknown>;
  work(name: string, options: object, work: (jobs: Job[], db: Database) => Promise<unknown>): Promise<unknown>;
  getDb(): Database;
}

interface Database {
  executeSql(text: string): Promise<{ rows: Record<string, unknown>[] }>;
}

const batchSize = 500;
const polling = { pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 };
const fetching = { batchSize, burstWhenBatchFull: true, ...polling };

async function open(place: Place): Promise<Boss> {
  const { PgBoss } = await place.load<{ PgBoss: new (options: object) => Boss }>("pg-boss");
  const boss = new PgBoss({ connectionString: place.url, max: 20, useListenNotify: true, supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error.message));
  await boss.start();
  await boss.createQueue("q", { notify: true });
  return boss;
}

const isSettled = async (boss: Boss): Promise<boolean> => {
  const { rows } = await boss.getDb().executeSql("select count(*)::int as left from pgboss.job where name = 'q' and state <> 'completed'");
  return rows[0]?.["left"] === 0;
};

export const peer: Peer = {
  name: "pg-boss",
  packages: { "pg-boss": "12.35.0" },
  servers: [{ kind: "postgres" }],
  settings: `LISTEN/NOTIFY, polling every 0.5 s; queue and runs: batches of ${batchSize}, burstWhenBatchFull; latency: batches of 20`,
  durability: "commit of PostgreSQL",
  rows: {
    async queue(place, work) {
      const boss = await open(place);
      const effects = countEffects(work.tasks);
      await boss.work("q", { ...fetching, localConcurrency: 2 }, async (jobs) => {
        for (const { data } of jobs) effects.effect(data.number);
      });
      const measured = await measureQueue(work, {
        effects,
        create: (number) => boss.send("q", { number }),
        settled: () => until(() => isSettled(boss)),
      });
      await boss.stop({ graceful: false });
      return measured;
    },
    async memory(place) {
      const boss = await open(place);
      await boss.work("q", fetching, async () => null);
      return measureMemory(place);
    },
    async latency(place, work) {
      const boss = await open(place);
      let started: (number: number) => void = () => {};
      await boss.work("q", { ...fetching, batchSize: 20, localConcurrency: 4 }, async (jobs) => {
        for (const { data } of jobs) started(data.number);
      });
      const measured = await measureLatency(work, {
        create: (number) => boss.send("q", { number }),
        onStart: (listener) => void (started = listener),
      });
      await boss.stop({ graceful: false });
      return measured;
    },
    /**
     * Each batch of steps sends the next ones in the transaction of its own completion. (Its `flow` is not used: what waits for a job
     * is set free by a resolver that looks every few seconds.)
     */
    async runs(place, work) {
      const boss = await open(place);
      await boss.getDb().executeSql("create table bench_joins (run int primary key, arms int not null)");
      const effects = countEffects(work.tasks * stepsOfRun);
      const over = new Map<string, () => void>();
      const ended: string[] = [];
      await boss.work("q", { ...fetching, localConcurrency: 4, transactional: true }, async (jobs, db) => {
        for (const { data } of jobs) effects.effect(data.number * stepsOfRun + data.step);
        const following = await nextSteps(jobs, db);
        if (following.length > 0)
          await boss.insert(
            "q",
            following.map((data) => ({ data })),
            { db },
          );
        for (const { id, data } of jobs) if (data.step === stepsOfRun - 1) ended.push(`${data.number} ${id}`);
        return { result };
      });
      const looking = new AbortController();
      const look = lookForEnds(boss, ended, over, looking.signal);
      const measured = await measureRuns(work, effects, async (number) => {
        const done = Promise.withResolvers<void>();
        over.set(String(number), done.resolve);
        await boss.send("q", { number, step: 0 });
        await done.promise;
      });
      looking.abort();
      await look;
      await boss.stop({ graceful: false });
      return measured;
    },
  },
};

/** What follows in each run; the join when the second of its arms is here. */
async function nextSteps(jobs: Job[], db: Database): Promise<Job["data"][]> {
  const arms = new Map<number, number>();
  const following: Job["data"][] = [];
  for (const { data } of jobs) {
    const { number, step } = data;
    if (step === 0) following.push({ number, step: 1 }, { number, step: 2 });
    else if (step <= 2) arms.set(number, (arms.get(number) ?? 0) + 1);
    else if (step < stepsOfRun - 1) following.push({ number, step: step + 1 });
  }
  if (arms.size === 0) return following;
  // In order, so that two batches cannot wait for each other.
  const rows = [...arms].toSorted(([one], [other]) => one - other).map(([run, count]) => `(${run}, ${count})`);
  const joined = await db.executeSql(
    `insert into bench_joins (run, arms) values ${rows.join()}
     on conflict (run) do update set arms = bench_joins.arms + excluded.arms returning run, arms`,
  );
  return [...following, ...joined.rows.filter((row) => row["arms"] === 2).map((row) => ({ number: Number(row["run"]), step: 3 }))];
}

/** A run is over when its last job is committed as completed. */
async function lookForEnds(boss: Boss, ended: string[], over: Map<string, () => void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const asked = new Map(
      ended
        .splice(0)
        .map((line) => line.split(" ") as [string, string])
        .map(([number, id]) => [id, number]),
    );
    if (asked.size > 0) {
      const ids = [...asked.keys()].map((id) => `'${id}'`).join();
      const { rows } = await boss
        .getDb()
        .executeSql(`select id from pgboss.job where name = 'q' and state = 'completed' and id in (${ids})`);
      for (const { id } of rows) {
        over.get(asked.get(String(id)) ?? "")?.();
        asked.delete(String(id));
      }
      for (const [id, number] of asked) ended.push(`${number} ${id}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

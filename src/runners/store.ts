import { z } from "zod";
import { sql, statement, type Db, type Reader } from "../db/plan.ts";
import { AppError } from "../errors.ts";

/** How long the lease of a server's own runner holds without renewal, by the database's clock. */
export const runnerLeaseMs = 15_000;

/** Who takes a runner's lease, and what it may be given. */
export interface Taking {
  /** The runner's id: whoever may speak for it, says its home's lock or its token. */
  runner: string;
  /** One life of the runner: a new one for each time that it takes the lease. */
  life: string;
  /** The data folder's own id. Another home does not get the lease while it holds. null: whoever it is may have it. */
  home: string | null;
  /** The most attempts at once; null: no limit of its own. */
  capacity: number | null;
  /** Left out: as long as that of a server's own runner. */
  leaseMs?: number;
}

/**
 * Takes a runner's lease with a new epoch, which makes every attempt of its earlier life stale. Answers the epoch.
 * Throws AppError already_running while a runner of another home holds it, or when another life took it at the same moment.
 */
export async function takeRunnerLease(db: Db, { runner, life, home, capacity, leaseMs = runnerLeaseMs }: Taking): Promise<number> {
  const isFree = home === null ? sql`1 = 1` : sql`(home is null or home = ${home} or lease_until <= tutti_now())`;
  const committed = await db.commit({
    statements: [
      statement(sql`insert into runners (id) values (${runner}) on conflict (id) do nothing`, "any"),
      statement(sql`
        update runners set holder = ${life}, home = coalesce(${home}, home), capacity = ${capacity}, draining = 0, epoch = epoch + 1,
               lease_until = tutti_now() + ${leaseMs}, started_at = tutti_now()
         where id = ${runner} and ${isFree}`),
    ],
    events: [{ stream: "instance", type: "runner.started", data: { runner } }],
  });
  const epoch = committed.kind === "committed" ? await findLife(db.read, runner, life) : null;
  if (epoch !== null) return epoch;
  throw new AppError("already_running", `another process works as ${runner}`, {
    why: "its lease holds, and it belongs to another data folder or was taken at this moment",
    fix: ["start it again in a moment", "tutti runner token <another name>"],
  });
}

/** The epoch of this life while its lease holds: a request to take it that comes a second time gets the same answer. */
export async function findLife(read: Reader, runner: string, life: string): Promise<number | null> {
  const row = await read.one<{ epoch: number }>(
    sql`select epoch from runners where id = ${runner} and holder = ${life} and lease_until > tutti_now()`,
  );
  return row && Number(row.epoch);
}

export interface Epoch {
  runner: string;
  epoch: number;
}

/** false: the lease is over or somebody else's. One that lapsed cannot be renewed: its attempts may be somebody else's already. */
export async function renewRunnerLease(
  db: Db,
  { runner, epoch }: Epoch,
  { draining, leaseMs = runnerLeaseMs }: { draining: boolean; leaseMs?: number },
): Promise<boolean> {
  const committed = await db.commit({
    statements: [
      statement(sql`
        update runners set lease_until = tutti_now() + ${leaseMs}, draining = ${Number(draining)}
         where id = ${runner} and epoch = ${epoch} and lease_until > tutti_now()`),
    ],
    events: [],
  });
  return committed.kind === "committed";
}

/** So that the attempts of this epoch are known to be over at once. Harmless twice, and for a later epoch. */
export async function giveBackRunnerLease(db: Db, { runner, epoch }: Epoch): Promise<void> {
  await db.commit({
    statements: [statement(sql`update runners set lease_until = 0 where id = ${runner} and epoch = ${epoch}`, "any")],
    events: [],
  });
}

/** Which server the runner listens to. false: its lease is over or somebody else's. */
export async function noteServer(db: Db, { runner, epoch }: Epoch, server: string): Promise<boolean> {
  const committed = await db.commit({
    statements: [
      statement(sql`update runners set server = ${server} where id = ${runner} and epoch = ${epoch} and lease_until > tutti_now()`),
    ],
    events: [],
  });
  return committed.kind === "committed";
}

export const holdsRunnerEpoch = async (read: Reader, { runner, epoch }: Epoch): Promise<boolean> =>
  (await read.one(sql`select 1 from runners where id = ${runner} and epoch = ${epoch} and lease_until > tutti_now()`)) !== null;

export const Runner = z.object({
  id: z.string(),
  live: z.boolean().describe("its lease holds"),
  epoch: z.number().describe("how often it has begun"),
  home: z.string().nullable().describe("the id of its data folder"),
  server: z.string().nullable().describe("the server that it listens to; null: the one that it is a part of"),
  active: z.number().describe("attempts that it has"),
  capacity: z.number().nullable().describe("the most attempts at once; null: as many as projects and agents allow"),
  draining: z.boolean().describe("it takes nothing new"),
  startedAt: z.number(),
});
export type Runner = z.infer<typeof Runner>;

interface RunnerRow {
  id: string;
  live: number;
  epoch: number;
  home: string | null;
  server: string | null;
  active: number;
  capacity: number | null;
  draining: number;
  started_at: number;
}

export async function listRunners(read: Reader): Promise<Runner[]> {
  const rows = await read.all<RunnerRow>(sql`
    select r.id, case when r.lease_until > tutti_now() then 1 else 0 end as live, r.epoch, r.home, r.server, r.capacity, r.draining, r.started_at,
           (select count(*) from tasks t where t.runner = r.id and t.runner_epoch = r.epoch and t.state in ('starting', 'running', 'needs you')) as active
      from runners r order by r.id`);
  return rows.map(({ started_at: startedAt, live, draining, ...row }) => ({
    ...row,
    epoch: Number(row.epoch),
    active: Number(row.active),
    capacity: row.capacity === null ? null : Number(row.capacity),
    live: Number(live) === 1,
    draining: Number(draining) === 1,
    startedAt: Number(startedAt),
  }));
}

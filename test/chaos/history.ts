import { DatabaseSync } from "node:sqlite";
import { Client } from "pg";

/**
 * What happened to tasks, attempts and runners, written by triggers of the database itself in the transaction of each change: no part
 * of the product has a hand in it. The order of `id` is the order of causes: what saw a change has a larger number.
 */
export interface Change {
  id: number;
  /** Of the database, ms. */
  at: number;
  /** When the transaction began, ms: what it asked (is the lease valid?) it asked later. */
  began: number;
  thing: "task" | "attempt" | "runner";
  /** The task's id, or the runner's. */
  name: string;
  before: string | null;
  after: string;
  reason: string | null;
  attempt: number | null;
  /** Who holds, or held, the attempt. */
  runner: string | null;
  epoch: number | null;
  /** What stands in that runner's own row at this moment. */
  runner_epoch: number | null;
  lease_until: number | null;
}

const columns = "at, began, thing, name, before, after, reason, attempt, runner, epoch, runner_epoch, lease_until";

/** The values of one change; `new` and `old` are the trigger's, `null` where there is none. */
function valuesOf(thing: "task" | "attempt" | "runner", event: "insert" | "update", now: string, began: string): string {
  const before = event === "insert" ? "null" : thing === "runner" ? "cast(old.epoch as text)" : "old.state";
  if (thing === "runner") {
    return `select ${now}, ${began}, 'runner', new.id, ${before}, cast(new.epoch as text), null, null, new.id, new.epoch, new.epoch, new.lease_until`;
  }
  const name = thing === "task" ? "new.id" : "new.task";
  const of = (column: string): string => (event === "insert" ? `new.${column}` : `coalesce(new.${column}, old.${column})`);
  const row = (column: string): string => `(select r.${column} from runners r where r.id = ${of("runner")})`;
  return `select ${now}, ${began}, '${thing}', ${name}, ${before}, new.state, new.reason, new.attempt, ${of("runner")}, ${of("runner_epoch")}, ${row("epoch")}, ${row("lease_until")}`;
}

/** When an update counts: not each renewal of a lease, nor each touch of a row. */
const changed = {
  task: (differs: string): string =>
    `old.state ${differs} new.state or old.attempt ${differs} new.attempt or old.runner_epoch ${differs} new.runner_epoch`,
  attempt: (differs: string): string => `old.state ${differs} new.state or old.finished_at ${differs} new.finished_at`,
  runner: (differs: string): string => `old.epoch ${differs} new.epoch`,
};

const tables = { task: "tasks", attempt: "attempts", runner: "runners" } as const;
const things = ["task", "attempt", "runner"] as const;

/** Into the file of a server that does not run. */
export function recordSqlite(file: string): void {
  const db = new DatabaseSync(file);
  // Not `tutti_now()`: a connection without that function could then not touch the tables at all.
  const now = "cast(unixepoch('subsec') * 1000 as integer)";
  db.exec(`create table hist (id integer primary key autoincrement, at integer not null, began integer not null, thing text not null,
    name text not null, before text, after text not null, reason text, attempt integer, runner text, epoch integer, runner_epoch integer, lease_until integer)`);
  for (const thing of things) {
    const insert = (event: "insert" | "update"): string => `begin insert into hist (${columns}) ${valuesOf(thing, event, now, now)}; end`;
    db.exec(`create trigger hist_${thing}_insert after insert on ${tables[thing]} for each row ${insert("insert")}`);
    db.exec(
      `create trigger hist_${thing}_update after update on ${tables[thing]} for each row when ${changed[thing]("is not")} ${insert("update")}`,
    );
  }
  db.close();
}

/** Answers when all triggers are there; servers may run. */
export async function recordPostgres(url: string): Promise<void> {
  const now = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";
  const began = "floor(extract(epoch from transaction_timestamp()) * 1000)::bigint";
  await withClient(url, async (client) => {
    await client.query(`create table hist (id bigint generated always as identity primary key, at bigint not null, began bigint not null,
      thing text not null, name text not null, before text, after text not null, reason text, attempt integer, runner text, epoch bigint,
      runner_epoch bigint, lease_until bigint)`);
    for (const thing of things) {
      for (const event of ["insert", "update"] as const) {
        await client.query(`create function hist_${thing}_${event}() returns trigger language plpgsql as $$
          begin insert into hist (${columns}) ${valuesOf(thing, event, now, began)}; return null; end $$`);
        const when = event === "update" ? `when (${changed[thing]("is distinct from")})` : "";
        await client.query(
          `create trigger hist_${thing}_${event} after ${event} on ${tables[thing]} for each row ${when} execute function hist_${thing}_${event}()`,
        );
      }
    }
  });
}

const readAll = `select id, ${columns} from hist order by id`;

/** Of a server that does not run. */
export function readSqlite(file: string): Change[] {
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db.prepare(readAll).all() as unknown as Change[];
  db.close();
  return rows;
}

export const readPostgres = (url: string): Promise<Change[]> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<Record<keyof Change, string | null>>(readAll);
    const number = (value: string | null): number | null => (value === null ? null : Number(value));
    return rows.map((row): Change => ({
      ...(row as unknown as Change),
      id: Number(row.id),
      at: Number(row.at),
      began: Number(row.began),
      attempt: number(row.attempt),
      epoch: number(row.epoch),
      runner_epoch: number(row.runner_epoch),
      lease_until: number(row.lease_until),
    }));
  });

async function withClient<Result>(url: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

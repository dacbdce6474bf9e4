import { parentPort, workerData } from "node:worker_threads";
import { DatabaseSync } from "node:sqlite";
import { firstBrokenEvent } from "../db/chain.ts";
import { list, type Reader, sql } from "../db/plan.ts";
import type { Damage } from "./backup.ts";
import { openOwn, type Source } from "./own-connection.ts";
import { foldTask, type TaskEvent } from "./fold-task.ts";

/** The thread that reads a whole store: SQLite's own check, the chain of each stream, and each task's state against its events. */
export interface ThreadFindings {
  checked: Record<string, number>;
  problems: Damage[];
}

const tasksAtOnce = 500;

async function verify(source: Source): Promise<ThreadFindings> {
  const problems: Damage[] = [];
  const add = (area: Damage["area"], message: string): void => void (problems.length < 1000 && problems.push({ area, message }));
  if (source.kind === "sqlite") for (const message of checkPages(source.file)) add("store", message);
  const checked: Record<string, number> = { streams: 0, events: 0, tasks: 0 };
  const own = await openOwn(source);
  try {
    const streams = await own.read.all<{ id: string; seq: number }>(sql`select id, seq from streams order by id`);
    for (const { id } of streams) {
      const broken = await firstBrokenEvent(own.read, id);
      if (broken !== null) add("events", `the chain of ${id} is broken at event ${broken}`);
    }
    checked["streams"] = streams.length;
    checked["events"] = streams.reduce((sum, { seq }) => sum + seq, 0);
    checked["tasks"] = await foldTasks(own.read, (message) => add("tasks", message));
  } catch (error) {
    if (!isDamage(error)) throw error;
    add("store", error instanceof Error ? error.message : String(error));
  } finally {
    await own.close();
  }
  return { checked, problems };
}

/** SQLITE_CORRUPT, SQLITE_NOTADB: what can be read no further. */
const isDamage = (error: unknown): boolean => [11, 26].includes(((error as { errcode?: number }).errcode ?? 0) % 256);

/** What `pragma integrity_check` says is wrong. */
function checkPages(file: string): string[] {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const rows = db.prepare("pragma integrity_check(20)").all();
    return rows.map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    db.close();
  }
}

/** The state of each task must be what its events tell. Answers how many were looked at. */
async function foldTasks(read: Reader, add: (message: string) => void): Promise<number> {
  let count = 0;
  for (let after = ""; ;) {
    const tasks = await read.all<{ id: string; state: string }>(sql`
      select id, state from tasks where id > ${after} order by id limit ${tasksAtOnce}`);
    const last = tasks.at(-1);
    if (!last) return count;
    after = last.id;
    count += tasks.length;
    const events = await read.all<TaskEvent & { task: string }>(sql`
      select task, type, data from events
       where task in (${list(tasks.map(({ id }) => id))}) and task is not null and type like 'task.%' order by stream, seq`);
    const told = Map.groupBy(events, ({ task }) => task);
    for (const { id, state } of tasks) {
      const folded = foldTask(told.get(id) ?? []);
      // Nothing is told of a task whose events were cleared away.
      if (folded !== null && !folded.includes(state)) add(`${id} is ${state}, its events say ${folded.join(" or ")}`);
    }
  }
}

parentPort?.postMessage(await verify((workerData as { source: Source }).source));

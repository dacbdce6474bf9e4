import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { AppError } from "../errors.ts";

/**
 * A line between processes: a server and a runner process of the same home write to the same mirrors, and git refuses the second of two
 * fetches that move one branch. Who is in holds an open `begin exclusive`, which the kernel releases when the process dies, however it
 * dies. Before the gate stands a turnstile: who waits for the gate has it, so whoever comes out and wants in again comes after them.
 * Inside of one process nobody may come twice under one name at a time (src/workspaces/queue.ts).
 */
export type Gate = <T>(name: string, work: () => Promise<T>) => Promise<T>;

const sqliteBusy = 5;
const againMs = 10;

/** `folder` is for the gate alone. What is done inside throws as it is; AppError busy after `limitMs` outside. */
export function openGate(folder: string, limitMs = 15 * 60_000): Gate {
  const doors = new Map<string, DatabaseSync>();

  async function doorOf(name: string): Promise<DatabaseSync> {
    const known = doors.get(name);
    if (known) return known;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const door = new DatabaseSync(join(folder, `${name}.db`), { timeout: 0 });
    doors.set(name, door);
    return door;
  }

  /** Answers what gives it free again. */
  async function enter(name: string, limit: number): Promise<() => void> {
    const door = await doorOf(name);
    while (!tryEnter(door)) {
      if (performance.now() > limit) throw new AppError("busy", `${name} is being written by another process`, { fix: ["try again"] });
      await wait(againMs);
    }
    return () => door.exec("rollback");
  }

  return async (name, work) => {
    const limit = performance.now() + limitMs;
    const pass = await enter(`${name}.next`, limit);
    const leave = await enter(name, limit).finally(pass);
    try {
      return await work();
    } finally {
      leave();
    }
  };
}

function tryEnter(door: DatabaseSync): boolean {
  try {
    door.exec("begin exclusive");
    return true;
  } catch (error) {
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === sqliteBusy) return false;
    throw error;
  }
}

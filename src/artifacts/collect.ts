import type { Logger } from "pino";
import type { Db } from "../db/plan.ts";
import { unreferencedMs, type ArtifactStore } from "./artifact.ts";
import { forgetUnreferenced, isKnown, listReferenced } from "./store.ts";

export interface Collected {
  /** Artifacts that are gone, and the bytes that they had. */
  removed: number;
  bytes: number;
  /** What puts that never ended had left. */
  leftovers: number;
}

const pageSize = 500;

interface Collecting {
  db: Db;
  artifacts: ArtifactStore;
  ageMs?: number;
}

/**
 * Removes artifacts that no row names and that are older than 24 hours. First the row goes, if it is old and unreferenced at that
 * moment, then the bytes, if they are old at that moment: whoever puts an artifact or names it in between makes it young, and it
 * stays. Any number of servers may collect at once. Stops between two artifacts when the signal aborts.
 */
export async function collectArtifacts({ db, artifacts, ageMs = unreferencedMs }: Collecting, signal?: AbortSignal): Promise<Collected> {
  const collected: Collected = { removed: 0, bytes: 0, leftovers: await artifacts.removeLeftovers() };
  let after: string | null = null;
  for (;;) {
    const ids: string[] = await artifacts.listOlderThan(ageMs, { after, limit: pageSize });
    const referenced = await listReferenced(db.read, ids);
    for (const id of ids.filter((each) => !referenced.has(each))) {
      if (signal?.aborted) return collected;
      await db.commit({ statements: [forgetUnreferenced(id, ageMs)], events: [] });
      if (await isKnown(db.read, id)) continue;
      const bytes = await artifacts.remove(id, ageMs);
      if (bytes === null) continue;
      collected.removed += 1;
      collected.bytes += bytes;
    }
    after = ids.at(-1) ?? null;
    if (ids.length < pageSize) return collected;
  }
}

const everyMs = 60 * 60 * 1000;

/** Collects once an hour for as long as the server runs. */
export function startCollector({ log, ...what }: Collecting & { log: Logger }): { stop(): Promise<void> } {
  const stopping = new AbortController();
  let working: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    working = working
      .then(() => collectArtifacts(what, stopping.signal))
      .then(
        (collected) => log.info(collected, "artifacts were collected"),
        (error: unknown) => log.error({ err: error }, "artifacts could not be collected; it is tried again in an hour"),
      );
  }, everyMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await working;
    },
  };
}

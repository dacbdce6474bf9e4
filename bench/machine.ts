import { execFileSync } from "node:child_process";
import { arch, cpus, release, totalmem, type } from "node:os";
import { startPostgres, type BenchPostgres } from "./servers/postgres.ts";
import { measureFsync, type Medium } from "./servers/medium.ts";

/** What every row of one call of the benchmark shares: a PostgreSQL for each medium, and what an fsync takes there. */
export interface Shared {
  postgres(medium: Medium): Promise<BenchPostgres>;
  fsyncMs(medium: Medium): Promise<number>;
  /** All servers have ended when it resolves. */
  close(): Promise<void>;
}

export function makeShared(): Shared {
  const clusters = new Map<Medium, Promise<BenchPostgres>>();
  const syncs = new Map<Medium, Promise<number>>();
  return {
    postgres: (medium) => kept(clusters, medium, () => startPostgres(medium)),
    fsyncMs: (medium) => kept(syncs, medium, () => measureFsync(medium)),
    async close() {
      for (const started of await Promise.allSettled(clusters.values())) if (started.status === "fulfilled") await started.value.stop();
    },
  };
}

function kept<Key, Value>(values: Map<Key, Promise<Value>>, key: Key, make: () => Promise<Value>): Promise<Value> {
  const value = values.get(key) ?? make();
  values.set(key, value);
  return value;
}

/** One line about the machine: absolute figures hold for it alone. */
export function aboutMachine(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${type()} ${release()} ${arch()}, ${cores.length} x ${cores[0]?.model ?? "?"}, ${memory} GiB, Node ${process.versions.node}, SQLite ${process.versions["sqlite"] ?? "?"}, ${commit()}`;
}

/** Which state of the sources was measured. */
function commit(): string {
  try {
    const git = (...words: string[]): string => execFileSync("git", ["-C", import.meta.dirname, ...words], { encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src") !== "";
    return `commit ${git("rev-parse", "--short", "HEAD")}${changed ? " with changes" : ""}`;
  } catch {
    return "no commit";
  }
}

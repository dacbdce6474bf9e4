import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quietMs, residentMb } from "./peer.ts";
import { startRealServer } from "./real-server.ts";
import { runForJson } from "./run-child.ts";
import { median } from "./figures.ts";
import { Client } from "pg";

/**
 * How long the server takes from its process to its first answer, on an empty store that has its tables and with 100,000 finished tasks, and
 * what it has in memory when it has had nothing to do for a while. Medians of several starts; the first of all, which makes the tables
 * and fills Node's cache of compiled files, is not counted: a machine does it once.
 */
const { values } = parseArgs({
  strict: false,
  options: { home: { type: "string" }, url: { type: "string" } },
});
const folder = String(values.home);
const databaseUrl = typeof values.url === "string" ? values.url : null;
const userHome = join(folder, "person");
const starts = 5;

const empty = { home: join(folder, "empty"), databaseUrl, userHome };
await started(empty);
const emptyMs: number[] = [];
for (let start = 1; start < starts; start += 1) emptyMs.push((await started(empty)).readyMs);
const last = await started(empty, quietMs);
emptyMs.push(last.readyMs);

const full = { home: join(folder, "full"), databaseUrl: databaseUrl === null ? null : await besides(databaseUrl), userHome };
await started(full);
await fill(full);
const fullMs: number[] = [];
for (let start = 0; start < starts; start += 1) fullMs.push((await started(full)).readyMs);
console.log(JSON.stringify({ ms_empty: median(emptyMs), ms_100k: median(fullMs), rss_mb: last.residentMb }));

/** One start and stop, with a look at its memory in between. */
async function started(where: typeof empty, idle = 0): Promise<{ readyMs: number; residentMb: number }> {
  const server = await startRealServer(where);
  await wait(idle);
  const found = { readyMs: server.readyMs, residentMb: residentMb(server.pid) };
  await server.stop();
  return found;
}

/** 100,000 tasks, created and done by the product itself: every row of them is as it would be. */
async function fill({ home, databaseUrl: url }: typeof empty): Promise<void> {
  const words = ["--store", url === null ? "sqlite" : "postgres", "--home", home, ...(url === null ? [] : ["--url", url])];
  await runForJson({
    command: [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "ours", "queue.ts"),
      ...words,
      "--tasks=100000",
    ],
    medium: "tmpfs",
    timeoutMs: 800_000,
    signal: new AbortController().signal,
  });
}

/** Another empty database of the same cluster. */
async function besides(url: string): Promise<string> {
  const other = new URL(url);
  other.pathname = `${other.pathname}_full`;
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${other.pathname.slice(1)}`);
  await client.end();
  return other.href;
}

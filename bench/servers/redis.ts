import { execFileSync } from "node:child_process";
import { findProgram, makeFolder, startServer, type Medium, type RunningServer } from "./medium.ts";
import { freePort, isListening } from "./ports.ts";

/** Redis with its append-only file on the medium; no snapshots. Throws when it is not installed. */
export async function startRedis(medium: Medium, appendfsync: "always" | "everysec"): Promise<RunningServer> {
  const program = findProgram("redis-server");
  if (!program) throw new Error("Redis is not installed: apt-get install redis-server");
  const version = /v=(\S+)/.exec(execFileSync(program, ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
  const folder = await makeFolder(medium, "redis");
  const port = await freePort();
  const choices = { port: String(port), bind: "127.0.0.1", dir: folder, appendonly: "yes", appendfsync, save: "" };
  const words = Object.entries(choices).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await startServer({
    medium,
    command: [program, ...words],
    folder,
    signal: "SIGKILL",
    isReady: () => isListening(port),
  });
  return { ...server, url: `redis://127.0.0.1:${port}`, about: `Redis ${version}, append-only file, appendfsync ${appendfsync}` };
}

import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/**
 * Where the stores lie. `tmpfs`: in memory, so that what is measured is the program. `disk`: the temporary directory (or
 * TUTTI_BENCH_DISK). `slow`: in memory with an fsync of 4 ms, as a throttled cloud disk has: strace holds the process that owns the store
 * after each fsync and fdatasync, and only then (--seccomp-bpf: no other system call is slowed down).
 */
export type Medium = "tmpfs" | "disk" | "slow";

export const mediums: readonly Medium[] = ["tmpfs", "disk", "slow"];

export const slowFsyncMs = 4;

export async function makeFolder(medium: Medium, name: string): Promise<string> {
  // Where there is no such file system, the temporary directory is the nearest thing; the fsync that is measured tells.
  const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const parent = medium === "disk" ? (process.env["TUTTI_BENCH_DISK"] ?? tmpdir()) : memory;
  return mkdtemp(join(parent, `tutti-bench-${name}-`));
}

/** The command that runs `command` on this medium. Its process is the command's own: it is ended by its pid like any other. */
export function onMedium(medium: Medium, command: readonly string[]): string[] {
  if (medium !== "slow") return [...command];
  const strace = findProgram("strace");
  if (!strace) throw new Error("the slow medium needs strace: apt-get install strace");
  const calls = "fsync,fdatasync";
  const delay = `inject=${calls}:delay_exit=${slowFsyncMs * 1_000}`;
  // -D: the tracer is the grandchild, so the command keeps the pid that we know.
  return [strace, "-D", "--seccomp-bpf", "-f", "-qq", "-e", `trace=${calls}`, "-e", delay, "-o", "/dev/null", ...command];
}

export function findProgram(name: string, folders: readonly string[] = []): string | null {
  const places = [...folders, ...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/bin", "/usr/bin"];
  return places.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What an fsync takes there, ms: the median of fifty after writes of 100 bytes. It is measured, and stands beside the figures. */
export async function measureFsync(medium: Medium): Promise<number> {
  const folder = await makeFolder(medium, "fsync");
  try {
    const program = `
      const { openSync, writeSync, fdatasyncSync } = require("node:fs");
      const file = openSync(process.argv[1], "w");
      const took = Array.from({ length: 50 }, () => {
        writeSync(file, "x".repeat(100));
        const began = performance.now();
        fdatasyncSync(file);
        return performance.now() - began;
      });
      console.log(took.toSorted((one, other) => one - other)[25]);`;
    const [file = "", ...words] = onMedium(medium, [process.execPath, "-e", program, join(folder, "probe")]);
    return Number(execFileSync(file, words, { encoding: "utf8" }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whoever a server runs as; null: as ourselves. */
export interface Owner {
  uid: number;
  gid: number;
}

export interface RunningServer {
  url: string;
  pid: number;
  /** Program and version, durability, and settings that differ from its defaults. */
  about: string;
  /** It has ended and its folder is gone when this resolves. Harmless twice. */
  stop(): Promise<void>;
}

export interface Start {
  medium: Medium;
  command: readonly string[];
  folder: string;
  /** What stops it in an orderly way. */
  signal: NodeJS.Signals;
  owner?: Owner | null;
  env?: Record<string, string>;
  isReady(said: () => string): Promise<boolean> | boolean;
}

/** Starts a server in its folder. It dies with this process (where setpriv is there to see to it). */
export async function startServer({
  medium,
  command,
  folder,
  signal,
  owner,
  env,
  isReady,
}: Start): Promise<Omit<RunningServer, "url" | "about">> {
  if (owner) await chown(folder, owner.uid, owner.gid);
  const setpriv = findProgram("setpriv");
  const words = [...(setpriv ? [setpriv, "--pdeathsig", "KILL"] : []), ...onMedium(medium, command)];
  const server = spawn(words[0] ?? "", words.slice(1), {
    ...owner,
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let said = "";
  for (const stream of [server.stdout, server.stderr])
    stream.on("data", (chunk: Buffer) => void (said = (said + chunk.toString()).slice(-20_000)));
  const stop = makeStop(server, folder, signal);
  const limit = performance.now() + 60_000;
  while (!(await isReady(() => said))) {
    if (server.exitCode === null && server.signalCode === null && performance.now() < limit) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      continue;
    }
    await stop();
    throw new Error(`${command[0]} did not start: ${said.slice(-2_000)}`);
  }
  return { pid: server.pid ?? 0, stop };
}

function makeStop(server: ChildProcess, folder: string, signal: NodeJS.Signals): () => Promise<void> {
  let stopping: Promise<void> | null = null;
  async function stop(): Promise<void> {
    await endChild(server, signal);
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
  return () => (stopping ??= stop());
}

/** Resolves when it has ended; it is killed when `signal` was not enough. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, graceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await exited;
  clearTimeout(late);
}

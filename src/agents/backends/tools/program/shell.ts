import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { cutMiddle, maxOutputBytes, optionalNumber, textOf } from "./bounds.ts";

const defaultTimeoutMs = 120_000;
const maxTimeoutMs = 600_000;
/** Every process of a command carries it, so that one which left the process group is found too. */
const mark = "TUTTI_TOOL_COMMAND";

/**
 * Runs a command line. It ends with everything that it started: what is left in the background is killed with it, so that
 * nothing changes the files after the answer. A command that is over time or cancelled is killed too, and its output so far given.
 */
export async function shell(input: Record<string, unknown>, signal: AbortSignal): Promise<string> {
  const command = textOf(input, "command");
  const timeoutMs = Math.min(maxTimeoutMs, Math.max(100, optionalNumber(input, "timeoutMs", defaultTimeoutMs)));
  const id = randomUUID();
  const child = spawn("/bin/sh", ["-c", command], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, [mark]: id },
  });
  const output = collect(child.stdout, child.stderr);
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([signal, timeout]);
  const kill = (): void => killAll(child.pid, id);
  stop.addEventListener("abort", kill, { once: true });
  const exit = await exitOf(child);
  kill();
  // The pipes close once the last writer is dead; a writer that could not be killed must not hold the answer back.
  await Promise.race([output.ended, delay(500, undefined, { ref: false })]);
  stop.removeEventListener("abort", kill);
  const how = timeout.aborted ? `killed after ${timeoutMs} ms` : signal.aborted ? "cancelled" : exit;
  const text = output.text();
  return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}[${how}]`;
}

/** How it ended, in words. */
async function exitOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    return signal === null ? `exit code ${code}` : `ended by ${signal}`;
  } catch (error) {
    // The event "error", which means here: there is no shell.
    return `the command could not be started: ${(error as Error).message}`;
  }
}

/** Keeps the first and the last part of what comes, whatever the amount. */
function collect(...streams: NodeJS.ReadableStream[]): { text(): string; ended: Promise<unknown> } {
  const room = maxOutputBytes - 4096;
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  let total = 0;
  for (const stream of streams) {
    stream.on("data", (chunk: Buffer) => {
      total += chunk.length;
      const free = room / 2 - head.length;
      if (free > 0) head = Buffer.concat([head, chunk.subarray(0, free)]);
      const rest = free > 0 ? chunk.subarray(free) : chunk;
      if (rest.length > 0) tail = Buffer.concat([tail, rest]).subarray(-room / 2);
    });
  }
  const text = (): string => {
    const missing = total - head.length - tail.length;
    if (missing === 0) return cutMiddle(Buffer.concat([head, tail]));
    return `${head.toString("utf8")}\n[... ${missing} bytes left out ...]\n${tail.toString("utf8")}`;
  };
  return { text, ended: Promise.all(streams.map((stream) => once(stream, "close"))) };
}

/** The group, then everything that carries the mark, until none is left: a process may fork while it is looked for. */
function killAll(pid: number | undefined, id: string): void {
  if (pid !== undefined) killQuietly(-pid);
  for (let round = 0; round < 20; round += 1) {
    const left = marked(id);
    if (left.length === 0) return;
    left.forEach(killQuietly);
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // Gone already, or another user's by now: neither is left to us.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function marked(id: string): number[] {
  const wanted = `${mark}=${id}`;
  return processes().filter((pid) => pid !== process.pid && environmentOf(pid).includes(wanted));
}

/** Only /proc knows; elsewhere (macOS) the process group is all there is. */
const processes = (): number[] => {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
};

/** Empty for processes of others, for zombies and for those that have just ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

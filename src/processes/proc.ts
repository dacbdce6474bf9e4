import { readFileSync, readdirSync } from "node:fs";
import { setImmediate, setTimeout } from "node:timers/promises";

/** One process as /proc/<pid>/stat tells it. `startedAt` (clock ticks since boot) tells it from a later one with the same number. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  state: string;
  startedAt: string;
}

/** null when there is no such process (or no /proc). */
export function lookAt(pid: number): ProcessEntry | null {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name stands in brackets and may hold anything, brackets too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { pid, state: fields[0] ?? "", parent: Number(fields[1]), startedAt: fields[19] ?? "" };
}

/** A zombie has ended: it holds nothing and waits only for its parent to ask. */
export function isAlive(entry: ProcessEntry): boolean {
  const now = lookAt(entry.pid);
  return now !== null && now.startedAt === entry.startedAt && now.state !== "Z" && now.state !== "X";
}

/** Signals exactly this process, never one that took over its number. false when it is gone or not ours to signal. */
export function signalProcess(entry: ProcessEntry, signal: NodeJS.Signals): boolean {
  if (!isAlive(entry)) return false;
  try {
    return process.kill(entry.pid, signal);
  } catch {
    return false; // ended in between, or another user's
  }
}

export const childrenOf = (parent: number): ProcessEntry[] =>
  allPids()
    .map(lookAt)
    .filter((entry) => entry !== null)
    .filter((entry) => entry.parent === parent);

/** The process's number in its innermost PID namespace. */
export function innerPid(pid: number): number | null {
  const numbers = /^NSpid:\s+(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1];
  return numbers === undefined ? null : Number(numbers.split(/\s+/).at(-1));
}

/** The environment that a process was started with, as "NAME=value" between NULs. "" for a zombie or another user's. */
const environmentOf = (pid: number): string => `\0${readText(`/proc/${pid}/environ`) ?? ""}\0`;

// Between two slices other work of the server gets its turn.
const sliceSize = 256;

/** By what processes are known: for each variable of their environment the values that fit. All variables must be there. */
export type Marks = Record<string, readonly string[]>;

/** All living processes that bear the marks. This process and those that started it are never among them. */
export async function findProcesses(marks: Marks): Promise<ProcessEntry[]> {
  const wanted = Object.entries(marks);
  // No marks would fit every process of the machine.
  if (wanted.length === 0) throw new Error("processes are looked for by at least one mark");
  const fits = (environment: string): boolean =>
    wanted.every(([name, values]) => values.some((value) => environment.includes(`\0${name}=${value}\0`)));
  const spared = ownLine();
  const found: ProcessEntry[] = [];
  for (const [index, pid] of allPids().entries()) {
    if (index % sliceSize === sliceSize - 1) await setImmediate();
    if (spared.has(pid) || !fits(environmentOf(pid))) continue;
    const entry = lookAt(pid);
    if (entry) found.push(entry);
  }
  return found;
}

/** SIGKILL, look again, until no process with these marks is left: what forks meanwhile is found in the next round. Returns what it ended. */
export async function endProcesses(marks: Marks, limitMs = 5000): Promise<number[]> {
  const ended = new Map<number, ProcessEntry>();
  const deadline = performance.now() + limitMs;
  // Twice nothing: in the middle of an exec a process has no environment to be known by.
  for (let round = 0, quiet = 0; quiet < 2 && performance.now() < deadline; round++) {
    const found = await findProcesses(marks);
    quiet = found.length === 0 ? quiet + 1 : 0;
    for (const entry of found) if (signalProcess(entry, "SIGKILL")) ended.set(entry.pid, entry);
    await setTimeout(Math.min(1 + round * 2, 50));
  }
  await allGone([...ended.values()], deadline - performance.now());
  return [...ended.values()].filter((entry) => !isAlive(entry)).map((entry) => entry.pid);
}

/** Waits until none of them lives. false when the time is over (a process can hang in the kernel, on a dead disk). */
export async function allGone(entries: readonly ProcessEntry[], limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  for (let round = 0; entries.some(isAlive); round++) {
    if (performance.now() > deadline) return false;
    if (round < 3) await setImmediate();
    else await setTimeout(Math.min(round, 20));
  }
  return true;
}

function ownLine(): Set<number> {
  const line = new Set<number>([process.pid]);
  for (let pid = process.ppid; pid > 1 && !line.has(pid); pid = lookAt(pid)?.parent ?? 0) line.add(pid);
  return line;
}

function allPids(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return []; // no /proc on this system
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // gone in between, or another user's
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { endChild, findProgram, onMedium, type Medium } from "./servers/medium.ts";

export interface ChildOptions {
  command: readonly string[];
  medium: Medium;
  timeoutMs: number;
  signal: AbortSignal;
  env?: Record<string, string>;
}

/** Runs a program that prints one JSON line last; that line, parsed. Throws with what it said otherwise, and when it is too slow. */
export async function runForJson({ command, medium, timeoutMs, signal, env }: ChildOptions): Promise<unknown> {
  const setpriv = findProgram("setpriv");
  // Should this process be killed, the kernel ends it at once.
  const words = [...(setpriv ? [setpriv, "--pdeathsig", "KILL"] : []), ...onMedium(medium, command)];
  const child = spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let out = "";
  let complaint = "";
  child.stdout.on("data", (chunk: Buffer) => void (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => void (complaint = (complaint + chunk.toString()).slice(-20_000)));
  let tooLate = false;
  const over = (): void => void endChild(child, "SIGKILL");
  const timer = setTimeout(() => {
    tooLate = true;
    over();
  }, timeoutMs);
  signal.addEventListener("abort", over, { once: true });
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  signal.removeEventListener("abort", over);
  signal.throwIfAborted();
  if (tooLate) throw new Error(`it took longer than ${timeoutMs / 1_000} s`);
  const last = out
    .trimEnd()
    .split("\n")
    .findLast((line) => line.startsWith("{"));
  if (code !== 0 || last === undefined) throw new Error(`it ended with ${code}: ${reasonIn(complaint)}`);
  return JSON.parse(last);
}

/** The line that tells most of a crash. */
const reasonIn = (complaint: string): string => {
  const lines = complaint.split("\n").filter((line) => line.trim() !== "" && !/^\s+at |DeprecationWarning|--trace-/.test(line));
  return (lines.find((line) => /^(?:\w*Error|AppError)\b|Error:/.test(line)) ?? lines.at(-1) ?? "it said nothing").slice(0, 300);
};

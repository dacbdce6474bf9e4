import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { bareEnvironment, root, until } from "./tutti.ts";

/** A real `tutti runner`, for tests that start, stop and kill it from outside. */
export interface RunnerProcess {
  child: ChildProcess;
  pid: number;
  output(): string;
  /** The epochs that it had, in order. */
  epochs(): number[];
  /** Resolves with the exit code (or the signal's name). */
  exited: Promise<number | string>;
  stop(): Promise<number | string>;
}

const program = join(root, "src/entry/cli/main.ts");
const children = new Set<ChildProcess>();
// A test that fails leaves its runners behind: they would keep the test file open for ever.
after(() => children.forEach((child) => child.kill("SIGKILL")));

export function spawnRunner({ home, args = [], env = {} }: { home: string; args?: string[]; env?: Record<string, string> }): RunnerProcess {
  mkdirSync(join(dirname(home), "person"), { recursive: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const child = spawn(process.execPath, [program, "runner", ...args], {
    env: { ...bareEnvironment(home), TUTTI_LOG: "info", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | string>((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")));
  return {
    child,
    pid: child.pid ?? -1,
    output: () => text,
    epochs: () => [...text.matchAll(/^runner=\S+ epoch=(\d+)$/gm)].map(([, epoch]) => Number(epoch)),
    exited,
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}

/** Starts a runner and waits until it has its lease. */
export async function startRunner(options: Parameters<typeof spawnRunner>[0]): Promise<RunnerProcess> {
  const runner = spawnRunner(options);
  let ended: number | string | null = null;
  void runner.exited.then((code) => (ended = code));
  await until("a runner to have its lease", () => {
    if (ended !== null) throw new Error(`the runner ended with ${ended}:\n${runner.output()}`);
    return runner.epochs().length > 0;
  });
  return runner;
}

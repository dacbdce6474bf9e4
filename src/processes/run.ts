import { finished } from "node:stream/promises";
import type { Readable } from "node:stream";
import { cutInTheMiddle } from "./cut.ts";
import type { CommandResult, Processes, RunningProcess } from "./process.ts";

const defaultMaxOutputBytes = 1024 * 1024;
// A process that escaped from a mere process group can hold the pipe open for ever; everything it wrote before has long arrived.
const drainMs = 1000;

/** Follows a process whose stderr goes into its stdout to its end. See Processes.run. */
export async function runToEnd(
  start: () => RunningProcess,
  options: Pick<Parameters<Processes["run"]>[0], "input" | "timeoutMs" | "maxOutputBytes">,
  signal: AbortSignal,
): Promise<CommandResult> {
  if (signal.aborted) return { exit: { code: null, signal: "SIGKILL" }, output: "", truncated: false, timedOut: false };
  const running = start();
  const collected = cutInTheMiddle(options.maxOutputBytes ?? defaultMaxOutputBytes);
  const streams = [running.stdout, running.stderr];
  for (const stream of streams) stream.on("data", (chunk: Buffer) => collected.add(chunk));
  const drained = Promise.allSettled(streams.map((stream) => finished(stream)));
  running.stdin?.end(options.input);

  let timedOut = false;
  let isOver = false;
  const kill = (): void => void running.stop({ graceMs: 0 });
  const timer = setTimeout(() => {
    timedOut = !isOver;
    kill();
  }, options.timeoutMs);
  signal.addEventListener("abort", kill, { once: true });
  const exit = await running.exited;
  isOver = true;
  clearTimeout(timer);
  signal.removeEventListener("abort", kill);
  await drain(streams, drained);
  return { exit, ...collected.result(), timedOut };
}

async function drain(streams: readonly Readable[], drained: Promise<unknown>): Promise<void> {
  const timer = setTimeout(() => streams.forEach((stream) => stream.destroy()), drainMs);
  await drained;
  clearTimeout(timer);
}

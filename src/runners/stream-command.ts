import type { Readable, Writable } from "node:stream";
import { releasePiece } from "../artifacts/artifact.ts";
import { keepStream } from "../artifacts/keep.ts";
import { cutInTheMiddle } from "../processes/cut.ts";
import type { Exit } from "../processes/process.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import { commandTimeoutMs, inClone, type Attempt } from "./attempt.ts";

const maxShownBytes = 256 * 1024;
// A process that escaped from a mere process group can hold the pipe open for ever; everything it wrote before has long arrived.
const drainMs = 1000;

interface Command {
  argv: string[];
  env: Record<string, string>;
  /** null: the command reads nothing. */
  stdin: AsyncIterable<Uint8Array> | null;
  /** What it writes is kept in memory up to this size, and in an artifact beyond it. */
  maxBytes: number;
}

export interface StreamedResult {
  exit: Exit;
  /** stdout whole: its bytes, or a reference when it is large. */
  output: Awaited<ReturnType<typeof keepStream>>;
  /** stdout and stderr in the order they came, for people: cut in the middle when longer than 256 KB. */
  shown: string;
}

/**
 * Runs a command in the session's clone and sandbox to its end, with any amount of bytes in and out and memory that does not grow:
 * a store that is slower than the command makes the command wait. The tree is killed when the signal aborts or after an hour.
 * Throws AppError when stdin cannot be read or stdout cannot be kept (too large, disk full); the command is over then.
 */
export async function streamInClone(attempt: Attempt, workspace: Workspace, command: Command): Promise<StreamedResult> {
  const { tools, signal } = attempt;
  signal.throwIfAborted();
  const { argv, env, stdin, maxBytes } = command;
  const running = tools.processes.start({ ...inClone(attempt, workspace, argv, env), stdin: stdin ? "pipe" : "ignore" });
  const kill = (): void => void running.stop({ graceMs: 0 });
  const orKill = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (error) {
      kill();
      throw error;
    }
  };
  const shown = cutInTheMiddle(maxShownBytes);
  const [stdout, stderr] = [running.stdout, running.stderr].map((stream) => followed(stream, (chunk) => shown.add(chunk)));
  if (!stdout || !stderr) throw new Error("a process has two outputs");
  const timer = setTimeout(kill, commandTimeoutMs);
  signal.addEventListener("abort", kill, { once: true });
  const work = [
    orKill(keepStream(tools.artifacts, stdout.pieces, maxBytes)),
    orKill(readToEnd(stderr.pieces)),
    orKill(stdin && running.stdin ? feed(running.stdin, stdin) : Promise.resolve()),
  ] as const;
  const over = Promise.allSettled(work);
  const exit = await running.exited;
  clearTimeout(timer);
  signal.removeEventListener("abort", kill);
  await Promise.all([stdout.drained(), stderr.drained()]);
  await over;
  const [output] = await Promise.all(work);
  return { exit, output, shown: shown.result().output };
}

interface Followed {
  pieces: AsyncGenerator<Buffer>;
  /** Called when the process is gone: resolves at the stream's end, or when its reader has waited a second for nothing. */
  drained(): Promise<void>;
}

function followed(stream: Readable, see: (chunk: Buffer) => void): Followed {
  let isGivenUp = false;
  let waitingSince: number | null = null;
  const { promise: ended, resolve: isEnded } = Promise.withResolvers<void>();

  async function* pieces(): AsyncGenerator<Buffer> {
    try {
      waitingSince = performance.now();
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        waitingSince = null;
        see(chunk);
        yield chunk;
        waitingSince = performance.now();
      }
    } catch (error) {
      if (!isGivenUp) throw error;
    } finally {
      isEnded();
    }
  }

  return {
    pieces: pieces(),
    async drained() {
      const look = setInterval(() => {
        if (waitingSince === null || performance.now() - waitingSince < drainMs) return;
        isGivenUp = true;
        stream.destroy();
      }, drainMs);
      await ended;
      clearInterval(look);
    },
  };
}

async function readToEnd(pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of pieces) releasePiece(piece);
}

/** Writes as fast as the command reads. A command that reads no further is no error; a source that breaks is. */
async function feed(stdin: Writable, source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of source) {
    // It calls back with an error, too, when the command closes its input or ends.
    await new Promise<void>((resolve) => stdin.write(piece, () => resolve()));
    if (!stdin.writable) return;
    releasePiece(piece);
  }
  stdin.end();
}

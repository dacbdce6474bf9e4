import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { AppError } from "../../../errors.ts";
import type { RunningProcess } from "../../../processes/process.ts";
import type { SessionSpec } from "../../backend.ts";
import type { ToolName } from "./tool.ts";

export interface ToolResult {
  ok: boolean;
  output: string;
}

export interface ToolClient {
  /** Runs one tool. Never rejects for a failing tool or a dead program, both are results; rejects only when the signal aborts. */
  call(tool: ToolName, input: Record<string, unknown>, signal: AbortSignal): Promise<ToolResult>;
  /** Ends the program and all that it runs. Harmless twice. */
  close(): Promise<void>;
}

interface ToolLimits {
  /** For tools other than shell, whose time is in its input. Over it the whole program is killed: a regular expression may never end. */
  timeoutMs: number;
  startMs: number;
}

/** Cut at both ends: shell may be told to run at most ten minutes; its own program kills it, this is the second line. */
const shellGraceMs = 5_000;
const shellDefaultMs = 120_000;
/** The largest output of a tool, as JSON in which every byte may take six. Longer lines mean that the program is not itself any more. */
const maxLineBytes = 2 * 1024 * 1024;

const Reply = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ id: z.int(), ok: z.boolean(), output: z.string().max(1024 * 1024) }),
]);

const here = dirname(fileURLToPath(import.meta.url));
/** Type-stripped in development, compiled in the published package: the file beside this one has this one's ending. */
const program = join(here, "program", `main${extname(fileURLToPath(import.meta.url))}`);

/**
 * Starts the tool program in the session's sandbox and waits until it answers; it stays for the connection, and is started
 * anew when it died or had to be killed. Throws AppError agent_unavailable when it cannot be started.
 */
export async function startTools(spec: SessionSpec, limits: ToolLimits = { timeoutMs: 20_000, startMs: 20_000 }): Promise<ToolClient> {
  let live = await startProgram(spec, limits.startMs);
  let closed = false;
  const current = async (): Promise<ToolProcess> => {
    if (!live.isGone()) return live;
    const started = await startProgram(spec, limits.startMs);
    if (closed) await started.stop();
    live = started;
    return live;
  };
  return {
    async call(tool, input, signal) {
      signal.throwIfAborted();
      if (closed) return { ok: false, output: "the session is closed" };
      try {
        const timeoutMs = tool === "shell" ? shellTime(input) + shellGraceMs : limits.timeoutMs;
        return await (await current()).call(tool, input, timeoutMs, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof AppError)) throw error;
        return { ok: false, output: error.message };
      }
    },
    async close() {
      closed = true;
      await live.stop();
    },
  };
}

const shellTime = (input: Record<string, unknown>): number => (typeof input.timeoutMs === "number" ? input.timeoutMs : shellDefaultMs);

interface ToolProcess {
  call(tool: ToolName, input: Record<string, unknown>, timeoutMs: number, signal: AbortSignal): Promise<ToolResult>;
  isGone(): boolean;
  stop(): Promise<void>;
}

async function startProgram(spec: SessionSpec, startMs: number): Promise<ToolProcess> {
  const started = begin(spec);
  const waiting = new Map<number, (result: ToolResult) => void>();
  let gone = false;
  let complaint = "";
  const ready = Promise.withResolvers<void>();

  started.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString("utf8")).slice(-2000)));
  readLines(started, (line) => {
    const reply = parseReply(line);
    if (!reply) void end("the tool program broke its protocol");
    else if ("ready" in reply) ready.resolve();
    else waiting.get(reply.id)?.({ ok: reply.ok, output: reply.output });
  });
  const complained = new Promise((resolve) => started.stderr.once("close", resolve));
  void started.exited.then(async () => {
    // Its last words may still be on their way.
    await Promise.race([complained, delay(200, undefined, { ref: false })]);
    await end(`the tool program ended${complaint === "" ? "" : `: ${complaint.trim()}`}`);
  });
  started.stdin?.on("error", () => undefined); // It died; `exited` says so.

  async function end(why: string): Promise<void> {
    gone = true;
    ready.reject(unavailable(why));
    for (const answer of waiting.values()) answer({ ok: false, output: why });
    waiting.clear();
    await started.stop({ graceMs: 0 });
  }

  let lastId = 0;
  async function call(tool: ToolName, input: Record<string, unknown>, timeoutMs: number, signal: AbortSignal): Promise<ToolResult> {
    const id = (lastId += 1);
    const { promise, resolve, reject } = Promise.withResolvers<ToolResult>();
    waiting.set(id, resolve);
    const cancel = (): void => {
      started.stdin?.write(`${JSON.stringify({ cancel: id })}\n`);
      reject(signal.reason);
    };
    signal.addEventListener("abort", cancel, { once: true });
    const timer = setTimeout(() => void end(`${tool} took longer than ${timeoutMs} ms and was killed`), timeoutMs);
    started.stdin?.write(`${JSON.stringify({ id, tool, input })}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      waiting.delete(id);
    }
  }

  const timer = setTimeout(() => void end(`the tool program did not start within ${startMs} ms`), startMs);
  try {
    await ready.promise;
  } finally {
    clearTimeout(timer);
  }
  return { call, isGone: () => gone, stop: () => end("the session is closed") };
}

function begin(spec: SessionSpec): RunningProcess {
  try {
    return spec.start({
      // The only warning that is silenced says that the folder has no package.json beside it, which is hidden in the sandbox.
      argv: [process.execPath, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", program],
      env: spec.env,
      stdin: "pipe",
      readable: [dirname(program), dirname(process.execPath)],
    });
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : String(error), error);
  }
}

const unavailable = (why: string, cause?: unknown): AppError =>
  new AppError("agent_unavailable", `the agent's tools could not be started: ${why}`, { why, fix: ["tutti doctor"], cause });

/** Lines of bounded length: the program stands in the sandbox and may be made to say anything. */
function readLines(started: RunningProcess, onLine: (line: string | null) => void): void {
  let bytes = 0;
  started.stdout.on("data", (chunk: Buffer) => {
    const newline = chunk.lastIndexOf(10);
    bytes = newline < 0 ? bytes + chunk.length : chunk.length - newline - 1;
    if (bytes > maxLineBytes) onLine(null);
  });
  createInterface({ input: started.stdout }).on("line", onLine);
}

function parseReply(line: string | null): z.infer<typeof Reply> | null {
  if (line === null) return null;
  try {
    return Reply.parse(JSON.parse(line));
  } catch {
    // Whatever it was, it was no answer: the caller ends the program.
    return null;
  }
}

import { spawn } from "node:child_process";
import { AppError } from "../errors.ts";

/**
 * Runs one program to its end, with limits of time and of output. The program gets a process group of its own, and the whole
 * group is killed when a limit is passed: git starts helpers (sh, upload-pack, bwrap), which must not outlive it.
 */
export interface CommandOptions {
  argv: readonly string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string | undefined>;
  input?: string | Uint8Array;
  timeoutMs: number;
  maxBytes: number;
  /** What a full output means: an error, or the end of what is wanted. */
  whenFull: "fail" | "cut";
  signal?: AbortSignal;
}

export interface CommandEnd {
  /** null when a signal ended it (a file or memory limit, for example). */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
  /** True when the output was longer than `maxBytes` and `whenFull` was "cut". */
  cut: boolean;
}

const maxErrorBytes = 256 * 1024;

/** Throws AppError timed_out or too_large for the limits, failed when the program cannot be started, and the signal's reason when aborted. */
export function runCommand(options: CommandOptions): Promise<CommandEnd> {
  options.signal?.throwIfAborted();
  const [program = "", ...rest] = options.argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { cwd: options.cwd, env: options.env, detached: true, stdio: "pipe" });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    let outBytes = 0;
    let errorBytes = 0;
    let cut = false;
    let failure: unknown = null;

    const end = (why: unknown) => {
      failure ??= why;
      killGroup(child.pid);
    };
    const timer = setTimeout(() => end(overdue(options)), options.timeoutMs);
    const onAbort = () => end(options.signal?.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });

    child.stdout.on("data", (chunk: Buffer) => {
      if (cut) return;
      out.push(chunk.subarray(0, options.maxBytes - outBytes));
      outBytes += chunk.length;
      if (outBytes <= options.maxBytes) return;
      cut = true;
      if (options.whenFull === "fail") end(overfull(options));
      else killGroup(child.pid);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (errorBytes < maxErrorBytes) errors.push(chunk);
      errorBytes += chunk.length;
    });
    // A program that ends before it has read its input is judged by its exit code, not by the broken pipe.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");

    const settle = (act: () => void) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      act();
    };
    child.once("error", (cause: NodeJS.ErrnoException) =>
      settle(() => reject(new AppError("failed", `${program} cannot be started`, { why: cause.message, cause }))),
    );
    child.once("close", (code, signal) =>
      settle(() => {
        if (failure !== null) reject(failure);
        else
          resolve({
            code: cut ? 0 : code,
            signal,
            stdout: Buffer.concat(out),
            stderr: printable(Buffer.concat(errors).toString("utf8")),
            cut,
          });
      }),
    );
  });
}

/**
 * The same with its output as it comes, so that it need not fit into memory: whoever is slow to take it holds the program up.
 * Returns how it ended; a reader that stops early ends the program. Throws like `runCommand`, too_large at the first byte too many.
 */
export async function* streamCommand(
  options: Omit<CommandOptions, "whenFull">,
): AsyncGenerator<Uint8Array, Omit<CommandEnd, "stdout" | "cut">> {
  const { signal } = options;
  signal?.throwIfAborted();
  const [program = "", ...rest] = options.argv;
  const child = spawn(program, rest, { cwd: options.cwd, env: options.env, detached: true, stdio: "pipe" });
  const errors: Buffer[] = [];
  let errorBytes = 0;
  let outBytes = 0;
  let running = true;
  const failures: Error[] = [];
  const end = (why: Error) => {
    failures.push(why);
    if (running) killGroup(child.pid);
  };
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      failures.push(new AppError("failed", `${program} cannot be started`, { why: cause.message, cause }));
      resolve({ code: null, signal: null });
    });
    child.once("close", (code, by) => resolve({ code, signal: by }));
  }).finally(() => (running = false));
  const timer = setTimeout(() => end(overdue(options)), options.timeoutMs);
  const onAbort = () => end(signal?.reason as Error);
  signal?.addEventListener("abort", onAbort, { once: true });
  child.stderr.on("data", (chunk: Buffer) => {
    if (errorBytes < maxErrorBytes) errors.push(chunk);
    errorBytes += chunk.length;
  });
  // As in `runCommand`: judged by its exit code.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  try {
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      outBytes += chunk.byteLength;
      if (outBytes > options.maxBytes) end(overfull(options));
      if (failures.length > 0) break;
      yield chunk;
    }
    const { code, signal: by } = await ended;
    const [failure] = failures;
    if (failure) throw failure;
    return { code, signal: by, stderr: printable(Buffer.concat(errors).toString("utf8")) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    if (running) killGroup(child.pid);
  }
}

const overdue = (options: { argv: readonly string[]; timeoutMs: number }): AppError =>
  new AppError("timed_out", `${describe(options.argv)} did not end within ${Math.ceil(options.timeoutMs / 1000)} s`, {
    fix: ["try again"],
  });

const overfull = (options: { argv: readonly string[]; maxBytes: number }): AppError =>
  new AppError("too_large", `${describe(options.argv)} gave more than ${options.maxBytes} bytes`);

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // ESRCH: the group is gone already, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

const describe = (argv: readonly string[]): string =>
  argv.find((part) => /(^|\/)(git|find)$/.test(part))?.replace(/^.*\//, "") ?? argv[0] ?? "";

/** What a hostile repository makes git say may hold terminal sequences: only plain text, tabs and line breaks stay. */
export const printable = (text: string): string => text.replace(/\r/g, "\n").replace(/(?![\n\t])\p{Cc}/gu, "");

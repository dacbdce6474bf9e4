import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { PassThrough, Readable, type Writable } from "node:stream";
import { hiddenPlaces } from "./hide.ts";
import type { Launch, Launcher, Tree } from "./launch.ts";
import { planMounts, type MountPlan } from "./mount.ts";
import { endProcesses, signalProcess } from "./proc.ts";
import type { Exit, RunningProcess, StartOptions } from "./process.ts";
import { findProgram, programFolders } from "./program.ts";

/** The code for a program that could not be begun, as shells have it. Its stderr says why. */
const notBegun: Exit = { code: 127, signal: null };
const defaultGraceMs = 2000;

/**
 * Starts a tree. A program that cannot be begun is no error but an exit with code 127 and a line on stderr.
 * Errors: AppError `invalid_input` for a policy that cannot be granted (see planMounts).
 */
export function startProcess(launcher: Launcher, instance: string, options: StartOptions, merge = false): RunningProcess {
  const obstacle = obstacleFor(options);
  if (obstacle !== null) return neverBegun(obstacle);
  const program = findProgram(options.argv[0] ?? "", options.env["PATH"], options.cwd);
  if (program === null) return neverBegun(`cannot start "${options.argv[0]}": no such program, or not executable`);

  // A marker of its own for each start: what a program left behind is told from other starts of the same session.
  const marker = randomUUID();
  const markers = {
    TUTTI_INSTANCE: instance,
    TUTTI_PROCESS: marker,
    ...(options.session === null ? {} : { TUTTI_SESSION: options.session }),
  };
  const launch: Launch = {
    argv: [program, ...options.argv.slice(1)],
    cwd: options.cwd,
    env: { ...options.env, PWD: options.cwd, ...markers },
    markers,
    mounts: launcher.sandbox ? mountsFor(options, program) : null,
    network: options.sandbox?.network ?? true,
    merge,
  };
  return spawned(launcher, launch, options.stdin, marker);
}

function obstacleFor(options: StartOptions): string | null {
  if (options.argv.length === 0 || options.argv[0] === "") return "cannot start anything: the command is empty";
  // NUL ends an argument, and separates those that bubblewrap is given: what came after it would be an option.
  const texts = [options.cwd, ...options.argv, ...Object.entries(options.env).flat(), options.session ?? ""];
  if (texts.some((each) => each.includes("\0"))) return `cannot start "${options.argv[0]}": there is a NUL in its arguments or environment`;
  if (!statSync(options.cwd, { throwIfNoEntry: false })?.isDirectory()) return `cannot start in ${options.cwd}: no such folder`;
  return null;
}

function mountsFor(options: StartOptions, program: string): MountPlan | null {
  if (!options.sandbox) return null;
  const policy = { ...options.sandbox, readable: [...options.sandbox.readable, ...(options.readable ?? [])] };
  const hidden = hiddenPlaces();
  return planMounts(policy, programFolders(program, options.env["PATH"], policy.writable, hidden), hidden);
}

function spawned(launcher: Launcher, launch: Launch, stdin: StartOptions["stdin"], marker: string): RunningProcess {
  const command = launcher.command(launch);
  const extra = command.configuration === null ? [] : (["pipe", "pipe"] as const);
  let child: ChildProcess;
  try {
    // A session of its own: no controlling terminal whose input could be forged, no Ctrl-C that was meant for the server.
    child = spawn(command.file, command.args, {
      cwd: command.cwd,
      env: command.env,
      detached: true,
      stdio: [stdin, "pipe", "pipe", ...extra],
    });
  } catch (error) {
    // Too long a command: what spawn refuses before it tries.
    return neverBegun(`cannot start "${launch.argv[0]}": ${messageOf(error)}`);
  }
  if (child.pid === undefined) return failedToSpawn(child, launch);
  if (command.configuration !== null) (child.stdio[4] as Writable).on("error", ignore).end(command.configuration);
  return watched(child, launcher.tree(child), launcher.kind === "group", marker);
}

function watched(child: ChildProcess, tree: Tree, isGroup: boolean, marker: string): RunningProcess {
  const { stdin, stdout, stderr } = child;
  // Writing to a program that has gone is no error of ours; its exit tells the story.
  stdin?.on("error", ignore);
  let terminated = false;
  let killed = false;

  const exited = exitOf(child).then(async (exit): Promise<Exit> => {
    const { begun } = await tree.settle();
    // A namespace ends as a whole. Without one, or when a wrapper was killed before it had set it up, markers find what is left.
    if (isGroup || killed) await endProcesses({ TUTTI_PROCESS: [marker] });
    return begun || killed || exit.signal !== null ? exit : notBegun;
  });

  async function terminate(): Promise<void> {
    if (terminated) return;
    terminated = true;
    const inner = await tree.inner();
    if (inner) signalProcess(inner, "SIGTERM");
  }

  async function stop({ graceMs = defaultGraceMs }: { graceMs?: number } = {}): Promise<Exit> {
    stdin?.end();
    if (graceMs > 0) {
      if (stdin && (await within(exited, graceMs))) return exited;
      if (await within(Promise.all([terminate(), exited]), graceMs)) return exited;
    }
    killed = true;
    tree.kill();
    return exited;
  }

  return { pid: child.pid ?? 0, stdin, stdout: kept(stdout), stderr: kept(stderr), exited, stop };
}

/** The same stream, whose content waits for its reader: Node throws away what nobody reads at the moment of the exit. */
function kept(source: Readable | null): Readable {
  const copy = new PassThrough();
  if (!source) return copy.end();
  source.on("error", ignore).once("close", () => copy.end());
  // Whoever closes the copy wants no more of it; the program shall notice.
  copy.once("close", () => source.destroy());
  return source.pipe(copy);
}

const exitOf = (child: ChildProcess): Promise<Exit> =>
  new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    // After a start this event only tells that a signal could not be sent: the process is gone then, and `exit` comes.
    child.on("error", ignore);
  });

/** Whether the promise settles in time. */
async function within(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, limitMs, false);
  const isInTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return isInTime;
}

function failedToSpawn(child: ChildProcess, launch: Launch): RunningProcess {
  const stderr = new PassThrough();
  const exited = new Promise<Exit>((resolve) => {
    child.once("error", (error) => {
      stderr.end(`tutti: cannot start "${launch.argv[0]}": ${error.message}\n`);
      resolve(notBegun);
    });
  });
  return ended(stderr, exited);
}

const neverBegun = (why: string): RunningProcess =>
  ended(Readable.from([Buffer.from(`tutti: ${why}\n`)], { objectMode: false }), Promise.resolve(notBegun));

/** A process that never was; 0 is nobody's number. */
const ended = (stderr: Readable, exited: Promise<Exit>): RunningProcess => ({
  pid: 0,
  stdin: null,
  stdout: Readable.from([], { objectMode: false }),
  stderr,
  exited,
  stop: () => exited,
});

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const ignore = (): void => undefined;

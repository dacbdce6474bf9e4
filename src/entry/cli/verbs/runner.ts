import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { pino, destination } from "pino";
import { runnerTokenFile } from "../../../access/runner-token.ts";
import { readConfig, type Config } from "../../../config.ts";
import { lockHome } from "../../../db/lock.ts";
import { AppError, conflict, invalidInput } from "../../../errors.ts";
import { homeId } from "../../../runners/open.ts";
import { startRunnerProcess } from "../../../runners/remote/process.ts";
import { readIfThere, writeSecretFile } from "../../../secret-file.ts";
import { readServerFile } from "../../server-file.ts";
import { connect } from "../connect.ts";
import { print, printJson, note } from "../output.ts";

export interface RunnerOptions {
  server: string[];
  capacity?: string;
  lease: string;
  grace: string;
}

/**
 * Drives the sessions of this home in this process, until SIGTERM or SIGINT: then it takes nothing new, gives what runs its grace, and
 * interrupts it; a second signal interrupts at once. Throws AppError already_running, unauthenticated.
 */
export async function runner(options: RunnerOptions): Promise<void> {
  const config = readConfig();
  await mkdir(join(config.home, "log"), { recursive: true, mode: 0o700 });
  const home = await realpath(config.home);
  const lock = holdRunner(home);
  try {
    await writeSecretFile(pidFile(home), `${process.pid}\n`);
    const log = pino({ level: config.logLevel }, destination({ dest: join(home, "log", "runner.log"), mkdir: true, sync: false }));
    const started = await startRunnerProcess({
      ...config,
      home,
      instance: await homeId(home),
      now: Date.now,
      token: await tokenOf(config, home),
      urls: options.server.length > 0 ? async () => options.server : () => ownServer(home),
      capacity: options.capacity === undefined ? config.capacity : wholeNumber("--capacity", options.capacity),
      leaseMs: leaseOf(options.lease),
      graceMs: wholeNumber("--grace", options.grace) * 1_000,
      log,
      onLife: (life) => print(`runner=${life.runner} epoch=${life.epoch}`),
    });
    process.removeAllListeners("SIGINT");
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => started.drain());
    await started.ended;
  } finally {
    lock.release();
  }
}

function holdRunner(home: string): { release(): void } {
  try {
    return lockHome(home, "runner");
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "already_running") throw error;
    throw new AppError("already_running", `${home} has a runner already`, {
      why: "a server drives its own sessions, or another runner process does",
      fix: ["tutti down", "TUTTI_RUNNER=none tutti up"],
      cause: error,
    });
  }
}

/** Given by the environment, or left in the home by its server. Throws AppError unauthenticated. */
async function tokenOf({ token }: Config, home: string): Promise<string> {
  const given = token ?? (await readIfThere(runnerTokenFile(home)))?.trim();
  if (given) return given;
  throw new AppError("unauthenticated", "this runner has no token", {
    why: `there is none in TUTTI_TOKEN, nor in ${runnerTokenFile(home)}, where a server of this home leaves it`,
    fix: ["TUTTI_RUNNER=none tutti up", "tutti runner token <name>   (where the server is)"],
  });
}

/** The server of the same home, wherever it listens since its last start. */
async function ownServer(home: string): Promise<string[]> {
  const file = await readServerFile(home);
  return file ? [file.url] : [];
}

/** In ms. Throws AppError invalid_input. */
function leaseOf(text: string): number {
  const seconds = wholeNumber("--lease", text);
  if (seconds >= 5 && seconds <= 600) return seconds * 1_000;
  throw invalidInput(`--lease is "${text}"`, "from 5 to 600 seconds");
}

/** Throws AppError invalid_input. */
function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw invalidInput(`${name} is "${text}"`, "a whole number is needed");
}

/** Who holds the runner's lock of this home, for `tutti runner stop`. It says nothing without the lock. */
const pidFile = (home: string): string => join(home, "runner.pid");

/** Beyond any grace. */
const stopLimitMs = 10 * 60_000;

/** Asks this home's runner process to drain, and waits until it has gone. Throws AppError timed_out, conflict. */
export async function stopRunner(json: boolean): Promise<void> {
  const { home } = readConfig();
  const pid = isHeld(home) ? Number((await readIfThere(pidFile(home)))?.trim()) : null;
  if (pid === null) {
    if (json) printJson({ stopped: false });
    else note("no runner is running");
    return;
  }
  const server = await readServerFile(home);
  if (!Number.isInteger(pid) || pid <= 0 || pid === server?.pid) {
    throw conflict("the runner is a part of the server", undefined, ["tutti down"]);
  }
  process.kill(pid, "SIGTERM");
  const limit = performance.now() + stopLimitMs;
  while (isHeld(home)) {
    if (performance.now() > limit) throw new AppError("timed_out", `the runner (pid ${pid}) does not stop`, { fix: [`kill -9 ${pid}`] });
    await wait(50);
  }
  if (json) printJson({ stopped: true, pid });
  else print(`stopped (pid ${pid})`);
}

/** Whether some process has this home's runner. */
function isHeld(home: string): boolean {
  if (!existsSync(join(home, "runner-lock.db"))) return false;
  try {
    lockHome(home, "runner").release();
    return false;
  } catch (error) {
    if (error instanceof AppError && error.code === "already_running") return true;
    throw error;
  }
}

/** Makes the token with which a runner of another home comes to this server. It is shown once. */
export async function runnerToken(name: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const made = await client.command("runner.token", { name }, { key: randomUUID() });
  if (json) return printJson(made);
  note(`for ${made.name}: TUTTI_TOKEN=<it> tutti runner --server <this server>, or in <its data folder>/runner-token`);
  print(made.token);
}

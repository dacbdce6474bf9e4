// Runs the long commands of the set-up quietly: one line on the terminal, everything else in a log that is shown on failure.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

/** A failure that the person can mend: shown without a stack. */
export class SetupError extends Error {}

/** @type {Set<{ child: import("node:child_process").ChildProcess, signal: NodeJS.Signals }>} */
const running = new Set();

/** SIGTERM ends the command that runs, waits for it, and then ends the set-up: nothing goes on in the background. */
export function stopOnSignals() {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    process.on(signal, () => {
      if (running.size === 0) process.exit(143);
      for (const command of running) {
        command.child.once("exit", () => process.exit(143));
        command.child.kill(command.signal);
      }
    });
  }
}

/**
 * Runs a program without input and waits for its end.
 * @param {string} title said on the terminal, e.g. "Installing packages (once, about a minute)"
 * @param {string[]} command the program and its arguments
 * @param {{ cwd: string, log: string, env?: NodeJS.ProcessEnv, stopSignal?: NodeJS.Signals }} options
 * @returns {Promise<void>} throws SetupError, with the end of the log, when it fails
 */
export async function runQuietly(title, command, options) {
  const started = Date.now();
  process.stderr.write(`${title} ... `);
  mkdirSync(dirname(options.log), { recursive: true });
  const log = openSync(options.log, "w");
  const problem = await finish(command, { ...options, log });
  closeSync(log);
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  process.stderr.write(problem ? `failed after ${seconds} s\n` : `done in ${seconds} s\n`);
  if (!problem) return;
  const lines = readFileSync(options.log, "utf8").trimEnd().split("\n").slice(-40);
  throw new SetupError(`${lines.join("\n")}\n\n"${command.join(" ")}" ${problem}; its whole output is in ${options.log}`);
}

/** @returns {Promise<string | null>} what went wrong */
function finish([program, ...args], { cwd, log, env, stopSignal }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ["ignore", log, log] });
    const entry = { child, signal: stopSignal ?? "SIGTERM" };
    running.add(entry);
    const end = (problem) => {
      running.delete(entry);
      resolve(problem);
    };
    child.once("error", (error) => end(`could not be started (${error.message})`));
    child.once("close", (code, signal) => end(code === 0 ? null : code === null ? `was ended by ${signal}` : `ended with ${code}`));
  });
}

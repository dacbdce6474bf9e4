import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, open as openFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as wait } from "node:timers/promises";
import { readConfig, readTerminal } from "../../../config.ts";
import { AppError, invalidInput } from "../../../errors.ts";
import { lookAt } from "../../../processes/proc.ts";
import { findProgram } from "../../../processes/program.ts";
import { processAlive, readServerFile } from "../../server-file.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { note, print, printJson, styled } from "../output.ts";

const startLimitMs = 20_000;
const programFile = fileURLToPath(new URL("../main.ts", import.meta.url));
const mainFile = fileURLToPath(new URL("../../../main.ts", import.meta.url));

/**
 * Starts the server, or says which one runs; with `runner: separate` a runner beside it, which goes on when the server is stopped.
 * Throws AppError unreachable with its last words when it does not start.
 */
export async function up(options: { foreground?: boolean; runner?: "own" | "separate" }, json: boolean): Promise<void> {
  const config = readConfig();
  const isAlone = options.runner === "separate";
  if (isAlone && options.foreground) {
    throw invalidInput("a runner beside the server does not stay in this terminal", undefined, ["tutti up --runner separate"]);
  }
  const running = await readServerFile(config.home);
  if (running) {
    if (isAlone) await startRunnerBeside(config.home);
    return say({ ...running, started: false }, json);
  }
  const log = join(config.home, "log", "server.out");
  await mkdir(join(config.home, "log"), { recursive: true, mode: 0o700 });
  const out = options.foreground ? null : await openFile(log, "w", 0o600);
  const words = [options.foreground ? "--no-tour" : "--background", ...(isAlone ? ["--no-runner"] : [])];
  const child = spawn(process.execPath, [mainFile, "start", ...words], {
    stdio: out ? ["ignore", out.fd, out.fd] : "inherit",
    detached: !options.foreground,
  });
  const ended = new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
  if (options.foreground) {
    process.removeAllListeners("SIGINT");
    process.on("SIGINT", () => undefined); // The server in the same terminal gets it too, and drains.
    process.exitCode = await ended;
    return;
  }
  await out?.close();
  const limit = performance.now() + startLimitMs;
  let gone: number | null = null;
  void ended.then((code) => (gone = code));
  while (performance.now() < limit && gone === null) {
    const file = await readServerFile(config.home);
    if (file) {
      child.unref();
      if (isAlone) await startRunnerBeside(config.home);
      return say({ ...file, started: file.pid === child.pid }, json);
    }
    await wait(50);
  }
  const told = (await readFile(log, "utf8")).trim().split("\n").slice(-6).join("\n");
  throw new AppError("unreachable", "the server did not start", {
    why: told || `it said nothing; see ${log}`,
    fix: ["tutti doctor", `less ${log}`],
  });
}

/** Does nothing when this home has a runner: the new process finds its lock held and ends. */
async function startRunnerBeside(home: string): Promise<void> {
  const out = await openFile(join(home, "log", "runner.out"), "w", 0o600);
  const child = spawn(process.execPath, [programFile, "runner"], { stdio: ["ignore", out.fd, out.fd], detached: true });
  child.unref();
  await out.close();
}

function say(server: { url: string; pid: number; version: string; started: boolean }, json: boolean): void {
  if (json) printJson({ url: server.url, pid: server.pid, version: server.version, started: server.started });
  else print(`tutti ${server.version} ${server.started ? "is up" : "was up already"}: ${server.url} (pid ${server.pid})`);
}

const stopLimitMs = 30_000;

/** Stops it and waits until it has gone. Throws AppError timed_out. */
export async function down(json: boolean): Promise<void> {
  const config = readConfig();
  const file = await readServerFile(config.home);
  if (!file) {
    if (json) printJson({ stopped: false });
    else note("no server is running");
    return;
  }
  process.kill(file.pid, "SIGTERM");
  const limit = performance.now() + stopLimitMs;
  while (!hasEnded(file.pid)) {
    if (performance.now() > limit) {
      throw new AppError("timed_out", `the server (pid ${file.pid}) does not stop`, {
        fix: [`kill -9 ${file.pid}   (nothing is lost: it goes on at the next start)`],
      });
    }
    await wait(20);
  }
  if (json) printJson({ stopped: true, pid: file.pid });
  else print(`stopped (pid ${file.pid})`);
}

/** A zombie has ended too: whoever adopted it (pid 1 of a container, often) may take a second to notice. */
const hasEnded = (pid: number): boolean => !processAlive(pid) || lookAt(pid)?.state === "Z";

/** A fresh way into the dashboard: it works once, until `expiresAt`. */
export async function makeLink(client: TuttiClient, url: string): Promise<{ url: string; expiresAt: number }> {
  const { path, expiresAt } = await client.command("link.create", {}, { key: randomUUID() });
  return { url: new URL(path, url).href, expiresAt };
}

/** Prints the link, and opens it where a person sits before a desktop of this machine. */
export async function open({ print: only = false }: { print?: boolean }, json: boolean): Promise<void> {
  const { client, url } = await connect();
  const link = await makeLink(client, url);
  const { desktop } = readTerminal();
  const opened = !only && !json && desktop && process.stdout.isTTY && startBrowser(link.url);
  if (json) return printJson(link);
  if (!process.stdout.isTTY) return print(`url=${link.url}`);
  note(opened ? "your browser opens; if it does not, use the link" : "open this link in a browser");
  print(`${styled("bold", link.url)}    works once, within 5 minutes`);
}

/** Whether there was a program to open it with. How that program fares is its own affair. */
function startBrowser(url: string): boolean {
  const program = findProgram(process.platform === "darwin" ? "open" : "xdg-open", readConfig().path);
  if (program === null) return false;
  const child = spawn(program, [url], { stdio: "ignore", detached: true });
  child.on("error", () => note("the browser could not be started"));
  child.unref();
  return true;
}

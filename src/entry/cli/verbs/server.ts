import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as wait } from "node:timers/promises";
import type { Command } from "commander";
import { readConfig } from "../../../config.ts";
import { AppError } from "../../../errors.ts";
import { lookAt } from "../../../processes/proc.ts";
import { findGit } from "../../../workspaces/find-git.ts";
import { processAlive, readServerFile } from "../../server-file.ts";
import { connect } from "../connect.ts";
import { count, note, oneLine, print, styled } from "../output.ts";
import { wantsJson } from "../options.ts";

/** The server itself: up, down, doctor. */
export function addServerVerbs(program: Command): void {
  program
    .command("up")
    .description("start the server in the background")
    .option("--foreground", "stay in this terminal until ctrl-c")
    .action(async (options: { foreground?: boolean }, command: Command) => await up(options, wantsJson(command)));
  program
    .command("down")
    .description("stop the server; work goes on at its next start")
    .action(async (_options: unknown, command: Command) => await down(wantsJson(command)));
  program
    .command("doctor")
    .description("check what Tutti needs; exit code 5 when something is missing")
    .action(async (_options: unknown, command: Command) => await doctor(wantsJson(command)));
}

const startLimitMs = 20_000;
const mainFile = fileURLToPath(new URL("../../../main.ts", import.meta.url));

async function up(options: { foreground?: boolean }, json: boolean): Promise<void> {
  const config = readConfig();
  const running = await readServerFile(config.home);
  if (running) return say({ ...running, started: false }, json);
  const log = join(config.home, "log", "server.out");
  await mkdir(join(config.home, "log"), { recursive: true, mode: 0o700 });
  const out = options.foreground ? null : await open(log, "w", 0o600);
  const child = spawn(process.execPath, [mainFile, "start", options.foreground ? "--no-tour" : "--background"], {
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

function say(server: { url: string; pid: number; version: string; started: boolean }, json: boolean): void {
  if (json) print(JSON.stringify({ url: server.url, pid: server.pid, version: server.version, started: server.started }));
  else print(`tutti ${server.version} ${server.started ? "is up" : "was up already"}: ${server.url} (pid ${server.pid})`);
}

const stopLimitMs = 30_000;

async function down(json: boolean): Promise<void> {
  const config = readConfig();
  const file = await readServerFile(config.home);
  if (!file) {
    if (json) print(JSON.stringify({ stopped: false }));
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
  print(json ? JSON.stringify({ stopped: true, pid: file.pid }) : `stopped (pid ${file.pid})`);
}

/** A zombie has ended too: whoever adopted it (pid 1 of a container, often) may take a second to notice. */
const hasEnded = (pid: number): boolean => !processAlive(pid) || lookAt(pid)?.state === "Z";

interface Finding {
  area: string;
  state: "ok" | "warning" | "problem";
  message: string;
  fix: string | null;
}

async function doctor(json: boolean): Promise<void> {
  const config = readConfig();
  const findings: Finding[] = [];
  const add = (area: string, state: Finding["state"], message: string, fix: string | null = null): void =>
    void findings.push({ area, state, message, fix });
  add("runtime", "ok", `node ${process.version}, sqlite ${process.versions.sqlite ?? "?"}`);
  const git = findGit(config.path);
  add("clones", git ? "ok" : "problem", git ?? "git was not found", git ? null : "apt-get install git");
  if (existsSync(config.home)) {
    const disk = await statfs(config.home);
    const freeMb = Math.round((disk.bavail * disk.bsize) / 1_048_576);
    add("disk", freeMb < 500 ? "problem" : "ok", `${config.home}: ${freeMb} MB free`, freeMb < 500 ? "free some space" : null);
  } else add("disk", "ok", `${config.home} is not there yet; the first start makes it`);
  try {
    const client = await connect();
    const health = await client.query("server.doctor", {});
    add("server", "ok", `${health.version} on ${health.store}`);
    const { processes } = health;
    add(
      "sandbox",
      processes.sandbox ? "ok" : "problem",
      `${processes.kind}: ${processes.why}`,
      processes.sandbox ? null : "apt-get install bubblewrap",
    );
    for (const agent of (await client.query("agent.list", { limit: 500 })).items) {
      const { state, message, fix, version } = agent.detection;
      add("agents", state === "ready" ? "ok" : "warning", `${agent.name}: ${[state, version, message].filter(Boolean).join(", ")}`, fix);
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    add("server", "problem", error.message, error.fix[0] ?? null);
  }
  const problems = findings.filter((finding) => finding.state === "problem").length;
  if (json) print(JSON.stringify({ ok: problems === 0, findings }));
  else {
    for (const finding of findings) print(line(finding));
    note(problems === 0 ? "no problems" : count(problems, "problem"));
  }
  if (problems > 0) process.exitCode = 5;
}

function line({ area, state, message, fix }: Finding): string {
  const sign = { ok: styled("green", "✓"), warning: styled("yellow", "!"), problem: styled("red", "✗") }[state];
  return `${sign} ${area.padEnd(8)}  ${oneLine(message)}${fix ? `\n             ${styled("dim", "try")}  ${oneLine(fix)}` : ""}`;
}

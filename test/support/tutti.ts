import assert from "node:assert/strict";
import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after } from "node:test";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { entries } from "../../src/commands.ts";
import { makeClient, type Client } from "../../src/entry/client.ts";

/** Real servers as processes of their own, for tests that start, kill and look at them from outside. */
export type TuttiClient = Client<typeof entries>;

export const root = fileURLToPath(new URL("../../", import.meta.url));
const mainFile = join(root, "src/main.ts");

export interface Tutti {
  url: string;
  token: string;
  pid: number;
  home: string;
  client: TuttiClient;
  /** Everything that it printed. */
  output(): string;
  /** Resolves with the exit code (or the signal's name) when the process is gone. */
  exited: Promise<number | string>;
  /** SIGTERM, and waits; answers the exit code. */
  stop(): Promise<number | string>;
}

interface StartOptions {
  home: string;
  args?: string[];
  env?: Record<string, string>;
  /** Wait until it answers; false: only start it (it may die before). */
  ready?: boolean;
}

/** An environment without anything of the person who runs the tests. */
export const bareEnvironment = (home: string): Record<string, string> => ({
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  HOME: join(dirname(home), "person"),
  TUTTI_HOME: home,
  TUTTI_PORT: "0",
  LANG: "C.UTF-8",
});

export interface Starting {
  child: ChildProcess;
  output(): string;
  exited: Promise<number | string>;
}

const children = new Set<ChildProcess>();
// A test that fails leaves its servers behind: they would keep the test file open for ever.
after(() => children.forEach((child) => child.kill("SIGKILL")));

/** Starts `main.ts start` and does not wait for anything. */
export function spawnTutti({ home, args = ["--no-tour"], env = {} }: StartOptions): Starting {
  mkdirSync(join(dirname(home), "person"), { recursive: true });
  const child = spawn(process.execPath, [mainFile, "start", ...args], {
    env: { ...bareEnvironment(home), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | string>((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")));
  return { child, output: () => text, exited };
}

/** Starts a server and waits until it answers. Throws with what it printed when it does not. */
export async function startTutti(options: StartOptions): Promise<Tutti> {
  const { child, output, exited } = spawnTutti(options);
  let ended: number | string | null = null;
  void exited.then((code) => (ended = code));
  const file = join(options.home, "server.json");
  const found = await until(`a server for ${options.home}`, () => {
    if (ended !== null) throw new Error(`the server ended with ${ended}:\n${output()}`);
    if (!existsSync(file)) return null;
    const record = JSON.parse(readFileSync(file, "utf8")) as { url: string; token: string; pid: number };
    return record.pid === child.pid ? record : null;
  });
  return {
    ...found,
    home: options.home,
    client: makeClient({ url: found.url, token: found.token, entries }),
    output,
    exited,
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}

/** Asks again until there is an answer, every 20 ms for at most 60 s. For conditions that nothing announces. */
export async function until<T>(
  what: string,
  ask: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  limitMs = 60_000,
): Promise<T> {
  const limit = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (performance.now() > limit) throw new Error(`waited ${limitMs} ms for ${what}`);
    await wait(20);
  }
}

/** A folder for one test, outside of the repository; removed with everything in it. */
export function makeFolder(): { path: string; home: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tutti-test-"));
  return { path, home: join(path, "home"), remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

const gitEnvironment = {
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  HOME: "/nonexistent",
  GIT_AUTHOR_NAME: "Ada Example",
  GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada Example",
  GIT_COMMITTER_EMAIL: "ada@example.org",
  GIT_CONFIG_NOSYSTEM: "1",
};

export const git = (folder: string, ...args: string[]): string =>
  execFileSync("git", ["-C", folder, ...args], { env: gitEnvironment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** A person's repository with these files, committed on `main`. */
export function makeRepository(folder: string, files: Record<string, string>): string {
  mkdirSync(folder, { recursive: true });
  git(folder, "init", "-q", "-b", "main");
  git(folder, "config", "user.name", "Ada Example");
  git(folder, "config", "user.email", "ada@example.org");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  git(folder, "add", "-A");
  git(folder, "commit", "-q", "-m", "first");
  return folder;
}

export interface Leftover {
  pid: number;
  command: string;
}

/** Processes that belong to a session of this home, by their environment or by the folder that they work in. */
export function leftovers(home: string): Leftover[] {
  // A home that was killed before it had an id has started nothing.
  const instance = existsSync(join(home, "id")) ? readFileSync(join(home, "id"), "utf8").trim() : null;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const environment = readOrEmpty(`/proc/${name}/environ`).split("\0");
      const ours =
        instance !== null &&
        environment.some((line) => line.startsWith("TUTTI_SESSION=")) &&
        environment.includes(`TUTTI_INSTANCE=${instance}`);
      const inside = cwdOf(name).startsWith(join(home, "sessions"));
      return ours || inside ? [{ pid: Number(name), command: readOrEmpty(`/proc/${name}/cmdline`).replaceAll("\0", " ") }] : [];
    });
}

function cwdOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ""; // It has ended meanwhile.
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // It has ended meanwhile.
  }
}

/** No process of a session is left within 2 seconds. */
export async function assertNothingLeft(home: string): Promise<void> {
  const left = await until("the last process to end", () => (leftovers(home).length === 0 ? true : null), 2_000).catch(() =>
    leftovers(home),
  );
  assert.deepEqual(left === true ? [] : left, []);
}

import { type ChildProcess, spawn } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runnerLeaseMs } from "../../src/runners/store.ts";
import { descendants, isAlive, type Seen } from "./processes.ts";

/** One server with its home (or one runner beside it), kept up like a service manager would, and what can be done to it from outside. */
export interface Node {
  readonly name: string;
  readonly home: string;
  readonly url: string;
  /** How often it ended by itself though nobody did anything to it, with its last words. */
  readonly exits: string[];
  /** What it had started and was alive 2 s after it was killed. */
  readonly orphans: string[];
  /** Starts it and keeps it up from now on; resolves when it answers. */
  start(): Promise<void>;
  /** Whether it has told that it is ready, and lives. */
  isUp(): boolean;
  /** The server's process; null between two lives. */
  pid(): number | null;
  token(): string;
  /** The id of its runner, from its home. */
  runner(): string;
  /** SIGKILL; it is started again after so long, ms. False: there was nothing to kill. */
  kill(downMs: number): boolean;
  /** SIGSTOP, and SIGCONT after so long, ms, unless it was killed meanwhile. False: there was nothing to stop. */
  freeze(forMs: number): Promise<boolean>;
  /** Moves the wall clock of this process and its later lives; not the monotonic one. */
  setClock(offsetSeconds: number): void;
  /** SIGTERM; answers its exit code. Not started again. */
  stop(): Promise<number | string>;
  /** SIGKILL. Not started again. */
  end(): void;
}

interface NodeOptions {
  name: string;
  home: string;
  port: number;
  databaseUrl: string | undefined;
  /** With libfaketime in front of it. */
  canMoveClock: boolean;
  /** A runner process, which listens to the server at this address. */
  runnerOf?: string;
  /** Where its source is, when that is not this repository. */
  tree?: string;
  /** Beside what every server gets. */
  env?: Record<string, string>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const orphanGraceMs = 2_000;
const startLimitMs = 60_000;

/** Debian's libfaketime. Throws with the one thing to do when it is not there. */
function findFakeTime(): string {
  const [found] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");
  if (!found) throw new Error("clock jumps need libfaketime: apt-get install libfaketime");
  return found;
}

const fakeTime = (file: string): Record<string, string> => ({
  LD_PRELOAD: findFakeTime(),
  FAKETIME_TIMESTAMP_FILE: file,
  FAKETIME_CACHE_DURATION: "1",
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
  NO_FAKE_STAT: "1",
});

/** What makes a process use plain folders for the projects that are called so. */
export const plainFolders = (tree: string = root): string => join(tree, "test/chaos/plain-folders.ts");

interface Life {
  child: ChildProcess;
  output: string;
  isReady: boolean;
  /** We ended it ourselves. */
  isOurDoing: boolean;
}

export function makeNode(options: NodeOptions): Node {
  const { name, home, port } = options;
  const clockFile = join(dirname(home), `${name.replace(" ", "-")}.clock`);
  const exits: string[] = [];
  const orphans: string[] = [];
  let life: Life | null = null;
  let isKept = false;
  let comesUp: Promise<void> = Promise.resolve();

  const environment = (): Record<string, string> => ({
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: join(dirname(home), "person"),
    LANG: "C.UTF-8",
    TUTTI_HOME: home,
    TUTTI_PORT: String(port),
    // Some hundred modules are compiled at each start; here once for all.
    NODE_COMPILE_CACHE: join(dirname(home), "compiled"),
    ...(options.canMoveClock ? fakeTime(clockFile) : {}),
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    ...options.env,
  });

  function begin(): Life {
    const tree = options.tree ?? root;
    const hooked = ["--disable-warning=ExperimentalWarning", "--import", plainFolders(tree)];
    const asServer = [join(tree, "src/main.ts"), "start", "--no-tour", "--background"];
    const asRunner = [
      join(tree, "src/entry/cli/main.ts"),
      "runner",
      "--lease",
      String(runnerLeaseMs / 1_000),
      "--server",
      options.runnerOf ?? "",
    ];
    const words = [...hooked, ...(options.runnerOf === undefined ? asServer : asRunner)];
    const child = spawn(process.execPath, words, { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
    const begun: Life = { child, output: "", isReady: false, isOurDoing: false };
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        begun.output = (begun.output + chunk.toString()).slice(-4_000);
        begun.isReady ||= /^(url|runner)=/m.test(begun.output);
      });
    }
    child.once("exit", (code, signal) => ended(begun, code ?? signal ?? "gone"));
    return begun;
  }

  function ended(over: Life, how: number | string): void {
    if (life === over) life = null;
    // A server that cannot reach its database does not start: that is no fall.
    if (!over.isOurDoing && over.isReady) exits.push(`${name} ended with ${how}: ${over.output.slice(-500)}`);
    if (!over.isOurDoing && isKept) comesUp = comeUp(100);
  }

  async function comeUp(afterMs: number): Promise<void> {
    await pause(afterMs);
    const limit = performance.now() + startLimitMs;
    if (!isKept || life) return;
    const mine = begin();
    life = mine;
    while (life === mine && !mine.isReady) {
      if (performance.now() > limit) throw new Error(`${name} was not ready after ${startLimitMs} ms: ${mine.output}`);
      await pause(20);
    }
  }

  const pid = (): number | null => life?.child.pid ?? null;
  const send = (to: Life | null, signal: NodeJS.Signals): boolean => to?.child.kill(signal) ?? false;

  /** In 2 s none of what it had started may be left, whether it is up again or not. */
  async function watchOrphans(started: Seen[]): Promise<void> {
    await pause(orphanGraceMs);
    orphans.push(...started.filter(isAlive).map(({ pid: left, command }) => `${name} left ${left}: ${command.slice(0, 200)}`));
  }

  // Should we be ended in the middle of a run, nothing of it stays.
  process.on("exit", () => void send(life, "SIGKILL"));
  mkdirSync(home, { recursive: true, mode: 0o700 });
  mkdirSync(join(dirname(home), "person"), { recursive: true });
  writeFileSync(clockFile, "+0s\n");

  return {
    name,
    home,
    url: `http://127.0.0.1:${port}`,
    exits,
    orphans,
    pid,
    isUp: () => life?.isReady ?? false,
    token: () => (JSON.parse(readFileSync(join(home, "server.json"), "utf8")) as { token: string }).token,
    runner: () => `runner-${readFileSync(join(home, "id"), "utf8").trim()}`,
    async start() {
      isKept = true;
      if (!life) comesUp = comeUp(0);
      while (isKept && !life?.isReady) await pause(20);
    },
    kill(downMs) {
      const victim = life;
      if (!victim?.child.pid) return false;
      victim.isOurDoing = true;
      const started = descendants(victim.child.pid);
      if (!send(victim, "SIGKILL")) return false;
      life = null;
      if (started.length > 0) void watchOrphans(started);
      if (isKept) comesUp = comeUp(downMs);
      return true;
    },
    async freeze(forMs) {
      const frozen = life;
      if (!send(frozen, "SIGSTOP")) return false;
      await pause(forMs);
      return send(frozen, "SIGCONT");
    },
    end() {
      isKept = false;
      if (life) life.isOurDoing = true;
      send(life, "SIGKILL");
    },
    setClock: (offsetSeconds) => writeFileSync(clockFile, `${offsetSeconds < 0 ? "" : "+"}${offsetSeconds}s\n`),
    async stop() {
      isKept = false;
      await comesUp;
      const last = life;
      if (!last) return "it was not up";
      last.isOurDoing = true;
      const exit = new Promise<number | string>((resolve) => last.child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")));
      send(last, "SIGTERM");
      return await exit;
    },
  };
}

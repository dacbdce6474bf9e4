import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { bareEnvironment, makeFolder, makeRepository, root, startTutti, until, type Tutti } from "./tutti.ts";

/** The command line as a person or a script uses it: the real program, a real server with a scripted agent, a real terminal. */
export interface Bench {
  tutti: Tutti;
  /** Everything is in here. */
  folder: string;
  home: string;
  /** The person's home. */
  person: string;
  /** A repository with the scripted agent in it; where calls are made. */
  shop: string;
  call(words: string[], options?: Call): Promise<Ended>;
  /** Throws when it ends with another code. */
  expectCode(code: number, words: string[], options?: Call): Promise<Ended>;
  /** With --json: the object on stdout. */
  json<T = Record<string, unknown>>(words: string[], options?: Call & { code?: number }): Promise<T>;
  /** In a terminal that script(1) makes; what is shown decides what is typed next. */
  inTerminal(words: string[], typing: [RegExp, string][], options?: Call): Promise<Omit<Ended, "stderr">>;
  environment(home: string, env: Record<string, string>): Record<string, string>;
  /** A task for the agent `actor`; answers its id. */
  give(prompt: string): Promise<string>;
  whenIn(id: string, state: string): Promise<boolean>;
  stateOf(id: string): Promise<string>;
  /** A finished task. */
  ended(prompt: string): Promise<string>;
  /** A program of this name on the PATH of every call and of the server. */
  plant(name: string, script: string): void;
  close(): Promise<void>;
}

export interface Ended {
  code: number | string;
  stdout: string;
  stderr: string;
  /** From what was last typed, or from the signal, to the end. */
  leftAfterMs: number;
}

export interface Call {
  cwd?: string;
  home?: string;
  env?: Record<string, string>;
  input?: string;
  /** Sends SIGINT as soon as its output has this in it. */
  interruptAt?: RegExp;
  /** Calls this once, as soon as its output has that in it. */
  when?: { shows: RegExp; act(): void };
}

export const program = join(root, "src/entry/cli/main.ts");

/** Whatever hangs is ended, so that its test says so. */
const limitMs = 60_000;

function endLater(child: ChildProcess): void {
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  child.once("close", () => clearTimeout(timer));
}

/** The scripted agent lies in the repository itself: that is what a session sees, wherever this clone is. */
const agentFiles = {
  "agent/package.json": '{ "type": "module" }\n',
  ...Object.fromEntries(
    ["main.ts", "good.ts", "bad.ts", "wire.ts"].map((name) => [
      `agent/${name}`,
      readFileSync(join(root, "test/support/acp-agents", name), "utf8"),
    ]),
  ),
};

/** A server with the agents `actor` and `asker`, which asks for every permission. */
export async function openBench(): Promise<Bench> {
  const folder = makeFolder();
  const [person, bin] = [join(folder.path, "person"), join(folder.path, "bin")];
  for (const place of [bin, person]) mkdirSync(place, { recursive: true });
  // Some hundred modules are compiled for each call; here once for all.
  const usual = { NODE_COMPILE_CACHE: join(folder.path, "compiled"), TERM: "xterm-256color" };
  const shop = makeRepository(join(folder.path, "shop"), { "README.md": "a shop\n", ...agentFiles });
  const tutti = await startTutti({ home: folder.home, env: { PATH: [bin, process.env.PATH].join(delimiter) } });

  const environment = (home: string, env: Record<string, string>): Record<string, string> => ({
    ...bareEnvironment(home),
    HOME: person,
    ...usual,
    ...env,
    PATH: [bin, env["PATH"] ?? process.env.PATH].join(delimiter),
  });

  const call: Bench["call"] = (words, { cwd = shop, home = folder.home, env = {}, input = "", interruptAt, when } = {}) => {
    const child = spawn(process.execPath, [program, ...words], { cwd, env: environment(home, env), stdio: "pipe" });
    endLater(child);
    child.stdin.on("error", () => undefined); // It may end before it has read all.
    child.stdin.end(input);
    let stdout = "";
    let stderr = "";
    let interruptedAt = 0;
    let waiting = when;
    const look = (): void => {
      if (waiting?.shows.test(stdout + stderr)) {
        const { act } = waiting;
        waiting = undefined;
        act();
      }
      if (!interruptAt?.test(stdout + stderr) || interruptedAt > 0) return;
      interruptedAt = performance.now();
      child.kill("SIGINT");
    };
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      look();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      look();
    });
    return new Promise((resolve) =>
      child.once("close", (code, signal) =>
        resolve({ code: code ?? signal ?? "gone", stdout, stderr, leftAfterMs: performance.now() - interruptedAt }),
      ),
    );
  };

  const expectCode: Bench["expectCode"] = async (code, words, options) => {
    const ended = await call(words, options);
    assert.equal(ended.code, code, `tutti ${words.join(" ")}\n${ended.stdout}${ended.stderr}`);
    return ended;
  };

  const json: Bench["json"] = async <T>(words: string[], options?: Call & { code?: number }) => {
    const { stdout } = await expectCode(options?.code ?? 0, [...words, "--json"], options);
    return JSON.parse(stdout) as T;
  };

  const inTerminal: Bench["inTerminal"] = (words, typing, { env = {}, home = folder.home } = {}) => {
    const quoted = [process.execPath, program, ...words].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const child = spawn("script", ["-qefc", quoted, "/dev/null"], {
      cwd: shop,
      env: { SHELL: "/bin/sh", ...environment(home, env) },
      stdio: ["pipe", "pipe", "ignore"],
    });
    endLater(child);
    const left = [...typing];
    let stdout = "";
    let typedAt = 0;
    let from = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      const [next] = left;
      if (!next?.[0].test(stdout.slice(from))) return;
      left.shift();
      from = stdout.length;
      typedAt = performance.now();
      child.stdin.write(next[1]);
    });
    return new Promise((resolve) =>
      child.once("close", (code, signal) => resolve({ code: code ?? signal ?? "gone", stdout, leftAfterMs: performance.now() - typedAt })),
    );
  };

  const give: Bench["give"] = async (prompt) => String((await json(["run", prompt, "--agent", "actor", "--detach"])).id);
  const stateOf: Bench["stateOf"] = async (id) => (await tutti.client.query("task.get", { id })).state;
  const whenIn: Bench["whenIn"] = (id, state) =>
    until(`${id} to be ${state}`, async () => {
      const task = await tutti.client.query("task.get", { id });
      return task.state === state && task.session !== null;
    });

  const command = ["--command", process.execPath, "--command", "agent/main.ts", "--command", "good"];
  await expectCode(0, ["agents", "add", "actor", "--backend", "acp", ...command]);
  await expectCode(0, ["agents", "add", "asker", "--backend", "acp", "--ask", ...command]);
  return {
    tutti,
    folder: folder.path,
    home: folder.home,
    person,
    shop,
    call,
    expectCode,
    json,
    inTerminal,
    environment,
    give,
    whenIn,
    stateOf,
    async ended(prompt) {
      const id = await give(prompt);
      await whenIn(id, "done");
      return id;
    },
    plant(name, script) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    },
    async close() {
      await tutti.stop();
      folder.remove();
    },
  };
}

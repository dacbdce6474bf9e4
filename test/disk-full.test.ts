import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { entries } from "../src/commands.ts";
import { makeClient } from "../src/entry/client.ts";
import { AppError } from "../src/errors.ts";
import { addAgent, addProject, done, fileOfRunning, give, shellAgent } from "./support/work.ts";
import { send } from "./support/server.ts";
import { bareEnvironment, git, makeFolder, makeRepository, root, until, type Tutti } from "./support/tutti.ts";

/** A real server whose disk runs full and gets space again. The small disk is a mount of the server's alone. */
const unshare = process.getuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];

/** Why this machine cannot make a small disk for one process, or false. */
function whyNoMount(): string | false {
  try {
    execFileSync("unshare", [...unshare, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmpdir()], { stdio: "ignore" });
    return false;
  } catch {
    return "mount namespaces are not permitted here";
  }
}

const mountThenBecome = 'mount -t tmpfs -o "size=$1m,mode=700" tmpfs "$2" && shift 2 && exec "$@"';
const children = new Set<ChildProcess>();

/** The same as startTutti, with $TUTTI_HOME on a disk of its own. `home` of the answer is where we see that disk. */
async function startOnSmallDisk(home: string, megabytes: number): Promise<Tutti> {
  mkdirSync(home, { recursive: true });
  const server = [process.execPath, join(root, "src/main.ts"), "start", "--no-tour"];
  const child = spawn("unshare", [...unshare, "sh", "-c", mountThenBecome, "sh", String(megabytes), home, ...server], {
    env: bareEnvironment(home),
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | string>((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone")));
  const seen = `/proc/${child.pid}/root${home}`;
  const found = await until("the server on the small disk", () => {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${text}`);
    const file = join(seen, "server.json");
    return existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { url: string; token: string; pid: number });
  });
  return {
    ...found,
    home: seen,
    client: makeClient({ url: found.url, token: found.token, entries }),
    output: () => text,
    exited,
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}

/** Writes until this much is left. */
function fillUpTo(home: string, left: number): void {
  const { bavail, bsize } = statfsSync(home);
  const ballast = openSync(join(home, "ballast"), "a");
  try {
    const piece = Buffer.alloc(64 * 1024);
    for (let more = bavail * bsize - left; more > 0; more -= piece.length) writeSync(ballast, piece, 0, Math.min(more, piece.length));
  } finally {
    closeSync(ballast);
  }
}

/** Writes until nothing more fits, also not a small file. */
function fill(home: string): void {
  const ballast = openSync(join(home, "ballast"), "a");
  try {
    for (const size of [1 << 20, 1 << 16, 4096, 1]) {
      while (fits(ballast, size));
    }
  } finally {
    closeSync(ballast);
  }
}

function fits(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}

suite("a full disk", { skip: whyNoMount() }, () => {
  const folder = makeFolder();
  const repository = join(folder.path, "repository");
  let tutti: Tutti;
  let project: string;
  let working: string;

  before(async () => {
    tutti = await startOnSmallDisk(folder.home, 24);
    await addAgent(tutti, shellAgent);
    project = await addProject(tutti, makeRepository(repository, { "a.txt": "a\n" }));
  });
  after(async () => {
    await tutti?.stop();
    for (const child of children) child.kill("SIGKILL");
    folder.remove();
  });

  test("refuses commands with disk_full, answers questions, and keeps what it has", async () => {
    const script = "echo the work > work.txt; until [ -e go ]; do sleep 0.05; done; : > gone";
    working = (await give(tutti, project, script)).id;
    const { work } = await fileOfRunning(tutti, working, "work.txt");
    const before = await tutti.client.query("task.list", {});
    fill(tutti.home);

    const made = new Set<string>();
    const refused = await until("a command to be refused", async () => {
      try {
        made.add((await give(tutti, project, `# ${"x".repeat(50_000)}\ntrue`)).id);
        return null;
      } catch (error) {
        return error instanceof AppError && error;
      }
    });
    assert.equal(refused.code, "disk_full");
    assert.equal(refused.status, 507);
    assert.ok(refused.why || refused.fix.length > 0);
    const answer = await send(Number(new URL(tutti.url).port), "/api/commands/token.create", {
      method: "POST",
      token: tutti.token,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "x".repeat(100) }),
    });
    assert.ok([200, 507].includes(answer.status), answer.text);

    const now = await tutti.client.query("task.list", {});
    assert.deepEqual(
      new Set(now.items.map(({ id }) => id)),
      new Set([...made, ...before.items.map(({ id }) => id)]),
      "what was acknowledged is there, what was refused is not",
    );
    assert.equal((await tutti.client.query("project.get", { id: project })).id, project);
    // The agent's turn ends while nothing can be written.
    writeFileSync(join(work, "go"), "");
    await until("the agent to have gone on", () => existsSync(join(work, "gone")));
  });

  test("takes commands again when there is space, and loses none of the work that was under way", async () => {
    rmSync(join(tutti.home, "ballast"));
    await until("a command to be taken", async () => {
      try {
        return await give(tutti, project, "true");
      } catch (error) {
        if (error instanceof AppError && error.code === "disk_full") return null;
        throw error;
      }
    });
    // Whatever of its end could not be written was told again, or tried again in the same clone.
    const task = await done(tutti, working);
    assert.equal(git(repository, "show", `${task.result?.branch}:work.txt`), "the work");
    const last = await done(tutti, (await give(tutti, project, "echo more > more.txt")).id);
    assert.deepEqual(last.result?.files, ["more.txt"]);
    assert.equal(await tutti.stop(), 0);
  });
});

suite("a disk that is nearly full", { skip: whyNoMount() }, () => {
  const folder = makeFolder();
  let tutti: Tutti;
  before(async () => {
    tutti = await startOnSmallDisk(folder.home, 96);
    await addAgent(tutti, shellAgent);
  });
  after(async () => {
    await tutti?.stop();
    for (const child of children) child.kill("SIGKILL");
    folder.remove();
  });

  test("takes commands and ends what is under way, but starts nothing new until there is room again", async () => {
    const project = await addProject(tutti, makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" }));
    const working = (await give(tutti, project, "echo begun > work.txt; until [ -e go ]; do sleep 0.05; done; rm go")).id;
    const { work } = await fileOfRunning(tutti, working, "work.txt");

    // One percent is the reserve; half of it is left, in which much can be written.
    fillUpTo(tutti.home, 480 * 1024);
    const log = join(tutti.home, "log", "server.log");
    await until("the server to notice", () => readFileSync(log, "utf8").includes("nothing new is started"));
    const waiting = (await give(tutti, project, "echo later > later.txt")).id;
    // Its end wakes the assignment, and frees a place.
    writeFileSync(join(work, "go"), "");
    await done(tutti, working);
    const held = await until("the reason of waiting", async () => {
      const task = await tutti.client.query("task.get", { id: waiting });
      return task.reason === "disk full" && task;
    });
    assert.equal(held.state, "queued");
    assert.equal(held.attempts.length, 0);

    rmSync(join(tutti.home, "ballast"));
    assert.deepEqual((await done(tutti, waiting)).result?.files, ["later.txt"]);
    assert.ok(readFileSync(log, "utf8").includes("work is started again"));
    assert.equal(await tutti.stop(), 0);
  });
});

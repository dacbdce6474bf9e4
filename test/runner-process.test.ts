import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { readOr } from "./support/work.ts";
import { startFaultProxy } from "./support/fault-proxy.ts";
import { spawnRunner, startRunner, type RunnerProcess } from "./support/runner-process.ts";
import {
  assertNothingLeft,
  bareEnvironment,
  git,
  leftovers,
  makeFolder,
  makeRepository,
  root,
  startTutti,
  until,
  type Tutti,
} from "./support/tutti.ts";

/** A runner that is a process of its own: what it works on goes on, whatever becomes of its server. */
const alone = { TUTTI_RUNNER: "none" };

/** Counts aloud, a line each tenth of a second. */
const countTo = (last: number): string => `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo "line $i"; sleep 0.1; done`;
const agentFile = (name: string): string => readFileSync(join(root, "test/support/acp-agents", name), "utf8");

interface World {
  folder: ReturnType<typeof makeFolder>;
  server: Tutti;
  runner: RunnerProcess;
  project: string;
}

async function openWorld(): Promise<World> {
  const folder = makeFolder();
  const server = await startTutti({ home: folder.home, env: alone });
  const runner = await startRunner({ home: folder.home });
  // The scripted agent lies in the repository itself: that is what a sandboxed session can see.
  const files = Object.fromEntries(["main.ts", "good.ts", "bad.ts", "wire.ts"].map((name) => [`agent/${name}`, agentFile(name)]));
  const repository = makeRepository(join(folder.path, "repository"), { ...files, "agent/package.json": '{ "type": "module" }\n' });
  const { id: project } = await server.client.command("project.create", { folder: repository });
  const add = (name: string, backend: "command" | "acp", command: string[]) =>
    server.client.command("agent.create", {
      name,
      backend,
      limit: 4,
      settings: { command, env: {}, credentials: "none", permissions: "ask" },
    });
  await add("counter", "command", ["sh", "-c", countTo(50)]);
  await add("short", "command", ["sh", "-c", countTo(15)]);
  await add("asking", "acp", [process.execPath, "agent/main.ts", "good"]);
  return { folder, server, runner, project };
}

async function closeWorld({ folder, server, runner }: World): Promise<void> {
  await runner.stop();
  await server.stop();
  folder.remove();
}

const begin = async ({ server, project }: World, agent = "short"): Promise<string> => {
  const { id } = await server.client.command("task.create", { project, prompt: "count", agent });
  await until("it to count", async () => {
    const task = await server.client.query("task.get", { id });
    if (task.state === "failed") throw new Error(task.message ?? "it failed");
    return task.state === "running" && (await said(server, id)).includes("line 2");
  });
  return id;
};

const ended = (server: Tutti, id: string) =>
  until(`${id} to end`, async () => {
    const task = await server.client.query("task.get", { id });
    return task.finishedAt !== null && task;
  });

/** All that the agent printed in the task's session, as the transcript has it. */
async function said(server: Tutti, id: string): Promise<string> {
  const { session } = await server.client.query("task.get", { id });
  if (session === null) return "";
  const { items } = await server.client.query("session.transcript", { id: session, limit: 500 });
  return items.flatMap(({ kind, text }) => (kind === "text" ? [text] : [])).join("");
}

const lines = (last: number): string => Array.from({ length: last }, (_, index) => `line ${index + 1}`).join("\n");
const assertAtWork = (home: string): void =>
  assert.ok(leftovers(home).length > 0, "nothing of an agent runs that could be seen to survive");
const brokerOf = (home: string): string => readFileSync(join(home, "broker-port"), "utf8");

suite("a server that goes away", () => {
  let world: World;
  before(async () => {
    world = await openWorld();
  });
  after(() => closeWorld(world));

  test("an attempt goes on through kill -9 and restart of its server: number 1, its transcript whole", async () => {
    const id = await begin(world, "counter");
    process.kill(world.server.pid, "SIGKILL");
    await world.server.exited;
    assertAtWork(world.folder.home);
    world.server = await startTutti({ home: world.folder.home, env: alone });
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt, task.attempts.length], ["done", 1, 1], task.message ?? "");
    assert.equal((await said(world.server, id)).trim(), lines(50));
    assert.equal(world.runner.epochs().length, 1, "the runner kept its life");
  });

  test("an attempt goes on through a drain and a restart of its server too", async () => {
    const id = await begin(world);
    assert.equal(await world.server.stop(), 0);
    assertAtWork(world.folder.home);
    world.server = await startTutti({ home: world.folder.home, env: alone });
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt], ["done", 1], task.message ?? "");
    assert.equal((await said(world.server, id)).trim(), lines(15));
  });

  test("a person's stop reaches an attempt after the restart, and the broker is where it was", async () => {
    const broker = brokerOf(world.folder.home);
    const id = await begin(world, "counter");
    process.kill(world.server.pid, "SIGKILL");
    await world.server.exited;
    world.server = await startTutti({ home: world.folder.home, env: alone });
    await world.server.client.command("task.stop", { id });
    assert.deepEqual((await ended(world.server, id)).state, "cancelled");
    await assertNothingLeft(world.folder.home);
    assert.equal(brokerOf(world.folder.home), broker);
  });

  for (const when of ["before the runner is there again", "after the restart"]) {
    test(`a question stays open through kill -9 of the server; its answer reaches the same attempt when it comes ${when}`, async () => {
      const { id } = await world.server.client.command("task.create", {
        project: world.project,
        prompt: `ASK ${when.length}.txt: it was allowed`,
        agent: "asking",
      });
      const approval = await until("the question", async () => {
        const { items } = await world.server.client.query("approval.list", { state: "open" });
        return items.find(({ task }) => task === id);
      });
      const answer = () => world.server.client.command("approval.answer", { id: approval.id, answer: "yes", hash: approval.hash });
      const isEarly = when.startsWith("before");
      // A runner that is stopped, for less than its lease, does not come to the new server before the answer.
      if (isEarly) world.runner.child.kill("SIGSTOP");
      process.kill(world.server.pid, "SIGKILL");
      await world.server.exited;
      world.server = await startTutti({ home: world.folder.home, env: alone });
      await answer();
      if (isEarly) world.runner.child.kill("SIGCONT");
      const task = await ended(world.server, id);
      assert.deepEqual([task.state, task.attempt], ["done", 1], task.message ?? "");
      assert.equal(git(join(world.folder.path, "repository"), "show", `tutti/${id}:${when.length}.txt`), "it was allowed");
    });
  }

  test("through a network that cuts every connection again and again, each attempt is done once and whole", async () => {
    await world.runner.stop();
    const at = new URL(world.server.url);
    const proxy = await startFaultProxy({ to: { host: at.hostname, port: Number(at.port) } });
    world.runner = await startRunner({ home: world.folder.home, args: ["--server", `http://127.0.0.1:${proxy.port}`] });
    const ids = await Promise.all(
      [1, 2, 3].map(() => world.server.client.command("task.create", { project: world.project, prompt: "count", agent: "short" })),
    );
    let cuts = 0;
    const cutting = setInterval(() => (cuts += proxy.cut()), 150);
    for (const { id } of ids) {
      const task = await ended(world.server, id);
      assert.deepEqual([task.state, task.attempt], ["done", 1], task.message ?? "");
      assert.equal((await said(world.server, id)).trim(), lines(15));
    }
    clearInterval(cutting);
    assert.ok(cuts >= 5, `only ${cuts} connections were cut`);
    await world.runner.stop();
    await proxy.close();
    world.runner = await startRunner({ home: world.folder.home });
  });
});

suite("a runner that goes away", () => {
  let world: World;
  before(async () => {
    world = await openWorld();
  });
  after(() => closeWorld(world));

  test("killed with -9 and started again: attempt 2 in the same session, and nothing of attempt 1 runs", async () => {
    const id = await begin(world);
    const { session } = await world.server.client.query("task.get", { id });
    world.runner.child.kill("SIGKILL");
    await world.runner.exited;
    world.runner = await startRunner({ home: world.folder.home });
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt, task.session], ["done", 2, session]);
    assert.deepEqual(task.attempts.map(({ state }) => state).at(-1), "done");
  });

  test("stopped past its lease and continued: its word is refused, its processes end, and it begins another life", async () => {
    await world.runner.stop();
    world.runner = await startRunner({ home: world.folder.home, args: ["--lease", "8"] });
    const id = await begin(world, "counter");
    const before = world.runner.epochs().length;
    world.runner.child.kill("SIGSTOP");
    await until("its lease to be over", async () => {
      const { attempt, state } = await world.server.client.query("task.get", { id });
      return state === "queued" || attempt === 2;
    });
    world.runner.child.kill("SIGCONT");
    await until("its next life", () => world.runner.epochs().length > before);
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt], ["done", 2]);
    assert.equal(task.attempts[0]?.state, "failed");
    await assertNothingLeft(world.folder.home);
    await world.runner.stop();
    world.runner = await startRunner({ home: world.folder.home });
  });

  test("drained: what runs ends in its grace, with attempt 1, and the process leaves with 0", async () => {
    const id = await begin(world);
    world.runner.child.kill("SIGTERM");
    assert.equal(await world.runner.exited, 0);
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt], ["done", 1]);
    world.runner = await startRunner({ home: world.folder.home });
  });

  test("drained without grace, or asked twice: what runs is interrupted and goes on in the next runner", async () => {
    const id = await begin(world);
    world.runner.child.kill("SIGTERM");
    await until("it to drain", async () => (await world.server.client.query("runner.list", {})).items[0]?.draining);
    world.runner.child.kill("SIGTERM");
    assert.equal(await world.runner.exited, 0);
    await assertNothingLeft(world.folder.home);
    assert.equal((await world.server.client.query("task.get", { id })).attempt, 1);
    world.runner = await startRunner({ home: world.folder.home });
    const task = await ended(world.server, id);
    assert.deepEqual([task.state, task.attempt], ["done", 2]);
  });
});

suite("one runner for a home", () => {
  test("a second runner, and a runner beside a server that has its own, are refused; the file of its token is only its owner's", async () => {
    const folder = makeFolder();
    const server = await startTutti({ home: folder.home });
    const refused = spawnRunner({ home: folder.home });
    assert.equal(await refused.exited, 9);
    assert.match(refused.output(), /has a runner already/);
    assert.equal(statSync(join(folder.home, "runner-token")).mode & 0o777, 0o600);
    await server.stop();
    const first = spawnRunner({ home: folder.home });
    await until("it to look for a server", () => readOr(join(folder.home, "log", "runner.log"))?.includes("no server is running"));
    // A server that finds a runner there leaves the sessions to it.
    const beside = await startTutti({ home: folder.home });
    await until("the runner to listen", async () => (await beside.client.query("runner.list", {})).items[0]?.server);
    const { items } = await beside.client.query("runner.list", {});
    assert.deepEqual(
      items.map(({ live, server: at }) => [live, at]),
      [[true, beside.url]],
    );
    assert.equal(await first.stop(), 0);
    await beside.stop();
    folder.remove();
  });

  test("without a token it says so, and a token of another kind does not help", async () => {
    const folder = makeFolder();
    const bare = spawnRunner({ home: folder.home });
    assert.equal(await bare.exited, 4);
    assert.match(bare.output(), /no token/);
    const server = await startTutti({ home: folder.home, env: alone });
    const person = spawnRunner({ home: folder.home, env: { TUTTI_TOKEN: server.token } });
    assert.equal(await person.exited, 4);
    assert.match(person.output(), /only runners/);
    await server.stop();
    folder.remove();
  });
});

suite("a runner with a data folder of its own", () => {
  test("comes with the token that was made for it, and does the work there", async () => {
    const folder = makeFolder();
    const server = await startTutti({ home: folder.home, env: alone });
    const { token, name } = await server.client.command("runner.token", { name: "elsewhere" }, { key: "one" });
    assert.equal(name, "runner-elsewhere");
    const other = makeFolder();
    const runner = await startRunner({ home: other.home, args: ["--server", server.url, "--capacity", "2"], env: { TUTTI_TOKEN: token } });
    const repository = makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" });
    const { id: project } = await server.client.command("project.create", { folder: repository });
    const command = ["sh", "-c", "echo made > made.txt"];
    const settings = { command, env: {}, credentials: "none" as const, permissions: "auto" as const };
    await server.client.command("agent.create", { name: "maker", backend: "command", settings });
    const { id } = await server.client.command("task.create", { project, prompt: "make", agent: "maker" });
    const task = await ended(server, id);
    assert.deepEqual([task.state, task.attempt], ["done", 1], task.message ?? "");
    assert.equal(git(repository, "show", `tutti/${id}:made.txt`), "made");
    assert.ok(existsSync(join(other.home, "sessions", task.session ?? "none")));
    assert.ok(!existsSync(join(folder.home, "sessions", task.session ?? "none")));
    const { items } = await server.client.query("runner.list", {});
    assert.deepEqual(
      items.map((one) => [one.id, one.live, one.capacity, one.server]),
      [["runner-elsewhere", true, 2, server.url]],
    );
    assert.equal(await runner.stop(), 0);
    await server.stop();
    other.remove();
    folder.remove();
  });
});

test("up --runner separate starts both; down leaves the runner, and runner stop ends it", async () => {
  const folder = makeFolder();
  const env = bareEnvironment(folder.home);
  mkdirSync(env["HOME"] ?? "", { recursive: true });
  const tutti = (...words: string[]): Record<string, unknown> =>
    JSON.parse(
      execFileSync(process.execPath, [join(root, "src/entry/cli/main.ts"), ...words, "--json"], { env, encoding: "utf8" }),
    ) as Record<string, unknown>;
  assert.equal(tutti("up", "--runner", "separate")["started"], true);
  const live = () => (tutti("runner", "list")["items"] as { live: boolean; server: string | null }[])[0];
  await until("the runner to listen", () => live()?.server);
  assert.equal(tutti("down")["stopped"], true);
  assert.equal(tutti("up", "--runner", "separate")["started"], true);
  await until("the same runner to listen again", () => live()?.live);
  assert.equal(tutti("runner", "stop")["stopped"], true);
  assert.equal(live()?.live, false);
  assert.equal(tutti("runner", "stop")["stopped"], false);
  assert.equal(tutti("down")["stopped"], true);
  folder.remove();
});

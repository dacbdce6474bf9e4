import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { closeClients, overHttp, overStdio, type McpClient } from "./support/mcp.ts";
import { bareEnvironment, makeFolder, makeRepository, root, startTutti, until, type Tutti } from "./support/tutti.ts";
import { addAgent, addProject, shellAgent } from "./support/work.ts";

/** An assistant's way through a real server: give work, wait, read; by HTTP and by `tutti mcp`, as a client of 2026 and of 2025. */
const folder = makeFolder();
let tutti: Tutti;
let project: string;

before(async () => {
  tutti = await startTutti({ home: folder.home });
  await addAgent(tutti, shellAgent);
  project = await addProject(tutti, makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" }));
});
after(async () => {
  await closeClients();
  await tutti?.stop();
  folder.remove();
});

/** A sum that stands nowhere until the agent's turn has made it. */
function work(): { prompt: string; nonce: string } {
  const [one, two] = [randomInt(1e6, 1e7), randomInt(1e6, 1e7)];
  return { prompt: `n=$((${one} * ${two})); echo "$n" > nonce.txt; echo "nonce $n"`, nonce: `nonce ${one * two}` };
}

interface TaskView {
  id: string;
  state: string;
  session: string;
  spec: { prompt: string };
  result: { output: string } | null;
}

async function finish(client: McpClient, id: string): Promise<TaskView> {
  return await until(`task ${id}`, async () => {
    const { isError, value, text } = await client.call("wait_for_task", { id });
    assert.equal(isError, false, text);
    return value.over === true && (value.task as TaskView);
  });
}

suite("a task from its prompt to its result", () => {
  const doors: [string, () => Promise<McpClient>][] = [
    ["HTTP", () => overHttp({ url: tutti.url, token: tutti.token })],
    ["HTTP, as a client of 2025", () => overHttp({ url: tutti.url, token: tutti.token, mode: "legacy" })],
    ["stdio", () => overStdio({ home: tutti.home })],
    ["stdio, as a client of 2025", () => overStdio({ home: tutti.home, mode: "legacy" })],
  ];
  for (const [name, open] of doors) {
    test(`over ${name}: what is read is what only the agent's turn could say`, async () => {
      const client = await open();
      const { prompt, nonce } = work();
      const created = await client.call("create_task", { project, prompt, agent: shellAgent });
      assert.equal(created.isError, false, created.text);
      const task = await finish(client, String(created.value.id));
      assert.equal(task.state, "done");
      assert.equal(task.result?.output, nonce);
      assert.deepEqual((await client.call("get_task", { id: task.id })).value.result, task.result);
      const number = nonce.slice("nonce ".length);
      assert.match(String((await client.call("task_diff", { id: task.id })).value.diff), new RegExp(`^\\+${number}$`, "m"));
      assert.ok((await client.call("read_transcript", { id: task.session })).text.includes(nonce));
      const [transcript] = (await client.client.readResource({ uri: `tutti://sessions/${task.session}` })).contents;
      assert.ok(transcript && "text" in transcript && transcript.text.includes(nonce));
      const [diff] = (await client.client.readResource({ uri: `tutti://tasks/${task.id}/diff` })).contents;
      assert.ok(diff && "text" in diff && diff.text.includes(`+${number}`));
    });
  }
});

test("a wait ends after its seconds while the work goes on, and at once when the work has ended", async () => {
  const client = await overHttp({ url: tutti.url, token: tutti.token });
  const { value } = await client.call("create_task", { project, prompt: "sleep 60", agent: shellAgent });
  const id = String(value.id);
  const waited = await client.call("wait_for_task", { id, seconds: 0.2 });
  assert.equal(waited.value.over, false);
  const ending = client.call("wait_for_task", { id, seconds: 50 });
  assert.equal((await client.call("stop_task", { id })).isError, false);
  assert.equal(((await ending).value.task as TaskView).state, "cancelled");
  assert.equal((await client.call("wait_for_task", { id: "T-999999", seconds: 50 })).isError, true);
  assert.equal((await client.call("wait_for_task", { id, seconds: 51 })).isError, true);
});

test("a flow can be checked, run and waited for", async () => {
  const client = await overHttp({ url: tutti.url, token: tutti.token });
  const flow = (run: string) => `name: count\nsteps:\n  - id: count\n    run: ${run}\n`;
  assert.equal((await client.call("check_flow", { source: "name: count\nsteps:\n  - id: count\n    rum: x\n" })).value.ok, false);
  const [one, two] = [randomInt(1e6), randomInt(1e6)];
  const created = await client.call("create_run", { project, source: flow(`echo $((${one} + ${two}))`) });
  assert.equal(created.isError, false, created.text);
  const { value } = await client.call("wait_for_run", { id: created.value.id });
  assert.equal(value.over, true);
  assert.equal((value.run as { state: string }).state, "done");
  const [read] = (await client.client.readResource({ uri: `tutti://runs/${String(created.value.id)}` })).contents;
  const { steps } = JSON.parse(read && "text" in read ? read.text : "{}") as { steps: { id: string; task: string }[] };
  const step = await client.call("get_task", { id: steps.find(({ id }) => id === "count")?.task });
  assert.equal((step.value.result as { output: string }).output.trim(), String(one + two));
});

test("fifty clients at once: each has its own work, its own changes and its own progress, and nothing of another's", async () => {
  // Real turns cost clones and processes, so most of the tasks wait behind one that takes the only place, and are stopped.
  const full = await addProject(tutti, makeRepository(join(folder.path, "full"), { "a.txt": "a\n" }), { limit: 1 });
  const first = await overHttp({ url: tutti.url, token: tutti.token });
  const blocking = await first.call("create_task", { project: full, prompt: "sleep 300", agent: shellAgent });
  await until("the place to be taken", async () => {
    const { value } = await first.call("get_task", { id: blocking.value.id });
    return value.state === "running";
  });

  const told = await Promise.all(
    Array.from({ length: 50 }, async (_, number) => {
      const isReal = number % 8 === 0;
      const isFollowing = number % 5 !== 0;
      const client = await overHttp({ url: tutti.url, token: tutti.token, mode: isFollowing ? "auto" : "legacy" });
      const { prompt, nonce } = work();
      const created = await client.call("create_task", { project: isReal ? project : full, prompt, agent: shellAgent });
      assert.equal(created.isError, false, created.text);
      const id = String(created.value.id);
      const uri = `tutti://tasks/${id}`;
      if (isFollowing) assert.deepEqual((await client.follow([uri])).honoredFilter, { resourceSubscriptions: [uri] });
      const progress: number[] = [];
      const waiting = client.call("wait_for_task", { id }, ({ progress: step }) => void progress.push(step));
      if (!isReal) await client.call("stop_task", { id });
      const { value } = await waiting;
      const task = value.over === true ? (value.task as TaskView) : await finish(client, id);
      assert.equal(task.id, id);
      assert.equal(task.spec.prompt, prompt);
      assert.equal(task.state, isReal ? "done" : "cancelled");
      if (isReal) assert.equal(task.result?.output, nonce);
      if (isFollowing) await until(`a change of ${id}`, () => client.updated.length > 0);
      assert.deepEqual(new Set(client.updated), new Set(isFollowing ? [uri] : []));
      // Numbers of another's progress would not come in this order, from one on and without a gap.
      assert.deepEqual(
        progress,
        progress.map((_step, index) => index + 1),
      );
      return progress.length;
    }),
  );
  assert.ok(
    told.some((count) => count > 0),
    "somebody was told how it goes",
  );
  await first.call("stop_task", { id: blocking.value.id });
});

suite("tutti mcp", () => {
  interface Said {
    stdout: string;
    stderr: string;
    code: number | null;
    ms: number;
  }

  /** Writes these lines to it and ends its input. */
  function run(home: string, lines: string[], args: string[] = []): Promise<Said> {
    const begun = performance.now();
    const child = spawn(process.execPath, [join(root, "src/entry/cli/main.ts"), "mcp", ...args], { env: bareEnvironment(home) });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
    child.stdin.end(lines.map((line) => `${line}\n`).join(""));
    return new Promise((resolve) => child.once("close", (code) => resolve({ ...said, code, ms: performance.now() - begun })));
  }
  const list = (id: number) => JSON.stringify({ jsonrpc: "2.0", id, method: "tools/list" });
  const messages = (text: string) =>
    text
      .trim()
      .split("\n")
      .map(
        (line) =>
          JSON.parse(line) as {
            jsonrpc: string;
            id: number | null;
            result?: { tools: { name: string }[] };
            error?: { code: number; message: string; data?: { code: string } };
          },
      );

  test("answers each line with one line of the protocol and nothing else, and ends with its input", async () => {
    const { stdout, stderr, code, ms } = await run(tutti.home, [list(1), "no json", "", list(2)]);
    const said = messages(stdout);
    assert.deepEqual(new Set(said.map(({ id }) => id)), new Set([1, 2, null]));
    assert.ok(said.every(({ jsonrpc }) => jsonrpc === "2.0"));
    assert.equal(said.find(({ id }) => id === null)?.error?.code, -32_700);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    // On a quiet machine it is 150 ms for all of it; here others run too.
    assert.ok(ms < 5_000, `${Math.round(ms)} ms`);
  });

  test("ends with its input while something is being waited for", async () => {
    const client = await overHttp({ url: tutti.url, token: tutti.token });
    const { value } = await client.call("create_task", { project, prompt: "sleep 60", agent: shellAgent });
    const waiting = { name: "wait_for_task", arguments: { id: value.id } };
    const { code, stdout } = await run(tutti.home, [JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: waiting })]);
    assert.equal(code, 0);
    assert.equal(stdout, "");
    await client.call("stop_task", { id: value.id });
  });

  test("asks for groups of tools", async () => {
    const { stdout } = await run(tutti.home, [list(1)], ["--groups", "agents"]);
    assert.ok(messages(stdout)[0]?.result?.tools.every(({ name }) => name.includes("agent")));
  });

  test("says what to do when no server runs, and goes on when there is one", async () => {
    const other = makeFolder();
    try {
      const { stdout, code } = await run(other.home, [list(1)]);
      assert.equal(messages(stdout)[0]?.error?.data?.code, "unreachable");
      assert.match(stdout, /tutti up/);
      assert.equal(code, 0);
    } finally {
      other.remove();
    }
  });

  test("a change is told over it", async () => {
    const client = await overStdio({ home: tutti.home });
    const { value } = await client.call("create_task", { project, prompt: "sleep 60", agent: shellAgent });
    const id = String(value.id);
    const subscription = await client.follow([`tutti://tasks/${id}`, "tutti://tasks/T-999999"]);
    assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: [`tutti://tasks/${id}`] });
    await client.call("stop_task", { id });
    await until("the change", () => client.updated.length > 0);
    assert.deepEqual([...new Set(client.updated)], [`tutti://tasks/${id}`]);
    await subscription.close();
  });

  test("finds a server that was started again", async () => {
    const other = makeFolder();
    let first = await startTutti({ home: other.home });
    try {
      const client = await overStdio({ home: other.home });
      assert.equal((await client.call("list_tasks")).isError, false);
      await first.stop();
      await assert.rejects(client.call("list_tasks"), /no Tutti server is running/);
      first = await startTutti({ home: other.home });
      assert.equal((await client.call("list_tasks")).isError, false);
    } finally {
      await first.stop();
      other.remove();
    }
  });
});

test("a program that was told of Tutti starts the bridge with a token of its own: it may read and work, and nothing more", async () => {
  const environment = bareEnvironment(tutti.home);
  const argv = [join(root, "src/entry/cli/main.ts"), "mcp", "install", "codex", "--yes", "--json"];
  const installed = spawnSync(process.execPath, argv, { env: environment, encoding: "utf8" });
  assert.equal(installed.status, 0, installed.stderr);
  assert.deepEqual(JSON.parse(installed.stdout), { program: "codex", result: "installed" });
  const told = readFileSync(join(environment.HOME ?? "", ".codex/config.toml"), "utf8");
  assert.match(told, /^args = \["mcp", "--as", "codex"\]$/m);
  assert.doesNotMatch(told, /tutti_[0-9a-f]{16}/);
  const { items } = await tutti.client.query("token.list", {});
  assert.deepEqual(items.find(({ name }) => name === "mcp-codex")?.scopes, ["read", "work"]);
  const names = await (await overStdio({ home: tutti.home, args: ["--as", "codex", "--groups", "all"] })).names();
  assert.ok(names.includes("create_task") && !names.includes("answer_approval") && !names.includes("revoke_token"));
  const again = spawnSync(process.execPath, argv, { env: environment, encoding: "utf8" });
  assert.deepEqual(JSON.parse(again.stdout), { program: "codex", result: "there already" });
});

test("a server that stops ends what its clients follow, and does not wait for them", async () => {
  const other = makeFolder();
  const server = await startTutti({ home: other.home });
  try {
    const client = await overHttp({ url: server.url, token: server.token });
    const subscription = await client.follow(["tutti://inbox"]);
    const begun = performance.now();
    assert.equal(await server.stop(), 0);
    assert.notEqual(await subscription.closed, "local");
    assert.ok(performance.now() - begun < 5_000, "it waits 10 s for requests that do not end");
  } finally {
    other.remove();
  }
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { bareEnvironment, git, makeFolder, makeRepository, root, startTutti, until, type Tutti } from "./support/tutti.ts";

/** The command line as a person or a script uses it: the real program, a real server, real agents. */
const folder = makeFolder();
const program = join(root, "src/entry/cli/main.ts");
/** The scripted agent lies in the repositories themselves: that is what a session sees, wherever this clone is. */
const actor = "agent/main.ts";
const agentFiles = {
  "agent/package.json": '{ "type": "module" }\n',
  ...Object.fromEntries(
    ["main.ts", "good.ts", "bad.ts", "wire.ts"].map((name) => [
      `agent/${name}`,
      readFileSync(join(root, "test/support/acp-agents", name), "utf8"),
    ]),
  ),
};
/** Some hundred modules are compiled for each call; here once for all. */
const faster = { NODE_COMPILE_CACHE: join(folder.path, "compiled") };
let tutti: Tutti;
let shop: string;

interface Ended {
  code: number | string;
  stdout: string;
  stderr: string;
}

interface Call {
  cwd?: string;
  home?: string;
  env?: Record<string, string>;
  input?: string;
  /** Sends SIGINT as soon as stderr has this in it. */
  interruptAt?: RegExp;
}

function call(words: string[], { cwd = shop, home = folder.home, env = {}, input = "", interruptAt }: Call = {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...words], { cwd, env: { ...bareEnvironment(home), ...faster, ...env }, stdio: "pipe" });
  child.stdin.end(input);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    if (interruptAt?.test(stderr)) child.kill("SIGINT");
  });
  return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code: code ?? signal ?? "gone", stdout, stderr })));
}

/** Runs it and expects this exit code. Nothing that it prints into a pipe may have an escape sequence in it. */
async function expectCode(code: number, words: string[], options?: Call): Promise<Ended> {
  const ended = await call(words, options);
  assert.equal(ended.code, code, `tutti ${words.join(" ")}\n${ended.stdout}${ended.stderr}`);
  assert.ok(!(ended.stdout + ended.stderr).includes("\u001b"), ended.stdout + ended.stderr);
  return ended;
}

/** With --json: exactly one object on stdout. */
async function json(words: string[], options?: Call & { code?: number }): Promise<Record<string, unknown>> {
  const { stdout } = await expectCode(options?.code ?? 0, [...words, "--json"], options);
  assert.equal(stdout.trimEnd().split("\n").length, 1, stdout);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";

before(async () => {
  shop = makeRepository(join(folder.path, "shop"), { "README.md": "a shop\n", ...agentFiles });
  mkdirSync(join(folder.path, "empty"));
  tutti = await startTutti({ home: folder.home });
  const command = ["--command", process.execPath, "--command", actor, "--command", "good"];
  await Promise.all([
    expectCode(0, ["agents", "add", "actor", "--backend", "acp", ...command]),
    expectCode(0, ["agents", "add", "asker", "--backend", "acp", "--ask", ...command]),
  ]);
});

after(async () => {
  await tutti?.stop();
  folder.remove();
});

suite("tutti run", { concurrency: 3 }, () => {
  test("does the task, tells its progress on stderr, and names the branch in the one line of stdout", async () => {
    const { stdout, stderr } = await expectCode(0, ["run", "WRITE a.txt: hello", "--agent", "actor", "--check", "test -f a.txt"]);
    const [, id = ""] = /^(T-\d+)  in shop/.exec(stderr) ?? [];
    assert.equal(stdout, `branch tutti/${id}\n`);
    assert.match(stderr, /✓ done {2}T-\d+ verified/);
    assert.equal(git(shop, "show", `tutti/${id}:a.txt`), "hello");
    assert.equal(git(shop, "status", "--porcelain"), "");
  });

  test("says what of the folder is not in it, and leaves it alone", async () => {
    const dirty = makeRepository(join(folder.path, "dirty"), { "README.md": "x\n", ...agentFiles });
    writeFileSync(join(dirty, "new.txt"), "mine");
    const { stderr } = await expectCode(0, ["run", "WRITE a.txt: hello", "--agent", "actor"], { cwd: dirty });
    assert.match(stderr, /not included \(uncommitted in your folder\): new\.txt/);
    assert.equal(git(dirty, "status", "--porcelain"), "?? new.txt");
  });

  test("says when nothing was changed", async () => {
    const { stdout } = await expectCode(0, ["run", "SAY hello", "--agent", "actor"]);
    assert.match(stdout, /^T-\d+ done, nothing was changed\n$/);
  });

  test("with --json gives the task as one object, and the exit code that it has without", async () => {
    const done = await json(["run", "WRITE a.txt: hello", "--agent", "actor"]);
    assert.equal(done.state, "done");
    const failed = await json(["run", "SAY hello", "--agent", "actor", "--check", "false", "--retry", "0"], { code: 5 });
    assert.deepEqual([failed.state, failed.reason], ["failed", "check failed"]);
  });

  test("ends with 5 when the check does not pass, and names the check", async () => {
    const { stderr, stdout } = await expectCode(5, ["run", "SAY hello", "--agent", "actor", "--check", "false", "--retry", "0"]);
    assert.match(stderr, /error\[check_failed\]: T-\d+ failed: check failed\n {2}why {2}.*false/);
    assert.equal(stdout, "");
  });

  test("ends with 1 when the agent failed, in the agent's words, without what would steer the terminal", async () => {
    const { stderr } = await expectCode(1, ["run", "FAIL no\u001b[2J way", "--agent", "actor"]);
    assert.match(stderr, /why {2}.*no way/);
  });

  test("with --detach prints the id alone and does not wait", async () => {
    const { stdout } = await expectCode(0, ["run", "SAY hello", "--agent", "actor", "--detach"]);
    assert.match(stdout, /^T-\d+\n$/);
  });

  test("ctrl-c leaves the task running, says so, and ends with 130", async () => {
    const { code, stderr } = await call(["run", "SLEEP", "--agent", "actor"], { interruptAt: /● running/ });
    assert.equal(code, 130);
    const [, id = ""] = /left (T-\d+): it goes on {4}tutti logs -f T-\d+/.exec(stderr) ?? [];
    assert.equal((await tutti.client.query("task.get", { id })).state, "running");
    const { stdout } = await expectCode(0, ["stop", id.toLowerCase()]);
    assert.equal(stdout, `${id} – cancelled: person\n`);
  });

  test("a prompt may begin with the name of any verb", async () => {
    const { stderr } = await expectCode(0, ["run", "list", "the", "files", "--agent", "demo", "--detach"]);
    assert.match(stderr, /in shop/);
  });

  test("refuses what cannot be, each with its exit code", async () => {
    await Promise.all([
      expectCode(3, ["run", "x", "--agent", "nobody"]).then(({ stderr }) => assert.match(stderr, /actor.*demo/s)),
      expectCode(2, ["run", "x"], { cwd: join(folder.path, "empty") }).then(({ stderr }) => assert.match(stderr, /git init/)),
      expectCode(2, ["run", " "]),
      expectCode(2, ["run", "x", "--check", "true", "--retry", "often"]),
      expectCode(2, ["run", "x", "--minutes", "0"]),
    ]);
  });
});

test("merge, diff, show and logs of a task; ids in small letters", async () => {
  const task = await json(["run", "WRITE merged.txt: hello", "--agent", "actor"]);
  const id = String(task.id).toLowerCase();
  const [diff, logs, shown, session] = await Promise.all([
    expectCode(0, ["diff", id]),
    expectCode(0, ["logs", id]),
    expectCode(0, ["show", id]),
    expectCode(0, ["show", String(task.session).toLowerCase()]),
  ]);
  assert.match(diff.stdout, /^\+hello$/m);
  assert.match(logs.stdout, /WRITE merged\.txt: hello/);
  assert.match(shown.stdout, /files {2,}merged\.txt/);
  assert.match(session.stdout, /^createdAt +\d{4}-/m);
  const merged = await expectCode(0, ["merge", id]);
  assert.equal(lastLine(merged.stdout), "merged into main");
  assert.equal(git(shop, "show", "main:merged.txt"), "hello");

  const nothing = await json(["run", "SAY hello", "--agent", "actor"]);
  await expectCode(9, ["merge", String(nothing.id)]);
  assert.equal((await expectCode(0, ["diff", String(nothing.id)])).stdout, "");
});

suite("what waits for a person", { concurrency: 3 }, () => {
  const flow = join(root, "examples/tour/release-notes.yaml");
  const openId = async (task: string): Promise<string> =>
    await until("an open approval", async () => {
      const { items } = await tutti.client.query("approval.list", { state: "open" });
      return items.find((item) => item.task === task)?.id;
    });

  test("a run that asks ends with 6 and its question; the answer finishes it, once", async () => {
    const asked = await expectCode(6, ["flow", "run", flow, "--agent", "tour=demo"]);
    const [, approval = ""] = /^(A-\d+) {2}Add these lines/.exec(asked.stdout) ?? [];
    const [, run = ""] = /^(R-\d+)/.exec(asked.stderr) ?? [];
    assert.match(asked.stderr, /\? needs you {2}ok {2}Add these lines/);
    assert.match((await expectCode(0, ["status"])).stdout, new RegExp(approval));
    assert.match((await expectCode(0, ["show", approval])).stdout, /CHANGELOG\.md/);
    await expectCode(2, ["reply", approval, "perhaps"]);
    const answered = await expectCode(0, ["approve", approval.toLowerCase()]);
    assert.match(answered.stdout, new RegExp(`^${approval} answered: yes`));
    await expectCode(9, ["deny", approval]);
    await until("the run to end", async () => (await tutti.client.query("run.get", { id: run })).state === "done");
    assert.match((await expectCode(0, ["show", run.toLowerCase()])).stdout, /land +✓ done/);
  });

  test("an agent that asks for a permission waits for approve, and hears deny", async () => {
    const task = await json(["run", "ASK asked.txt: hi", "--agent", "asker", "--detach"]);
    const approval = await openId(String(task.id));
    assert.match((await expectCode(0, ["ls", "approvals"])).stdout, new RegExp(approval));
    await expectCode(0, ["approve", approval]);
    await expectCode(0, ["logs", "-f", String(task.id)]);
    assert.equal(git(shop, "show", `tutti/${String(task.id)}:asked.txt`), "hi");

    const denied = await json(["run", "ASK denied.txt: hi", "--agent", "asker", "--detach"]);
    await expectCode(0, ["deny", await openId(String(denied.id))]);
    await expectCode(0, ["logs", "-f", String(denied.id)]);
    const { result } = await tutti.client.query("task.get", { id: String(denied.id) });
    assert.deepEqual(result?.files, []);
  });

  test("who does not want to wait for a person is told 6, and what is asked", async () => {
    const { stdout, stderr } = await expectCode(6, ["run", "ASK later.txt: hi", "--agent", "asker", "--no-wait-approval"]);
    assert.match(stdout, /^A-\d+ {2}.*tutti approve A-\d+\n$/);
    const [, id = ""] = /^(T-\d+)/.exec(stderr) ?? [];
    await expectCode(0, ["stop", id]);
  });
});

test("stop, retry and reply: only what the command led to is told", async () => {
  const task = await json(["run", "SLEEP", "--agent", "actor", "--detach"]);
  const id = String(task.id);
  await until("it to run", async () => (await tutti.client.query("task.get", { id })).state === "running");
  assert.equal((await json(["stop", id])).state, "cancelled");
  assert.match((await expectCode(0, ["stop", id])).stdout, /already/);
  assert.match((await expectCode(0, ["retry", id.toLowerCase()])).stdout, new RegExp(`^${id} · queued: retry`));
  await until("it to run again", async () => (await tutti.client.query("task.get", { id })).state === "running");
  const stopped = await expectCode(0, ["stop", "--all"]);
  assert.match(stopped.stdout, /^stopping \d+ tasks? and \d+ runs?\n$/);
  await until("it to end", async () => (await tutti.client.query("task.get", { id })).state === "cancelled");

  const said = await json(["run", "SAY one", "--agent", "actor"]);
  await expectCode(9, ["retry", String(said.id)]);
  const reply = await expectCode(0, ["reply", String(said.id).toLowerCase(), "WRITE", "reply.txt:", "hello"]);
  assert.equal(reply.stderr.match(/● running/g)?.length, 1, reply.stderr);
  assert.equal(reply.stdout, `branch tutti/${String(said.id)}\n`);
  await Promise.all([expectCode(2, ["stop"]), expectCode(2, ["stop", "T-1", "--all"]), expectCode(3, ["stop", "T-9999"])]);
});

suite("flows", { concurrency: 3 }, () => {
  test("lint names every mistake with its place and ends with 5; run refuses the same flow", async () => {
    const bad = join(folder.path, "bad.yaml");
    writeFileSync(bad, 'name: bad\nsteps:\n  - id: a\n    agnt: x\n  - id: m\n    merge: "${{ steps.nope }}"\n');
    const [words, object, refused, missing] = await Promise.all([
      expectCode(5, ["flow", "lint", bad]),
      json(["flow", "lint", bad], { code: 5 }),
      expectCode(2, ["flow", "run", bad]),
      expectCode(3, ["flow", "lint", join(folder.path, "none.yaml")]),
      expectCode(2, ["flow", "lint", folder.path]),
    ]);
    assert.match(words.stdout, /bad\.yaml:4:5: .*`agnt`/);
    assert.match(words.stdout, /bad\.yaml:6:\d+: .*`nope`/);
    assert.equal((object.problems as unknown[]).length, 2);
    assert.match(refused.stderr, /tutti flow lint .*bad\.yaml/);
    assert.match(missing.stderr, /none\.yaml/);
  });

  test("run takes inputs, ends with 1 when a step fails, and names the step", async () => {
    const file = join(folder.path, "inputs.yaml");
    writeFileSync(
      file,
      "name: inputs\ninputs:\n  code: { type: number }\nsteps:\n  - id: go\n    run: exit $CODE\n    env: { CODE: '${{ string(inputs.code) }}' }\n",
    );
    const [good, failed, missing, unknown] = await Promise.all([
      expectCode(0, ["flow", "run", file, "--input", "code=0"]),
      expectCode(1, ["flow", "run", file, "--input", "code=7"]),
      expectCode(2, ["flow", "run", file]),
      expectCode(2, ["flow", "run", file, "--input", "code=0", "--input", "other=1"]),
    ]);
    assert.match(good.stdout, /^R-\d+ ✓ done\n$/);
    assert.match(failed.stderr, /error\[failed\]: R-\d+ failed.*\n {2}why {2}step go: /);
    assert.match(missing.stderr, /--input code=/);
    assert.match(unknown.stderr, /"other"/);
  });
});

suite("looking", { concurrency: 3 }, () => {
  test("every list has a table for people and one object for programs", async () => {
    for (const what of ["tasks", "runs", "approvals", "agents", "projects", "sessions"]) {
      const [, object] = await Promise.all([expectCode(0, ["ls", what]), json(["ls", what])]);
      assert.ok(Array.isArray(object.items), what);
    }
    const one = await expectCode(0, ["ls", "task", "--state", "done", "--limit", "1"]);
    assert.equal(one.stdout.trimEnd().split("\n").length, 2);
  });

  test("what there is not is said with 2 or 3, and what was meant", async () => {
    const [list, project, thing] = await Promise.all([
      expectCode(2, ["ls", "agent-s"]),
      expectCode(3, ["ls", "--project", "nope"]),
      expectCode(3, ["show", "nope"]),
      expectCode(2, ["ls", "--limit", "many"]),
      expectCode(3, ["logs", "T-9999"]),
    ]);
    assert.match(list.stderr, /tutti ls agents/);
    assert.match(project.stderr, /"nope"/);
    assert.match(thing.stderr, /"nope"/);
  });

  test("events are one line each, as objects with --json, and those of one task only", async () => {
    await expectCode(0, ["run", "SAY x", "--agent", "actor", "--key", "once"]);
    const task = await json(["run", "SAY x", "--agent", "actor", "--key", "once"]);
    const { stdout } = await expectCode(0, ["events", "--task", String(task.id).toLowerCase(), "--json"]);
    const types = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    assert.deepEqual([types[0], types.at(-1)], ["task.created", "task.settled"]);
    assert.equal(types.filter((type) => type === "task.settled").length, 1);
  });

  test("doctor and status say how it stands", async () => {
    assert.match((await expectCode(0, ["doctor"])).stdout, /✓ server/);
    assert.deepEqual(Object.keys(await json(["status"])), ["tasks", "approvals", "agents", "runs"]);
  });

  test("a derived verb lists, filters and gets like the others", async () => {
    const [list, object] = await Promise.all([
      expectCode(0, ["task", "list", "--state", "done", "--limit", "2"]),
      json(["runs", "list", "--limit", "1"]),
    ]);
    assert.match(list.stdout, /^ID /);
    assert.equal((object.items as unknown[]).length, 1);
    await expectCode(3, ["task", "get", "nope"]);
  });
});

test("agents, projects, providers and tokens are made, shown, changed and removed", async () => {
  const added = await expectCode(0, ["agents", "add", "ghost", "--backend", "command", "--command", "no-such-program-anywhere"]);
  assert.match(added.stdout, /^agent ghost added: not found/);
  assert.match((await expectCode(0, ["show", "ghost"])).stdout, /not found/);
  await expectCode(9, ["agents", "add", "ghost", "--backend", "acp", "--preset", "goose"]);
  assert.equal((await json(["agents", "remove", "ghost"])).name, "ghost");
  await expectCode(3, ["agents", "remove", "ghost"]);
  await expectCode(2, ["agents", "add", "Big Name", "--backend", "acp"]);
  await expectCode(2, ["agents", "add", "x", "--backend", "telepathy"]);

  assert.match((await expectCode(0, ["projects", "add"])).stdout, /^project shop: /);
  assert.match((await expectCode(0, ["projects", "update", "shop", "--limit", "3"])).stdout, /at most 3 at once/);
  await expectCode(2, ["projects", "update", "shop"]);

  const set = ["providers", "set", "local", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--key-stdin"];
  const provider = await expectCode(0, set, { input: "very-secret\n" });
  const listed = await expectCode(0, ["providers", "--json"]);
  assert.doesNotMatch(provider.stdout + provider.stderr + listed.stdout, /very-secret/);
  assert.match((await expectCode(0, ["providers", "remove", "local"])).stdout, /removed/);

  const made = await expectCode(0, ["token", "create", "ci"]);
  assert.match(made.stdout, /^tutti_\S+\n$/);
  const env = { TUTTI_URL: tutti.url, TUTTI_TOKEN: made.stdout.trim() };
  await expectCode(0, ["ls"], { env, home: join(folder.path, "elsewhere") });
  const tokens = (await json(["token", "ls"])).items as { id: string; name: string }[];
  await expectCode(0, ["token", "revoke", tokens.find((token) => token.name === "ci")?.id ?? ""]);
  await until("the token to end", async () => (await call(["ls"], { env })).code === 4, 10_000);
});

suite("words that are wrong", { concurrency: 3 }, () => {
  test("end with 2 and what was probably meant, as a command that can be copied", async () => {
    const cases: [string[], string][] = [
      [["stauts"], "tutti status"],
      [["run", "x y", "--chck", "true"], "tutti run 'x y' --check true"],
      [["task", "lst"], "tutti task list"],
      [["help", "stauts"], "tutti help status"],
      [["diff"], "tutti diff --help"],
    ];
    for (const [words, fix] of cases) {
      const { stderr, stdout } = await expectCode(2, words);
      assert.ok(stderr.includes(`try  ${fix}\n`), stderr);
      assert.equal(stdout, "");
    }
  });

  test("with --json the error is one object on stderr, and stdout is empty", async () => {
    const { stderr, stdout } = await expectCode(3, ["show", "T-9999", "--json"]);
    assert.equal(stdout, "");
    const { error } = JSON.parse(stderr) as { error: Record<string, unknown> };
    assert.deepEqual(Object.keys(error), ["code", "message", "why", "fix", "retryable"]);
    assert.equal(error.code, "not_found");
  });

  test("help is on stdout and ends with 0; so do the exit codes", async () => {
    const [help, codes] = await Promise.all([expectCode(0, ["run", "--help"]), expectCode(0, ["help", "exit-codes"])]);
    assert.match(help.stdout, /--check/);
    assert.match(codes.stdout, /130 interrupted/);
  });
});

suite("up and down", () => {
  const home = join(folder.path, "other", "home");

  test("without a server every verb ends with 10 and says how to start one", async () => {
    const { stderr } = await expectCode(10, ["run", "x"], { home });
    assert.match(stderr, /try {2}tutti up\n/);
    await expectCode(5, ["doctor"], { home });
  });

  test("up twice starts one server, down twice stops it, the second time saying so", async () => {
    const up = await json(["up"], { home });
    assert.equal(up.started, true);
    const again = await json(["up"], { home });
    assert.deepEqual([again.started, again.pid], [false, up.pid]);
    await expectCode(0, ["status"], { home });
    const startedAt = performance.now();
    assert.deepEqual(await json(["down"], { home }), { stopped: true, pid: up.pid });
    // An idle server needs some 60 ms; the rest is the start of the command itself, on a machine that has other work.
    assert.ok(performance.now() - startedAt < 5_000);
    assert.deepEqual(await json(["down"], { home }), { stopped: false });
    await expectCode(10, ["ls"], { home });
  });
});

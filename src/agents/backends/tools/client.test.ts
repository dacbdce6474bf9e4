import assert from "node:assert/strict";
import { readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { until } from "../../../../test/support/processes.ts";
import { makeBench } from "../../../../test/support/model-bench.ts";
import { startTools } from "./client.ts";
import type { ToolName } from "./tool.ts";

async function bench(t: TestContext, limits?: { timeoutMs: number; startMs: number }) {
  const made = await makeBench();
  t.after(() => made.close());
  const tools = await startTools(made.spec(), limits);
  t.after(() => tools.close());
  const call = (tool: ToolName, input: Record<string, unknown>, signal = new AbortController().signal) => tools.call(tool, input, signal);
  return { ...made, tools, call };
}

/** Whether a process runs anywhere on this machine whose command line contains the text. */
const isRunning = (text: string): boolean =>
  readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false; // It has just ended.
    }
  });

/** A number of seconds that no other process sleeps. */
const unusual = (): string => `9${Math.floor(Math.random() * 1e9)}`;

test("files are written, read in parts, listed and searched", async (t) => {
  const { call, write, cwd } = await bench(t);
  await write({ ".git/config": "x", "node_modules/a/index.js": "needle", "src/long.txt": "one\ntwo\nthree\nfour" });
  assert.deepEqual(await call("write", { path: "deep/er/new.txt", content: "ein Käse\n" }), {
    ok: true,
    output: "wrote 10 bytes to deep/er/new.txt",
  });
  assert.equal(await readFile(join(cwd, "deep/er/new.txt"), "utf8"), "ein Käse\n");
  assert.equal((await call("read", { path: "deep/er/new.txt" })).output, "ein Käse\n");
  assert.equal(
    (await call("read", { path: "src/long.txt", offset: 2, limit: 2 })).output,
    "two\nthree\n[lines 2 to 3 of 4; read on with offset 4]",
  );
  assert.deepEqual((await call("list", {})).output.split("\n"), ["deep/", "deep/er/", "deep/er/new.txt", "src/", "src/long.txt"]);
  assert.equal((await call("search", { pattern: "t[wh]", regex: true })).output, "src/long.txt:2: two\nsrc/long.txt:3: three");
  assert.equal((await call("search", { pattern: "needle" })).output, "no line matches");
});

test("an edit replaces the one place that it names, and says what is wrong otherwise", async (t) => {
  const { call, write, cwd } = await bench(t);
  await write({ "a.js": "let a = 1;\nlet b = 1;\n  return $& a;\n" });
  assert.equal((await call("edit", { path: "a.js", oldText: "b = 1", newText: "b = $1$&" })).ok, true);
  assert.equal(await readFile(join(cwd, "a.js"), "utf8"), "let a = 1;\nlet b = $1$&;\n  return $& a;\n");
  const wrong: [Record<string, string>, RegExp][] = [
    [{ path: "a.js", oldText: "let", newText: "var" }, /occurs 2 times in a\.js \(lines 1, 2\)/],
    [{ path: "a.js", oldText: "\treturn $& a;", newText: "x" }, /does not occur in a\.js; line 3 is like it/],
    [{ path: "a.js", oldText: "nowhere", newText: "x" }, /does not occur in a\.js; read the file again/],
    [{ path: "a.js", oldText: "let a", newText: "let a" }, /the same/],
    [{ path: "b.js", oldText: "x", newText: "y" }, /b\.js does not exist/],
  ];
  for (const [input, message] of wrong) {
    const result = await call("edit", input);
    assert.equal(result.ok, false);
    assert.match(result.output, message);
  }
});

test("nothing is written outside, by .., by an absolute path or through a link", async (t) => {
  const { call, cwd, tuttiHome } = await bench(t);
  await writeFile(join(tuttiHome, "server.json"), "secret");
  await symlink(tuttiHome, join(cwd, "out"));
  await symlink(join(tuttiHome, "nobody"), join(cwd, "dangling"));
  await symlink(join(tuttiHome, "server.json"), join(cwd, "file"));
  for (const path of ["../../../stolen", join(tuttiHome, "stolen"), "out/stolen", "dangling", "file", "/etc/stolen"]) {
    assert.equal((await call("write", { path, content: "x" })).ok, false, path);
  }
  assert.equal(await readFile(join(tuttiHome, "server.json"), "utf8"), "secret");
  assert.deepEqual((await readdir(tuttiHome)).toSorted(), ["server.json", "sessions"]);
});

test("what the sandbox hides can be read by no tool", async (t) => {
  const { call, cwd, tuttiHome, processes } = await bench(t);
  assert.equal(processes.abilities.sandbox, true, "these tests need a sandbox (bubblewrap)");
  await writeFile(join(tuttiHome, "server.json"), "secret");
  await symlink(join(tuttiHome, "server.json"), join(cwd, "link"));
  const server = String(process.pid);
  const tries = [
    await call("read", { path: "../../../server.json" }),
    await call("read", { path: "link" }),
    await call("search", { path: tuttiHome, pattern: "secret" }),
    await call("shell", { command: `cat ${join(tuttiHome, "server.json")} /proc/${server}/environ; ls ${tuttiHome}` }),
  ];
  assert.equal(JSON.stringify(tries).includes("secret"), false);
});

test("a failing command is a result with its exit code, stdout and stderr", async (t) => {
  const { call } = await bench(t);
  assert.deepEqual(
    await call("shell", { command: "echo out; echo err >&2; exit 3" }).then(({ ok, output }) => [ok, output.split("\n").toSorted()]),
    [true, ["[exit code 3]", "err", "out"]],
  );
});

test("a command over its time is killed with everything that it started, also what left its group", async (t) => {
  const { call } = await bench(t);
  const seconds = unusual();
  const result = await call("shell", { command: `setsid sleep ${seconds} & echo begun; sleep ${seconds}`, timeoutMs: 300 });
  assert.equal(result.output, "begun\n[killed after 300 ms]");
  assert.equal(isRunning(`sleep\0${seconds}`), false);
});

test("a command ends with what it left in the background, and its answer does not wait for it", async (t) => {
  const { call } = await bench(t);
  const seconds = unusual();
  const result = await call("shell", { command: `(setsid sleep ${seconds} &) ; sleep ${seconds} & echo done` });
  assert.equal(result.output, "done\n[exit code 0]");
  assert.equal(isRunning(`sleep\0${seconds}`), false);
});

test("outputs are bounded: the first and the last part are kept", async (t) => {
  const { call, write } = await bench(t);
  const shell = await call("shell", { command: "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last" });
  assert.ok(shell.output.length <= 256 * 1024);
  assert.match(shell.output, /^first\n[\s\S]*bytes left out[\s\S]*last\n\[exit code 0\]$/);
  await write({ "wide.txt": "y".repeat(1_000_000), "many.txt": "line\n".repeat(200_000) });
  assert.ok((await call("read", { path: "wide.txt" })).output.length <= 256 * 1024);
  assert.match((await call("read", { path: "many.txt", limit: 150_000 })).output, /read on with offset \d+\]$/);
  assert.match((await call("search", { pattern: "line" })).output, /stopped after 200 matches/);
});

test("a regular expression that does not end is killed with its program, and the next call has a new one", async (t) => {
  const { call, write } = await bench(t, { timeoutMs: 700, startMs: 20_000 });
  await write({ "a.txt": `${"a".repeat(40)}!\n` });
  const result = await call("search", { pattern: "^(a+)+$", regex: true });
  assert.deepEqual(result, { ok: false, output: "search took longer than 700 ms and was killed" });
  assert.equal((await call("list", {})).output, "a.txt");
});

test("pipes, folders and binary files are refused instead of waited for", async (t) => {
  const { call } = await bench(t);
  await call("shell", { command: "mkfifo pipe; printf 'a\\0b' > binary; mkdir folder" });
  assert.match((await call("read", { path: "pipe" })).output, /not a plain file/);
  assert.match((await call("write", { path: "pipe", content: "x" })).output, /not a plain file/);
  assert.match((await call("read", { path: "binary" })).output, /binary file/);
  assert.match((await call("read", { path: "folder" })).output, /is a folder/);
});

test("a cancelled command is gone at once, and the program answers on", async (t) => {
  const { call } = await bench(t);
  const seconds = unusual();
  const stop = new AbortController();
  const running = call("shell", { command: `echo x; sleep ${seconds}` }, stop.signal);
  await until("it sleeps", () => isRunning(`sleep\0${seconds}`));
  stop.abort(new Error("stop"));
  await assert.rejects(running, /stop/);
  await until("it is gone", () => !isRunning(`sleep\0${seconds}`));
  assert.equal((await call("list", {})).ok, true);
});

test("a program that was killed is started anew", async (t) => {
  const { call } = await bench(t);
  assert.match((await call("shell", { command: "kill -9 $PPID" })).output, /the tool program ended/);
  assert.equal((await call("list", {})).ok, true);
});

test("a program that breaks its protocol is ended, and its words are no result", async (t) => {
  const { spec, processes, cwd } = await bench(t);
  for (const words of ["nonsense", '{"id":1,"ok":"yes","output":1}', '{"id":1}']) {
    const program = `echo '{"ready":true}'; read line; echo '${words}'; exec sleep 60`;
    const start = () =>
      processes.start({ argv: ["sh", "-c", program], cwd, env: { PATH: "/usr/bin:/bin" }, stdin: "pipe", session: "S-1", sandbox: null });
    const tools = await startTools(spec({ start }));
    const result = await tools.call("list", {}, new AbortController().signal);
    assert.deepEqual(result, { ok: false, output: "the tool program broke its protocol" });
    await tools.close();
  }
});

test("closing ends the program and what it runs, twice does no harm", async (t) => {
  const { call, tools, processes } = await bench(t);
  const seconds = unusual();
  const running = call("shell", { command: `setsid sleep ${seconds}` });
  await until("it sleeps", () => isRunning(`sleep\0${seconds}`));
  await tools.close();
  await tools.close();
  assert.equal((await running).ok, false);
  assert.equal(isRunning(`sleep\0${seconds}`), false);
  assert.deepEqual(await processes.sweep("all"), []);
  assert.deepEqual(await call("list", {}), { ok: false, output: "the session is closed" });
});

test("tools that cannot be started are an unavailable agent", async (t) => {
  const { spec, processes, cwd } = await bench(t);
  const start = () => processes.start({ argv: ["/no/such/program"], cwd, env: {}, stdin: "pipe", session: "S-1", sandbox: null });
  await assert.rejects(startTools(spec({ start })), { code: "agent_unavailable", message: /no such program/ });
});

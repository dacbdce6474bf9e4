import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { environmentOf, processesWith, shell, stubborn, until } from "../../test/support/processes.ts";
import { AppError } from "../errors.ts";
import { openProcesses } from "./open.ts";
import type { ProcessAbilities, Processes, RunningProcess } from "./process.ts";

const path = "/usr/bin:/bin:/usr/sbin:/sbin";
const tuttiHome = mkdtempSync(join(tmpdir(), "tutti-"));
after(() => rmSync(tuttiHome, { recursive: true, force: true }));
const never = new AbortController().signal;

const open = (force: ProcessAbilities["kind"] | null, instance: string = randomUUID()) =>
  openProcesses({ tuttiHome, instance, force, path });

const kinds = ["bubblewrap", "unshare", "group"] as const;
const opened = new Map<string, Processes>();
for (const kind of kinds) opened.set(kind, await open(kind));
after(() => Promise.all([...opened.values()].map((processes) => processes.close())));
const use = (kind: string): Processes => opened.get(kind) ?? assert.fail(kind);

/** Starts the stubborn program and waits until all of it is there: the control of every test that says nothing is left. */
async function startStubborn(processes: Processes, session: string | null = null): Promise<{ running: RunningProcess; mark: string }> {
  const { argv, env, mark, size } = stubborn();
  const running = processes.start({ argv, env, cwd: "/", stdin: "pipe", session, sandbox: null });
  await until("the whole tree runs", () => processesWith(mark).length >= size);
  return { running, mark };
}

for (const kind of kinds) {
  describe(kind, () => {
    const run = (script: string, more: Partial<Parameters<Processes["run"]>[0]> = {}, signal = never) =>
      use(kind).run({ ...shell(script), timeoutMs: 10_000, ...more }, signal);

    test("a run tells the exit code, and its output in the order in which it was written", async () => {
      const result = await run("for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 7");
      assert.deepEqual(result, {
        exit: { code: 7, signal: null },
        output: "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n",
        truncated: false,
        timedOut: false,
      });
    });

    test("a start keeps stdout and stderr apart, and takes input", async () => {
      const running = use(kind).start(shell("cat; echo problem >&2; exit 4", { stdin: "pipe" }));
      running.stdin?.end("hello");
      const [stdout, stderr, exit] = await Promise.all([text(running.stdout), text(running.stderr), running.exited]);
      assert.deepEqual({ stdout, stderr, exit }, { stdout: "hello", stderr: "problem\n", exit: { code: 4, signal: null } });
    });

    test("without input stdin is empty, with input it is that", async () => {
      assert.equal((await run("wc -c")).output.trim(), "0");
      assert.equal((await run("cat", { input: "given" })).output, "given");
    });

    test("input for a program that does not read it harms nobody", async () => {
      const result = await run("exec true", { input: "x".repeat(1_000_000) });
      assert.deepEqual(result.exit, { code: 0, signal: null });
    });

    test("arguments and values arrive as they are, whatever they hold", async () => {
      const odd = ["", "-x", "--", "$(id)", "two words", "line\nbreak", "a=b", "é"];
      const result = await use(kind).run(
        {
          ...shell(""),
          argv: ["/bin/sh", "-c", 'for i in "$@"; do printf "<%s>" "$i"; done; printf %s "$ODD"', "sh", ...odd],
          env: { ODD: "x=\n$y" },
          timeoutMs: 9000,
        },
        never,
      );
      assert.equal(result.output, odd.map((each) => `<${each}>`).join("") + "x=\n$y");
    });

    test("the environment is what was given and the marks, and nothing of the server's", async () => {
      process.env["FAKE_API_KEY"] = "sk-planted";
      const { output } = await run("exec env", { env: { PATH: "/usr/bin:/bin", GIVEN: "1" }, session: "s1" }).finally(
        () => delete process.env["FAKE_API_KEY"],
      );
      const names = output
        .trim()
        .split("\n")
        .map((line) => line.split("=")[0]);
      // PWD is the working folder; "_", OLDPWD and SHLVL come from shells that are not dash.
      const own = names.filter((name) => !["_", "OLDPWD", "SHLVL"].includes(name ?? ""));
      assert.deepEqual(new Set(own), new Set(["GIVEN", "PATH", "PWD", "TUTTI_INSTANCE", "TUTTI_PROCESS", "TUTTI_SESSION"]));
    });

    test("a missing program is exit code 127 and a line that says so", async () => {
      for (const argv of [["no-such-program"], ["/no/such/program"], []]) {
        const running = use(kind).start({ ...shell(""), argv });
        const [stderr, exit] = await Promise.all([text(running.stderr), running.exited]);
        assert.equal(exit.code, 127);
        assert.match(stderr, /^tutti: cannot start .+\n$/);
        await running.stop();
      }
    });

    test("a script whose interpreter is missing, a missing folder, and a NUL in an argument are exit code 127 too", async () => {
      const script = join(tuttiHome, `script-${kind}`);
      writeFileSync(script, "#!/no/such/interpreter\n");
      chmodSync(script, 0o755);
      for (const options of [
        { argv: [script] },
        { cwd: "/no/such/folder" },
        { argv: ["/bin/echo", "a\0b"] },
        { env: { A: "\0--bind\0/\0/" } },
      ]) {
        const running = use(kind).start({ ...shell("true"), ...options });
        const [stderr, exit] = await Promise.all([text(running.stderr), running.exited]);
        assert.equal(exit.code, 127, JSON.stringify(options));
        assert.notEqual(stderr, "");
      }
    });

    test("closing stdin is enough for a program that ends then", async () => {
      const running = use(kind).start(shell("cat; exit 5", { stdin: "pipe" }));
      assert.deepEqual(await running.stop({ graceMs: 5000 }), { code: 5, signal: null });
    });

    test("SIGTERM reaches the program itself, which may end in its own way", async () => {
      const running = use(kind).start(shell('trap "echo bye; exit 9" TERM; echo ready; while :; do sleep 0.05; done'));
      await once(running.stdout, "readable");
      const exit = await running.stop({ graceMs: 5000 });
      assert.deepEqual(exit, { code: 9, signal: null });
      assert.equal(await text(running.stdout), "ready\nbye\n");
    });

    test("SIGTERM ends a program that has no handler for it", async () => {
      const running = use(kind).start(shell("echo ready; exec sleep 60"));
      await once(running.stdout, "readable");
      const started = performance.now();
      const exit = await running.stop({ graceMs: 5000 });
      assert.ok(exit.code === 143 || exit.signal === "SIGTERM", JSON.stringify(exit));
      assert.ok(performance.now() - started < 4000);
    });

    test("stop leaves nothing of a tree that ignores signals, forks twice and leaves its session; twice is harmless", async () => {
      const { running, mark } = await startStubborn(use(kind));
      const [first, second] = await Promise.all([running.stop({ graceMs: 50 }), running.stop({ graceMs: 80 })]);
      assert.deepEqual(processesWith(mark), []);
      assert.deepEqual(first, { code: null, signal: "SIGKILL" });
      assert.deepEqual(second, first);
      assert.deepEqual(await running.stop(), first);
    });

    test("stop right after the start leaves nothing either", async () => {
      const { argv, env, mark } = stubborn();
      const started = Array.from({ length: 5 }, () =>
        use(kind).start({ argv, env, cwd: "/", stdin: "pipe", session: null, sandbox: null }),
      );
      await Promise.all(started.map((running) => running.stop({ graceMs: 0 })));
      assert.deepEqual(processesWith(mark), []);
    });

    test("what a program leaves behind when it ends by itself ends with it, and other starts of the session go on", async () => {
      const other = await startStubborn(use(kind), "shared");
      const { argv, env, mark } = stubborn();
      const script = `${argv[2]?.replace(/while[^\n]*$/, "")} exit 0`;
      const running = use(kind).start({
        argv: ["/bin/sh", "-c", script],
        env,
        cwd: "/",
        stdin: "ignore",
        session: "shared",
        sandbox: null,
      });
      assert.deepEqual(await running.exited, { code: 0, signal: null });
      assert.deepEqual(processesWith(mark), []);
      assert.notDeepEqual(processesWith(other.mark), []);
      await other.running.stop({ graceMs: 0 });
    });

    test("a run whose time is over ends with its whole tree", async () => {
      const { argv, env, mark, size } = stubborn();
      const running = use(kind).run({ ...shell(""), argv, env, timeoutMs: 400 }, never);
      await until("the whole tree runs", () => processesWith(mark).length >= size);
      const result = await running;
      assert.deepEqual(processesWith(mark), []);
      assert.deepEqual(result, { exit: { code: null, signal: "SIGKILL" }, output: "ready\n", truncated: false, timedOut: true });
    });

    test("a run that is aborted ends with its whole tree, and is not called timed out", async () => {
      const { argv, env, mark, size } = stubborn();
      const abort = new AbortController();
      const running = use(kind).run({ ...shell(""), argv, env, timeoutMs: 60_000 }, abort.signal);
      await until("the whole tree runs", () => processesWith(mark).length >= size);
      abort.abort();
      const result = await running;
      assert.deepEqual(processesWith(mark), []);
      assert.equal(result.timedOut, false);
      assert.equal(result.exit.signal, "SIGKILL");
    });

    test("a run that is aborted before it starts starts nothing", async () => {
      const file = join(tuttiHome, `never-${kind}`);
      const result = await run(`touch ${file}`, {}, AbortSignal.abort());
      assert.equal(result.exit.signal, "SIGKILL");
      assert.throws(() => readFileSync(file), { code: "ENOENT" });
    });

    test("the session and the instance can be read from outside while a process runs", async () => {
      const instance = randomUUID();
      const processes = await open(kind, instance);
      const { running, mark } = await startStubborn(processes, "session-7");
      for (const pid of processesWith(mark)) {
        const variables = environmentOf(pid);
        assert.ok(variables.includes("TUTTI_SESSION=session-7") && variables.includes(`TUTTI_INSTANCE=${instance}`), variables.join(" "));
      }
      await running.stop({ graceMs: 0 });
    });

    test("a sweep ends the sessions it names and no others, and never another instance's", async () => {
      const processes = await open(kind);
      const foreign = await startStubborn(use(kind), "a");
      const [a, b] = [await startStubborn(processes, "a"), await startStubborn(processes, "b")];
      const ended = await processes.sweep(["a"]);
      assert.deepEqual(processesWith(a.mark), []);
      assert.ok(ended.length > 0);
      assert.notDeepEqual(processesWith(b.mark), []);
      await processes.sweep("all");
      assert.deepEqual(processesWith(b.mark), []);
      assert.notDeepEqual(processesWith(foreign.mark), []);
      assert.deepEqual(await processes.sweep("all"), []);
      await Promise.all([a.running.exited, b.running.exited]);
      await foreign.running.stop({ graceMs: 0 });
    });

    test("close stops what was started, and nothing starts afterwards", async () => {
      const processes = await open(kind);
      const ending = processes.start(shell('trap "exit 0" TERM; while :; do sleep 0.05; done'));
      const { running, mark } = await startStubborn(processes);
      void running.stop({ graceMs: 100 });
      await processes.close();
      assert.deepEqual(processesWith(mark), []);
      assert.notEqual((await ending.exited).signal, "SIGKILL");
      assert.throws(
        () => processes.start(shell("true")),
        (error: unknown) => error instanceof AppError && error.code === "busy",
      );
      await processes.close();
    });

    test(`after kill -9 of the server ${kind === "group" ? "the next start's sweep ends what is left" : "nothing is left"}`, async () => {
      const instance = randomUUID();
      const { argv, env, mark, size } = stubborn();
      const program = `
        import { openProcesses } from ${JSON.stringify(new URL("./open.ts", import.meta.url).href)};
        const processes = await openProcesses(${JSON.stringify({ tuttiHome, instance, force: kind, path })});
        processes.start(${JSON.stringify({ argv, env, cwd: "/", stdin: "pipe", session: "s", sandbox: null })});
        setInterval(() => {}, 60_000);`;
      const server = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "ignore", "inherit"] });
      await until("the whole tree runs", () => processesWith(mark).length >= size);
      server.kill("SIGKILL");
      await once(server, "exit");
      if (kind === "group") {
        assert.ok(processesWith(mark).length > 0, "the control: a process in its own session outlives the server");
        assert.ok((await (await open(kind, instance)).sweep("all")).length > 0);
        assert.deepEqual(processesWith(mark), []);
      } else {
        await until("nothing is left", () => processesWith(mark).length === 0, 2000);
      }
    });
  });
}

test("the best way that works is chosen, and says so", async () => {
  const { abilities } = await open(null);
  assert.equal(abilities.kind, "bubblewrap");
  assert.equal(abilities.sandbox, true);
  assert.match(abilities.why, /^bubblewrap works: /);
});

test("the ways without a file system of their own do not claim a sandbox", () => {
  assert.deepEqual(
    kinds.map((kind) => use(kind).abilities.sandbox),
    [true, false, false],
  );
});

test("where bubblewrap does not work the next way is taken, and the reason is its last line", async () => {
  const folder = mkdtempSync(join(tuttiHome, "bin-"));
  writeFileSync(join(folder, "bwrap"), '#!/bin/sh\necho warning >&2\necho "bwrap: No permissions to create new namespace" >&2\nexit 1\n');
  chmodSync(join(folder, "bwrap"), 0o755);
  const { abilities } = await openProcesses({ tuttiHome, instance: randomUUID(), path: `${folder}:${path}` });
  assert.equal(abilities.kind, "unshare");
  assert.match(abilities.why, /^bubblewrap does not work: bwrap: No permissions to create new namespace; unshare works: /);
});

test("a wrapper that only pretends to separate processes is not believed", async () => {
  const folder = mkdtempSync(join(tuttiHome, "bin-"));
  writeFileSync(join(folder, "bwrap"), '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift\necho \'{ "exit-code": 0 }\' >&3\n"$@"\n');
  chmodSync(join(folder, "bwrap"), 0o755);
  const { abilities } = await openProcesses({ tuttiHome, instance: randomUUID(), path: `${folder}:${path}` });
  assert.equal(abilities.kind, "unshare");
  assert.match(abilities.why, /bubblewrap does not work: its processes were not separated/);
});

test("a forced way that does not work is refused, with what to install", async () => {
  const folder = mkdtempSync(join(tuttiHome, "bin-"));
  writeFileSync(join(folder, "bwrap"), "#!/bin/sh\nexit 1\n");
  chmodSync(join(folder, "bwrap"), 0o755);
  await assert.rejects(openProcesses({ tuttiHome, instance: "i", force: "bubblewrap", path: `${folder}:${path}` }), (error: unknown) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "agent_unavailable");
    assert.ok(error.fix.includes("apt-get install bubblewrap"));
    return true;
  });
});

test("a gigantic output is cut in the middle and does not grow the memory", async () => {
  const before = process.memoryUsage().rss;
  const script = "echo first; head -c 200000000 /dev/zero; echo; echo last";
  const result = await use("group").run({ ...shell(script), timeoutMs: 60_000, maxOutputBytes: 10_000 }, never);
  assert.equal(result.truncated, true);
  assert.match(result.output, /^first\n\0+\n\[\.\.\. 199990012 bytes left out \.\.\.\]\n\0+\nlast\n$/);
  assert.ok(process.memoryUsage().rss - before < 100_000_000);
});

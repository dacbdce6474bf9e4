import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { findProgram } from "../src/processes/program.ts";
import { openBench, program } from "./support/command-line.ts";
import { root, until } from "./support/tutti.ts";

/** What a shell offers, by the scripts that it is given, from the running server. */
const bench = await openBench();
const { call, expectCode, json, inTerminal, environment, give, whenIn, ended, plant, person } = bench;
after(() => bench.close());

suite("completion", () => {
  const evil = "x'$(touch pwned)`touch pwned`";
  let evilTask: string;
  before(async () => {
    plant("tutti", `exec '${process.execPath}' '${program}' "$@"`);
    evilTask = await ended(`SAY ${evil} \u001b]0;owned\u0007`);
  });

  /** What a shell would offer at the end of this line. */
  const bash = (line: string, more: { env?: Record<string, string>; type?: number } = {}): string[] => {
    const script = `
      source <(tutti completion bash)
      read -ra COMP_WORDS <<< "$1"; [ "\${1: -1}" = " " ] && COMP_WORDS+=("")
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMP_TYPE=${more.type ?? 9} COMP_LINE=$1
      _tutti; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...environment(bench.home, more.env ?? {}), TUTTI_HOME: more.env?.TUTTI_HOME ?? bench.home };
    const words = execFileSync("bash", ["--norc", "-c", script, "bash", line], { cwd: bench.folder, env, encoding: "utf8", stdio: "pipe" });
    return words.split("\n").filter(Boolean);
  };
  const firstWords = (lines: string[]): string[] => lines.map((line) => line.split(" ")[0] ?? "");
  /** A busy machine may need longer than the server is waited for. */
  const withIds = (line: string, id: string): Promise<string[]> =>
    until(`${id} to be offered`, () => {
      const offered = bash(line);
      return firstWords(offered).includes(id) && offered;
    });

  test("bash: verbs, flags and what flags take", () => {
    assert.deepEqual(firstWords(bash("tutti sta")), ["status"]);
    assert.deepEqual(bash("tutti sta"), ["status"], "a single one goes into the line as it is");
    const verbs = bash("tutti re");
    assert.deepEqual(firstWords(verbs), ["reply", "retry", "restore"]);
    assert.match(verbs[1] ?? "", /^retry +\(another attempt/);
    assert.deepEqual(bash("tutti re", { type: 37 }), ["reply", "retry", "restore"], "menu completion puts them into the line");
    assert.deepEqual(firstWords(bash("tutti doctor --f")), ["--fix"]);
    assert.ok(firstWords(bash("tutti ls --")).includes("--columns"));
    assert.deepEqual(bash("tutti --color a"), ["auto", "always"]);
    assert.deepEqual(firstWords(bash("tutti agents add x --backend m")), ["model"]);
    assert.deepEqual(firstWords(bash("tutti doctor net")), ["network"]);
    assert.deepEqual(firstWords(bash("tutti flow ")).slice(0, 2), ["lint", "run"]);
    assert.deepEqual(bash("tutti flow lint "), [], "a file: the shell's own");
    assert.deepEqual(firstWords(bash("tutti ta")), ["task"], "the API's nouns too");
    assert.ok(firstWords(bash("tutti task ")).includes("create"));
  });

  test("bash: live ids with what they are, each where it fits", async () => {
    const running = await give("SLEEP");
    await whenIn(running, "running");
    const stop = await withIds("tutti stop ", running);
    assert.ok(!firstWords(stop).includes(evilTask), "what has ended cannot be stopped");
    const merge = await withIds("tutti merge ", evilTask);
    assert.ok(!firstWords(merge).includes(running), "what runs cannot be merged");
    assert.match((await withIds("tutti show t-", running)).find((line) => line.startsWith(`${running} `)) ?? "", /\(running: SLEEP\)/);
    const session = (await bench.tutti.client.query("task.get", { id: running })).session ?? "";
    await withIds("tutti attach S-", session);
    await withIds("tutti run x --agent ", "actor");
    await withIds("tutti ls --project ", "shop");
    await withIds("tutti projects update ", "shop");
    const asked = String((await json(["run", "ASK a.txt: hi", "--agent", "asker", "--detach"])).id);
    await whenIn(asked, "needs you");
    const [approval] = (await bench.tutti.client.query("approval.list", { state: "open" })).items;
    assert.deepEqual(await until("the only one", () => bash("tutti approve ").length === 1 && bash("tutti approve ")), [approval?.id]);
    await Promise.all([expectCode(0, ["stop", running]), expectCode(0, ["stop", asked])]);
  });

  test("bash: what an agent or a prompt has in it is shown as text, never run, and never obeyed by the terminal", async () => {
    const offered = await withIds("tutti show T-", evilTask);
    const line = offered.find((text) => text.startsWith(`${evilTask} `)) ?? "";
    assert.match(line, /\$\(touch pwned\)/);
    assert.ok(!/\p{Cc}/u.test(offered.join("")));
    assert.equal(existsSync(join(bench.folder, "pwned")), false);
  });

  test("without a server, with a damaged file, or with one that does not answer there are no ids, no words of complaint, and no waiting", async () => {
    const held = createServer((socket) => socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => void held.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(held.address() as AddressInfo).port}`;
    const damaged = join(bench.folder, "damaged");
    mkdirSync(damaged);
    writeFileSync(join(damaged, "server.json"), "{");
    const wrong: Record<string, string>[] = [
      { TUTTI_HOME: join(bench.folder, "none") },
      { TUTTI_HOME: damaged },
      { TUTTI_URL: url, TUTTI_TOKEN: "x" },
      { TUTTI_PORT: "wrong" },
    ];
    for (const env of wrong) {
      const { code, stdout, stderr } = await call(["__complete", "merge", ":"], { env });
      assert.deepEqual([code, stdout, stderr], [0, "", ""], JSON.stringify(env));
      assert.deepEqual(firstWords(bash("tutti sta", { env })), ["status"]);
    }
    await new Promise((resolve) => held.close(resolve));
  });

  for (const [shell, script] of Object.entries({
    zsh: `compdef() { :; }; _describe() { local -a offered; offered=("\${(@P)3}"); print -rl -- $offered; }; _files() { print files; }
      source <(tutti completion zsh); words=("\${(@s: :)1}"); CURRENT=\${#words}; _tutti`,
    fish: `tutti completion fish | source; complete -C "$argv[1]"`,
  })) {
    test(`${shell}: reads its script and offers the same (where it is installed)`, async () => {
      const installed = findProgram(shell, process.env.PATH);
      const printed = (await expectCode(0, ["completion", shell])).stdout;
      assert.match(printed, /__complete/);
      assert.doesNotMatch(printed, /\beval\b|compgen -W/);
      if (installed === null) return;
      const flags = shell === "zsh" ? ["-f", "-c", script, shell] : ["--no-config", "-c", script];
      const ask = (line: string): string[] =>
        execFileSync(installed, [...flags, line], { cwd: bench.folder, env: environment(bench.home, {}), encoding: "utf8", stdio: "pipe" })
          .split("\n")
          .filter(Boolean);
      assert.match(ask("tutti sta").join("\n"), /^status[:\t]what runs/);
      const found = await until("ids", () => {
        const offered = ask("tutti show T-");
        return offered.some((line) => line.startsWith(evilTask)) && offered;
      });
      assert.match(found.join("\n"), /\$\(touch pwned\)/);
      assert.equal(existsSync(join(bench.folder, "pwned")), false);
      if (shell === "zsh") assert.deepEqual(ask("tutti flow lint "), ["files"]);
    });
  }

  test("what a key press loads has no package in it but the one that reads words", () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const load = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, type, name = ""] of text.matchAll(/^import (type )?[^;]*?from "([^"]+)";/gm)) {
        if (type) continue;
        if (name.startsWith(".")) load(join(file, "..", name));
        else if (!name.startsWith("node:")) packages.add(name);
      }
    };
    load(join(root, "src/entry/cli/completion/complete.ts"));
    assert.deepEqual([...packages], ["commander"]);
    assert.ok(seen.size < 40, [...seen].join("\n"));
  });

  suite("install", () => {
    const rc = join(person, ".bashrc");
    const shell = { SHELL: "/usr/bin/bash" };

    test("shows the exact line, and changes nothing where nobody can say yes", async () => {
      writeFileSync(rc, "export A=1");
      const { stderr } = await expectCode(2, ["completion", "install"], { env: shell });
      assert.match(stderr, /\.bashrc gets this at its end:\n\+ .*source <\(tutti completion bash\)/);
      assert.match(stderr, /try {2}tutti completion install --yes/);
      assert.equal(readFileSync(rc, "utf8"), "export A=1");
    });

    test("asks in a terminal: no changes nothing, yes adds the line that was shown", async () => {
      const no = await inTerminal(["completion", "install"], [[/\[y\/N\]/, "n\r"]], { env: shell });
      assert.deepEqual([no.code, readFileSync(rc, "utf8")], [0, "export A=1"]);
      const yes = await inTerminal(["completion", "install"], [[/\[y\/N\]/, "y\r"]], { env: shell });
      assert.equal(yes.code, 0);
      assert.match(readFileSync(rc, "utf8"), /^export A=1\n.*source <\(tutti completion bash\)\n$/);
    });

    test("with --yes adds it once, for each shell in its own file; a shell that is not known is refused", async () => {
      const before = readFileSync(rc, "utf8");
      assert.match((await expectCode(0, ["completion", "install", "--yes"], { env: shell })).stdout, /has it already/);
      assert.equal(readFileSync(rc, "utf8"), before);
      const env = { XDG_CONFIG_HOME: join(person, "config"), ZDOTDIR: join(person, "z") };
      const files = {
        zsh: join(person, "z/.zshrc"),
        fish: join(person, "config/fish/completions/tutti.fish"),
        powershell: join(person, "config/powershell/profile.ps1"),
      };
      for (const [name, file] of Object.entries(files)) {
        const done = await json(["completion", "install", name, "--yes"], { env });
        assert.deepEqual([done.file, done.changed], [file, true]);
        assert.match(readFileSync(file, "utf8"), new RegExp(`tutti completion ${name}`));
      }
      const { stderr } = await expectCode(2, ["completion", "install", "fis", "--yes"], { env });
      assert.match(stderr, /tutti completion install fish/);
    });

    test("a shell that reads that file completes", () => {
      const env = { ...environment(bench.home, {}), HOME: person };
      const script = `COMP_WORDS=(tutti sta) COMP_CWORD=1 COMP_TYPE=9; _tutti; echo "\${COMPREPLY[@]}"`;
      const out = execFileSync("bash", ["--rcfile", rc, "-i", "-c", script], {
        env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      assert.equal(out.trim(), "status");
    });
  });
});

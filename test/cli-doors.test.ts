import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { openBench, program, type Ended } from "./support/command-line.ts";
import { git, root, until } from "./support/tutti.ts";

/** The command line's ways in and out: the dashboard's link, attaching and leaving, and what is the same in all output. */
const bench = await openBench();
const { call, expectCode, json, inTerminal, give, whenIn, stateOf, ended, plant, shop } = bench;
after(() => bench.close());

suite("tutti open", () => {
  const opened = join(bench.folder, "opened");
  const desktop = { DISPLAY: ":0" };
  before(() => plant("xdg-open", `printf '%s\\n' "$#" "$1" >> '${opened}'`));

  test("without a terminal the last line is url=, and the link opens the dashboard once", async () => {
    const { stdout } = await expectCode(0, ["open"], { env: desktop });
    const [, code = ""] = /^url=http:\/\/127\.0\.0\.1:\d+\/\?k=([\w-]+)\n$/.exec(stdout) ?? assert.fail(stdout);
    const redeem = (): Promise<Response> =>
      fetch(new URL("/api/commands/link.redeem", bench.tutti.url), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ code }),
      });
    assert.equal((await redeem()).status, 200);
    assert.equal((await redeem()).status, 401);
    assert.equal(existsSync(opened), false, "nobody sits there");
  });

  test("each call makes another link; so does status --link, in its last line and its object", async () => {
    const [one, other] = await Promise.all([json<{ url: string }>(["open"]), json<{ link: { url: string } }>(["status", "--link"])]);
    assert.notEqual(one.url, other.link.url);
    assert.match((await expectCode(0, ["status", "--link"])).stdout, /\nurl=http:\/\/\S+\?k=\S+\n$/);
    assert.doesNotMatch((await expectCode(0, ["status"])).stdout, /\?k=/);
  });

  test("before a desktop of this machine the browser gets the link as one argument", async () => {
    const { code, stdout } = await inTerminal(["open"], [], { env: desktop });
    assert.equal(code, 0);
    const [, link = ""] = /(http:\/\/127\.0\.0\.1:\d+\/\?k=[\w-]+)/.exec(stdout) ?? [];
    assert.equal(await until("the browser", () => existsSync(opened) && readFileSync(opened, "utf8")), `1\n${link}\n`);
    rmSync(opened);
  });

  test("it does not open over ssh, in CI, without a desktop, or when it is only to be printed", async () => {
    const cases: [string[], Record<string, string>][] = [
      [["open"], { ...desktop, SSH_CONNECTION: "1 2 3 4" }],
      [["open"], { ...desktop, CI: "true" }],
      [["open"], {}],
      [["open", "--print"], desktop],
      [["open", "--json"], desktop],
    ];
    for (const [words, env] of cases) {
      const { code, stdout } = await inTerminal(words, [], { env });
      assert.equal(code, 0);
      assert.match(stdout, /\?k=/);
    }
    assert.equal(existsSync(opened), false);
  });
});

suite("tutti attach", () => {
  /** Everything that a command leaves behind: the events, and who called what. */
  const record = async (): Promise<string[]> => {
    const [events, audit] = await Promise.all([
      bench.tutti.client.query("event.list", { limit: 500 }),
      bench.tutti.client.query("audit.list", { limit: 500 }),
    ]);
    return [
      ...events.items.map(({ stream, seq, type }) => `${stream} ${seq} ${type}`),
      ...audit.items.map(({ id, command }) => `${command} ${id}`),
    ];
  };
  /** A task whose agent has said hello, and now does nothing. */
  const quiet = async (): Promise<string> => {
    const id = await give("SAY hello\nSLEEP");
    await until(`${id} to have said it`, async () => {
      const { session } = await bench.tutti.client.query("task.get", { id });
      const said = session && (await bench.tutti.client.query("session.transcript", { id: session })).items;
      return said && said.some(({ kind }) => kind === "text");
    });
    return id;
  };

  test("looking changes nothing: with --read-only whatever is typed goes nowhere, and q leaves", async () => {
    const id = await quiet();
    const before = await record();
    const watched = await inTerminal(["attach", id, "--read-only"], [[/hello/, "WRITE evil.txt: x\ryes\rcontinue\rq"]]);
    assert.equal(watched.code, 0, watched.stdout);
    assert.doesNotMatch(watched.stdout, /WRITE evil/, "what is typed is not even shown");
    const left = await inTerminal(["attach", id, "--read-only"], [[/hello/, "\u0003"]]);
    assert.equal(left.code, 130, left.stdout);
    assert.match(left.stdout, /it goes on/);
    const piped = await call(["attach", id, "--read-only"], { input: "WRITE evil.txt: x\n", interruptAt: /hello/ });
    assert.equal(piped.code, 130);
    assert.deepEqual(await record(), before, "the event log and the audit are as they were");
    assert.equal(await stateOf(id), "running");
    await expectCode(0, ["stop", id]);
  });

  test("without --read-only too: coming and going sends nothing, and ctrl-c and ctrl-d leave the work alone", async () => {
    const id = await quiet();
    const before = await record();
    assert.equal((await inTerminal(["attach", id], [[/hello/, "\u0003"]])).code, 130);
    assert.equal((await inTerminal(["attach", id], [[/hello/, "\u0004"]])).code, 0);
    assert.deepEqual(await record(), before);
    assert.equal(await stateOf(id), "running");
    await expectCode(0, ["stop", id]);
  });

  test("a line that is typed is a reply to a finished task, in the same session", async () => {
    const id = await ended("SAY one");
    const { stdout } = await expectCode(0, ["attach", id.toLowerCase()], { input: "WRITE reply.txt: hello\n" });
    assert.match(stdout, /SAY one[\s\S]*WRITE reply\.txt/);
    assert.equal(git(shop, "show", `tutti/${id}:reply.txt`), "hello");
    const typed: [RegExp, string][] = [
      [/done/, "SAY two\r"],
      [/text\S*\s+two/, "\u0004"],
    ];
    const terminal = await inTerminal(["attach", id], typed);
    assert.equal(terminal.code, 0, terminal.stdout);
    assert.match(terminal.stdout, /SAY two/);
  });

  test("a reply that cannot be taken is said, not kept for later", async () => {
    const id = await give("SLEEP");
    await whenIn(id, "running");
    // It ends by itself when the work has: the task is stopped once the reply was refused.
    const stop = (): void => void bench.tutti.client.command("task.stop", { id });
    const { code, stderr } = await call(["attach", id], { input: "SAY late\n", when: { shows: /middle of a turn/, act: stop } });
    assert.equal(code, 9, stderr);
    assert.match(stderr, /not sent: SAY late/);
    const turns = (
      await bench.tutti.client.query("session.turns", { id: (await bench.tutti.client.query("task.get", { id })).session ?? "" })
    ).items;
    assert.deepEqual(
      turns.map(({ prompt }) => prompt.includes("late")),
      [false],
    );
  });

  test("what does not exist, or has no conversation, is said", async () => {
    await expectCode(3, ["attach", "T-9999"]);
    await expectCode(3, ["attach", "S-9999", "--read-only"]);
  });
});

suite("what follows leaves at once", { concurrency: 2 }, () => {
  const verbs: [string[], RegExp][] = [
    [["attach", "ID"], /hello/],
    [["attach", "ID", "--read-only"], /hello/],
    [["logs", "-f", "ID"], /hello/],
    [["events", "-f"], /./],
  ];
  for (const [words, seen] of verbs) {
    test(`tutti ${words.join(" ")}: ctrl-c ends it with 130 within a second`, async () => {
      const id = await give("SAY hello\nSLEEP");
      await whenIn(id, "running");
      const named = words.map((word) => (word === "ID" ? id : word));
      const { code, leftAfterMs } = await whileThingsHappen(call(named, { interruptAt: seen }));
      assert.equal(code, 130);
      assert.ok(leftAfterMs < 1_000, `${leftAfterMs} ms`);
      await expectCode(0, ["stop", id]);
    });
  }

  /** `events -f` tells what happens from now on: until it has begun to, something has to. */
  async function whileThingsHappen(following: Promise<Ended>): Promise<Ended> {
    let done: Ended | null = null;
    void following.then((value) => (done = value));
    return await until("the command to see an event", async () => {
      if (!done) await bench.tutti.client.command("agent.update", { name: "asker", limit: 4 });
      return done;
    });
  }
});

suite("the terminal's title", () => {
  const [escape, bell] = ["\u001b", "\u0007"];
  const setsTitle = new RegExp(`${escape}\\]([^${bell}${escape}]*)(?:${bell}|${escape}\\\\)`, "g");
  const titles = (text: string): string[] => [...text.matchAll(setsTitle)].map(([, title]) => title ?? "");

  test("carries the number that needs you, is ours alone, and is given back", async () => {
    const asked = String((await json(["run", "ASK a.txt: hi", "--agent", "asker", "--detach"])).id);
    await whenIn(asked, "needs you");
    const { total } = (await bench.tutti.client.query("inbox.list", {})).counts;
    assert.ok(total > 0);
    const id = await give("SAY \u001b]0;owned\u0007\u001b]2;owned\u001b\\before\nSAY after\nSLEEP");
    await whenIn(id, "running");
    const attached = inTerminal(["attach", id], [[new RegExp(`◆ ${total} tutti ${id}[\\s\\S]*after`), "\u0003"]]);
    const { code, stdout } = await attached;
    assert.equal(code, 130);
    assert.match(stdout, /before/);
    assert.deepEqual([...new Set(titles(stdout))], [`0;tutti ${id}`, `0;◆ ${total} tutti ${id}`, "0;"]);
    // xterm's stack: kept first, given back last.
    assert.ok(stdout.includes("\u001b[22;0t"));
    assert.ok(stdout.trimEnd().endsWith("\u001b]0;\u0007\u001b[23;0t"), JSON.stringify(stdout.slice(-80)));
    await Promise.all([expectCode(0, ["stop", id]), expectCode(0, ["stop", asked])]);
  });

  test("is left alone by what only looks once, by a dumb terminal, and where no terminal is", async () => {
    const id = await ended("SAY hello");
    assert.deepEqual(titles((await inTerminal(["logs", id], [])).stdout), []);
    assert.deepEqual(titles((await inTerminal(["logs", "-f", id], [], { env: { TERM: "dumb" } })).stdout), []);
    const { stdout, stderr } = await expectCode(0, ["logs", "-f", id]);
    assert.deepEqual(titles(stdout + stderr), []);
    assert.notDeepEqual(titles((await inTerminal(["logs", "-f", id], [])).stdout), []);
  });
});

suite("tutti config list", () => {
  const secrets = {
    DATABASE_URL: "postgres://u:very-secret@h/d",
    OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    OPENAI_API_KEY: "very-secret",
    TUTTI_TOKEN: "very-secret",
  };

  test("says of every value where it came from; of secrets only that they are set", async () => {
    const env = { ...secrets, TUTTI_PORT: "7999", XDG_DATA_HOME: "/data" };
    const [words, object] = await Promise.all([
      expectCode(0, ["config", "list", "--origin"], { env }),
      json<{ items: { name: string; value: string; origin: string }[] }>(["config", "list"], { env }),
    ]);
    const setting = (name: string) => object.items.find((item) => item.name === name);
    assert.deepEqual(setting("port"), { name: "port", value: "7999", origin: "TUTTI_PORT" });
    assert.deepEqual(setting("home"), { name: "home", value: bench.home, origin: "TUTTI_HOME" });
    assert.deepEqual(setting("logLevel"), { name: "logLevel", value: "warn", origin: "default" });
    assert.deepEqual(setting("databaseUrl"), { name: "databaseUrl", value: "set", origin: "DATABASE_URL" });
    assert.match(words.stdout, /^port +TUTTI_PORT +7999$/m);
    assert.doesNotMatch(words.stdout + JSON.stringify(object), /very-secret/);
    assert.doesNotMatch((await expectCode(0, ["config", "list"], { env })).stdout, /TUTTI_PORT/);
    const flagged = await json<{ items: { name: string; origin: string }[] }>(["--color", "never", "config", "list"]);
    assert.equal(flagged.items.find(({ name }) => name === "color")?.origin, "--color");
  });

  test("a value that cannot be used is an error, as everywhere", async () => {
    assert.match((await expectCode(2, ["config", "list"], { env: { TUTTI_PORT: "x" } })).stderr, /TUTTI_PORT is "x"/);
  });
});

suite("output", { concurrency: 2 }, () => {
  const colour = "\u001b[";

  test("colours follow the flag, NO_COLOR, FORCE_COLOR, TERM and the stream, in this order", async () => {
    const piped: [string[], Record<string, string>, boolean][] = [
      [["ls", "agents"], {}, false],
      [["ls", "agents"], { FORCE_COLOR: "1" }, true],
      [["ls", "agents"], { FORCE_COLOR: "0" }, false],
      [["ls", "agents"], { FORCE_COLOR: "1", TERM: "dumb" }, true],
      [["ls", "agents"], { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
      [["ls", "agents"], { FORCE_COLOR: "1", NO_COLOR: "" }, true],
      [["ls", "agents", "--color", "always"], { NO_COLOR: "1" }, true],
      [["--color=never", "ls", "agents"], { FORCE_COLOR: "1" }, false],
      [["--color", "auto", "ls", "agents"], { FORCE_COLOR: "1" }, true],
    ];
    for (const [words, env, coloured] of piped)
      assert.equal((await expectCode(0, words, { env })).stdout.includes(colour), coloured, JSON.stringify([words, env]));
    const shown: [string[], Record<string, string>, boolean][] = [
      [["ls", "agents"], {}, true],
      [["ls", "agents"], { TERM: "dumb" }, false],
      [["ls", "agents"], { NO_COLOR: "1" }, false],
      [["ls", "agents", "--color", "never"], {}, false],
    ];
    for (const [words, env, coloured] of shown)
      assert.equal((await inTerminal(words, [], { env })).stdout.includes(colour), coloured, JSON.stringify([words, env]));
    const error = await call(["show", "T-9999"], { env: { FORCE_COLOR: "1" } });
    assert.ok(error.stderr.includes(colour));
    await expectCode(2, ["ls", "--color", "sometimes"]);
  });

  test("--json=fields gives only these fields of each object; one that is not there is an error that names those that are", async () => {
    const { items } = await json<{ items: object[] }>(["ls", "agents", "--json=name,detection.state"]);
    assert.ok(items.length > 0);
    for (const item of items) assert.deepEqual(Object.keys(item), ["name", "detection.state"]);
    const one = JSON.parse((await expectCode(0, ["show", "shop", "--json=id"])).stdout) as object;
    assert.deepEqual(one, { id: "shop" });
    const events = (await expectCode(0, ["events", "--project", "shop", "--limit", "2", "--json=seq"])).stdout.trimEnd().split("\n");
    assert.deepEqual(
      events.map((line) => Object.keys(JSON.parse(line) as object)),
      [["seq"], ["seq"]],
    );
    const { stderr, stdout } = await expectCode(2, ["ls", "agents", "--json=nme"]);
    assert.equal(stdout, "");
    assert.match(stderr, /there is no field [^,]*nme[\s\S]*there are: name/);
  });

  test("lists can be had whole, by columns, and without titles", async () => {
    await ended("SAY a title that is longer than a narrow terminal is wide, and so has to be cut there");
    const columns = await expectCode(0, ["ls", "--columns", "title,id", "--limit", "1"]);
    assert.match(columns.stdout, /^TITLE +ID\n/);
    assert.match((await expectCode(0, ["ls", "--wide"])).stdout, /^ID .* SESSION .* MESSAGE/);
    assert.doesNotMatch((await expectCode(0, ["ls"])).stdout, /SESSION/);
    assert.doesNotMatch((await expectCode(0, ["agents", "--no-headers"])).stdout, /BACKEND/);
    assert.match(
      (await expectCode(0, ["task", "list", "--columns", "state,id", "--no-headers", "--limit", "1"])).stdout,
      /^\S.* {2}T-\d+\n$/,
    );
    assert.match((await expectCode(2, ["ls", "--columns", "id,nope"])).stderr, /"nope"[\s\S]*there are: id, state/);
  });

  test("what is piped is never cut; a terminal's lines are, unless they are wanted wide", async () => {
    const cutSign = /…/;
    const env = { COLUMNS: "30" };
    assert.doesNotMatch((await expectCode(0, ["ls", "--columns", "id,title"], { env })).stdout, /is wide, and so…/);
    const { stdout: whole } = await expectCode(0, ["ls", "projects"], { env });
    assert.ok(whole.includes(shop) && !cutSign.test(whole));
    // A terminal of script(1) has no size of its own: it is given one.
    const narrow = (words: string[]): string =>
      execFileSync("script", ["-qefc", `stty cols 30; '${process.execPath}' '${program}' ${words.join(" ")}`, "/dev/null"], {
        env: { SHELL: "/bin/sh", ...bench.environment(bench.home, {}) },
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    assert.match(narrow(["ls", "projects"]), cutSign);
    assert.ok(narrow(["ls", "projects", "--wide"]).includes(shop));
  });

  test("a variable of an agent program changes nothing", async () => {
    const env = { CLAUDECODE: "1", CURSOR_AGENT: "1", CODEX_SANDBOX: "seatbelt", GEMINI_CLI: "1", AI_AGENT: "x", OPENCODE: "1" };
    for (const words of [["ls", "agents"], ["config", "list", "--columns", "name,value"], ["show", "shop"], ["--help"]]) {
      const [plain, agent] = await Promise.all([expectCode(0, words), expectCode(0, words, { env })]);
      assert.deepEqual([agent.stdout, agent.stderr], [plain.stdout, plain.stderr], words.join(" "));
    }
  });
});

suite("docs/cli.md", () => {
  const text = readFileSync(join(root, "docs/cli.md"), "utf8");
  const examples = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = ""]) =>
    block.split("\n").filter((line) => line.startsWith("tutti ")),
  );
  const wordsOf = (line: string): string[] => (line.split(/\s#/)[0] ?? "").trim().split(/\s+/).slice(1);

  test("has an example for every everyday verb", async () => {
    const { makeProgram } = await import("../src/entry/cli/program.ts");
    const verbs = makeProgram()
      .commands.map((command) => command.name())
      .filter((name) => name !== "mcp" && name !== "explain");
    const shown = new Set(examples.map((line) => wordsOf(line).find((word) => !word.startsWith("-") && word !== "never")));
    assert.deepEqual(
      verbs.filter((verb) => !shown.has(verb)),
      [],
    );
  });

  test("every example is a verb with these options", async () => {
    assert.ok(examples.length > 30);
    const global = (await expectCode(0, ["--help"])).stdout;
    const ask = async (line: string): Promise<void> => {
      const words = wordsOf(line);
      const help = await call([...words.filter((word) => !word.startsWith('"')), "--help"]);
      assert.equal(help.code, 0, `${line}\n${help.stderr}`);
      assert.match(help.stdout, /^Usage: tutti \w+/, line);
      const flags = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split("=")[0] ?? "");
      for (const flag of flags) assert.ok((help.stdout + global).includes(flag), `${line}: ${flag}`);
    };
    for (let at = 0; at < examples.length; at += 4) await Promise.all(examples.slice(at, at + 4).map(ask));
  });
});

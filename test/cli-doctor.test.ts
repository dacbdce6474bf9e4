import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { after, suite, test } from "node:test";
import { openBench, program, type Call } from "./support/command-line.ts";
import { bareEnvironment } from "./support/tutti.ts";

/** Faults are planted, found with the one command that helps, and mended where that harms nothing. */
const bench = await openBench();
const { expectCode, json, plant, person } = bench;
after(() => bench.close());

suite("tutti doctor", () => {
  interface Finding {
    area: string;
    state: "ok" | "warning" | "problem";
    message: string;
    fix: string | null;
    fixable: boolean;
  }
  interface Report {
    ok: boolean;
    problems: number;
    fixable: number;
    mended: string[];
    findings: Finding[];
  }
  const examine = async (words: string[], options: Call & { code?: number } = {}): Promise<Report> =>
    await json<Report>(["doctor", ...words], options);
  const find = ({ findings }: Report, area: string, message: RegExp): Finding | undefined =>
    findings.find((finding) => finding.area === area && message.test(finding.message));
  const wrong = ({ findings }: Report): Finding[] => findings.filter(({ state }) => state === "problem");

  /** A home of its own without a server. */
  const newHome = (name: string): string => {
    const home = join(bench.folder, name);
    mkdirSync(home, { mode: 0o700 });
    return home;
  };

  test("a server that is well has no problem; every area has its line, one area only its own", async () => {
    const report = await examine([]);
    assert.deepEqual(wrong(report), []);
    const areas = ["runtime", "server", "database", "disk", "clones", "processes", "agents", "keys", "network", "ports", "notifications"];
    assert.deepEqual([...new Set(report.findings.map(({ area }) => area))], areas);
    assert.match(find(report, "database", /sqlite/)?.message ?? "", /sound/);
    const one = await examine(["git"]);
    assert.deepEqual(
      one.findings.map(({ area, state }) => [area, state]),
      [["clones", "ok"]],
    );
    const { stderr } = await expectCode(2, ["doctor", "netwrk"]);
    assert.match(stderr, /try {2}tutti doctor network/);
  });

  test("without a server that is said once, with 5, and what needs none is looked at all the same", async () => {
    const report = await examine([], { home: newHome("empty"), code: 5 });
    assert.deepEqual(
      wrong(report).map(({ area, fix }) => [area, fix]),
      [["server", "tutti up"]],
    );
    assert.ok(find(report, "clones", /./) && find(report, "disk", /free/) && find(report, "network", /can be used/));
    assert.deepEqual(
      wrong(await examine(["agents"], { home: join(bench.folder, "empty"), code: 5 })).map(({ area }) => area),
      ["server"],
    );
  });

  test("a server.json that a dead server left, or that is damaged, is found and removed", async () => {
    const home = newHome("stale");
    const gone = spawn("true");
    await new Promise((resolve) => gone.once("exit", resolve));
    for (const [text, message] of [
      [JSON.stringify({ url: "http://127.0.0.1:1", token: "t", pid: gone.pid, version: "0" }), /left from process \d+/],
      ["{", /damaged/],
    ] as const) {
      writeFileSync(join(home, "server.json"), text, { mode: 0o600 });
      const found = find(await examine([], { home, code: 5 }), "server", message);
      assert.deepEqual([found?.fixable, found?.fix], [true, "tutti doctor --fix"]);
      const words = await expectCode(5, ["doctor"], { home });
      assert.match(words.stderr, /1 problem, 1 fixable: tutti doctor --fix\n$/);
      const mended = await examine(["--fix"], { home, code: 5 });
      assert.match(mended.mended.join(), /removed server\.json/);
      assert.equal(find(mended, "server", message), undefined);
      assert.equal(existsSync(join(home, "server.json")), false);
    }
  });

  test("a server.json of a living server is never removed", async () => {
    const before = readFileSync(join(bench.home, "server.json"), "utf8");
    assert.deepEqual((await examine(["--fix"])).mended, []);
    assert.equal(readFileSync(join(bench.home, "server.json"), "utf8"), before);
  });

  test("files that others may read are found and closed, and a link is not followed", async () => {
    const home = newHome("open");
    mkdirSync(join(home, "keys"), { mode: 0o755 });
    writeFileSync(join(home, "keys/local"), "key", { mode: 0o644 });
    writeFileSync(join(home, "server.json"), "{", { mode: 0o640 });
    const elsewhere = join(bench.folder, "elsewhere.txt");
    writeFileSync(elsewhere, "mine", { mode: 0o644 });
    symlinkSync(elsewhere, join(home, "keys/linked"));
    chmodSync(home, 0o755);
    const report = await examine(["disk"], { home, code: 5 });
    for (const [name, mode] of [
      ["open", "0755"],
      ["keys", "0755"],
      ["local", "0644"],
      ["server.json", "0640"],
    ])
      assert.ok(find(report, "disk", new RegExp(`${name} \\(mode ${mode}\\)`)), name);
    const mended = await examine(["disk", "--fix"], { home });
    const modes = ["", "keys", "keys/local", "server.json"].map((name) => statSync(join(home, name)).mode & 0o777);
    assert.deepEqual(modes, [0o700, 0o700, 0o600, 0o600]);
    assert.equal(statSync(elsewhere).mode & 0o777, 0o644, "what is not ours stays as it is");
    assert.deepEqual([mended.mended.length, mended.fixable], [4, 0]);
  });

  test("a program that is not there: the one for clones", async () => {
    const home = newHome("bare");
    const child = spawn(process.execPath, [program, "doctor", "clones", "--json"], {
      env: { ...bareEnvironment(home), HOME: person, PATH: "/nonexistent" },
      stdio: "pipe",
    });
    let stdout = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.equal(code, 5);
    assert.match(wrong(JSON.parse(stdout) as Report)[0]?.fix ?? "", /install git/);
  });

  test("a port that another program has", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const report = await examine(["ports"], { home: newHome("ports"), env: { TUTTI_PORT: String(port) }, code: 5 });
    assert.match(wrong(report)[0]?.message ?? "", new RegExp(`${port}.*another program`));
    await new Promise((resolve) => other.close(resolve));
  });

  test("a proxy that would get what is meant for this machine", async () => {
    const proxy = { HTTPS_PROXY: "http://user:very-secret@proxy.example:3128" };
    const used = await examine(["network"], { env: { ...proxy, NODE_USE_ENV_PROXY: "1" }, code: 5 }).catch(() => null);
    assert.match(wrong(used ?? assert.fail("no report"))[0]?.fix ?? "", /NO_PROXY/);
    const unused = await examine(["network"], { env: proxy });
    assert.ok(find(unused, "network", /does not obey/));
    assert.doesNotMatch(JSON.stringify([used, unused]), /very-secret/);
  });

  test("an agent that was installed since it was last looked for is found, and remembered", async () => {
    await expectCode(0, ["agents", "add", "late", "--backend", "command", "--command", "late-agent"]);
    plant("late-agent", "echo 1.0.0");
    const stored = async (): Promise<string> => (await bench.tutti.client.query("agent.get", { name: "late" })).detection.state;
    assert.equal(await stored(), "not found");
    const report = await examine(["agents"]);
    assert.equal(find(report, "agents", /late was "not found"/)?.fixable, true);
    const mended = await examine(["agents", "--fix"]);
    assert.match(mended.mended.join(), /looked for all agents again/);
    assert.equal(find(mended, "agents", /late was/), undefined);
    assert.equal(await stored(), "ready");
    rmSync(join(bench.folder, "bin/late-agent"));
    await expectCode(0, ["agents", "remove", "late"]);
  });

  test("a provider whose key is gone, and one that nobody answers for; keys are never shown", async () => {
    await expectCode(0, ["providers", "set", "far", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--key-stdin"], {
      input: "very-secret\n",
    });
    const unreachable = await examine(["keys"]);
    assert.equal(find(unreachable, "keys", /far cannot be reached/)?.state, "warning");
    rmSync(join(bench.home, "keys/far"));
    const missing = await examine(["keys"], { code: 5 });
    assert.match(find(missing, "keys", /far: its key is gone/)?.fix ?? "", /tutti providers set far --key-stdin/);
    assert.doesNotMatch(JSON.stringify([unreachable, missing]), /very-secret|127\.0\.0\.1:9/);
    await expectCode(0, ["providers", "remove", "far"]);
  });

  test("a log that was taken away, and a shell that looks in more folders than the server", async () => {
    const log = join(bench.home, "log/server.log");
    rmSync(log);
    const more = join(bench.folder, "more-programs");
    mkdirSync(more);
    const report = await examine(["server"], { env: { PATH: [process.env.PATH, more].join(delimiter) }, code: 5 });
    assert.match(find(report, "server", /its log/)?.message ?? "", /is gone/);
    assert.equal(find(report, "server", /more-programs, as this shell does/)?.fix, "tutti down && tutti up");
    appendFileSync(log, "", { mode: 0o600 });
    assert.deepEqual(wrong(await examine(["server"])), []);
  });

  test("a server that does not answer, and one of another version", async () => {
    const other = createHttp((_request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          version: "99.0.0",
          store: "sqlite",
          home: "/nowhere",
          path: "",
          log: { file: "x", problem: null },
          database: { kind: "sqlite", version: "1", schema: 1, newestSchema: 1, integrity: null, skewMs: 5_000 },
          processes: { kind: "group", sandbox: false, why: "bwrap is not installed" },
        }),
      );
    });
    await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const home = newHome("other-version");
    writeFileSync(join(home, "server.json"), JSON.stringify({ url, token: "t", pid: process.pid, version: "99.0.0" }), { mode: 0o600 });
    assert.ok(find(await examine(["server"], { home }), "server", /version 99\.0\.0, this command is version/));
    assert.match(wrong(await examine(["database"], { home, code: 5 }))[0]?.message ?? "", /5 s apart/);
    assert.match(wrong(await examine(["processes"], { home, code: 5 }))[0]?.fix ?? "", /bubblewrap/);
    await new Promise((resolve) => other.close(resolve));
    const silent = await examine(["server"], { home, code: 5 });
    assert.match(wrong(silent)[0]?.message ?? "", /nothing answers/);
  });
});

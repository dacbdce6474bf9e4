import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { isAlive, lookAt } from "../processes/proc.ts";
import type { AgentSettings, Detection } from "./agent.ts";
import { acpBackend } from "./backends/acp.ts";
import { commandBackend } from "./backends/command.ts";
import { launchOf } from "./backends/launch.ts";
import { loginFolders, presets } from "./backends/presets/table.ts";
import { isWithinVersions, makeDetect, resolveProgram, versionIn } from "./probe.ts";

let root: string;
let path: string;
let home: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tutti-probe-"));
  [path, home] = [join(root, "bin"), join(root, "home")];
  for (const folder of [path, home]) mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function program(name: string, script: string): string {
  const file = join(path, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

const searchPath = (): string => `${path}:/usr/bin:/bin`;
const backends = new Map([acpBackend, commandBackend].map((backend) => [backend.kind, backend]));
const environment = () => ({ path: searchPath(), home, providers: async () => ["local"], backends });

function detect(settings: Partial<AgentSettings>, backend: "acp" | "command" | "model" = "acp"): Promise<Detection> {
  return makeDetect(environment())({ name: "x", backend, settings: { env: {}, credentials: "none", permissions: "auto", ...settings } });
}

test("ready: the program that was started, and the version that it said", async () => {
  const file = program("goose", "echo ' 1.34.0'");
  assert.deepEqual(await detect({ preset: "goose" }), { state: "ready", version: "1.34.0", path: file, message: null, fix: null });
});

test("not found: the one command that installs it", async () => {
  assert.partialDeepStrictEqual(await detect({ preset: "opencode" }), {
    state: "not found",
    path: null,
    fix: "npm install -g opencode-ai",
  });
  assert.partialDeepStrictEqual(await detect({ command: ["no-such-agent"] }), { state: "not found", path: null });
  assert.partialDeepStrictEqual(await detect({ preset: "unheard-of" }), { state: "not found", message: 'there is no preset "unheard-of"' });
  assert.partialDeepStrictEqual(await detect({}), { state: "not found" });
  assert.partialDeepStrictEqual(await detect({}, "model"), { state: "not found", message: 'there is no backend "model"' });
});

test("unsupported version: too old, too new, none, or a program that does not start", async () => {
  for (const [script, message] of [
    ["echo 1.0.3", /1\.0\.3 is not supported: from/],
    ["echo 2.0.0", /2\.0\.0 is not supported/],
    ["echo hello", /did not say its version/],
    ["echo broken >&2; exit 3", /code 3: broken/],
  ] as const) {
    const file = program("goose", script);
    const found = await detect({ preset: "goose" });
    assert.partialDeepStrictEqual(found, { state: "unsupported version", path: file });
    assert.match(found.message ?? "", message);
    assert.ok(found.fix);
    rmSync(file);
  }
});

test("a program that does not answer --version is ended in time, with its children, and asked again the next time", async () => {
  const file = program("goose", `echo x >> ${root}/starts; sleep 60 & echo $! >> ${root}/children; wait`);
  const began = performance.now();
  const found = await detect({ preset: "goose" });
  assert.match(found.message ?? "", /did not answer --version within 4\.5 s/);
  assert.ok(performance.now() - began < 12_000);
  for (const child of readFileSync(join(root, "children"), "utf8").trim().split("\n")) {
    const found = lookAt(Number(child));
    assert.ok(!found || !isAlive(found), `${child} is alive`);
  }
  program("goose", "echo 1.34.0");
  assert.partialDeepStrictEqual(await detect({ preset: "goose" }), { state: "ready", path: file });
});

test("the answer is remembered until the program changes", async () => {
  const script = `echo x >> ${root}/starts; echo 1.34.0`;
  const starts = (): number => readFileSync(join(root, "starts"), "utf8").length / 2;
  const file = program("goose", script);
  await Promise.all([detect({ preset: "goose" }), detect({ preset: "goose" })]);
  await detect({ preset: "goose" });
  assert.equal(starts(), 1);
  utimesSync(file, new Date(), new Date(Date.now() - 60_000));
  await detect({ preset: "goose" });
  assert.equal(starts(), 2);
  program("goose", "echo 1.35.0");
  assert.equal((await detect({ preset: "goose" })).version, "1.35.0");
});

test("it sees nothing of our environment", async (t) => {
  process.env["TUTTI_PROBE_SECRET"] = "secret";
  t.after(() => delete process.env["TUTTI_PROBE_SECRET"]);
  program("goose", `env > ${root}/seen; echo 1.34.0`);
  await detect({ preset: "goose" });
  const names = readFileSync(join(root, "seen"), "utf8")
    .split("\n")
    .map((line) => line.split("=")[0] ?? "")
    .filter(
      (name) => !["", "PATH", "HOME", "LANG", "NO_COLOR", "PWD", "SHLVL", "_", "OLDPWD"].includes(name) && !name.startsWith("TUTTI_"),
    );
  assert.deepEqual(names, []);
  assert.doesNotMatch(readFileSync(join(root, "seen"), "utf8"), /secret/);
});

test("signed out: with vendor, until the program has a login; with key, until the provider is set up", async () => {
  program("goose", "echo 1.34.0");
  program("opencode", "echo 1.18.33");
  assert.partialDeepStrictEqual(await detect({ preset: "goose", credentials: "vendor" }), { state: "signed out", fix: "goose configure" });
  mkdirSync(join(home, ".config/goose"), { recursive: true });
  writeFileSync(join(home, ".config/goose/config.yaml"), "GOOSE_PROVIDER: anthropic\n");
  assert.partialDeepStrictEqual(await detect({ preset: "goose", credentials: "vendor" }), { state: "ready" });

  assert.partialDeepStrictEqual(await detect({ preset: "opencode", credentials: "vendor" }), {
    state: "signed out",
    fix: "opencode auth login",
  });
  mkdirSync(join(home, ".local/share/opencode"), { recursive: true });
  writeFileSync(join(home, ".local/share/opencode/auth.json"), '{"anthropic":{}}');
  assert.partialDeepStrictEqual(await detect({ preset: "opencode", credentials: "vendor" }), { state: "ready" });

  assert.partialDeepStrictEqual(await detect({ preset: "goose", credentials: "key" }), { state: "signed out" });
  assert.partialDeepStrictEqual(await detect({ preset: "goose", credentials: "key", provider: "other" }), { state: "signed out" });
  assert.partialDeepStrictEqual(await detect({ preset: "goose", credentials: "key", provider: "local" }), { state: "ready" });
});

for (const [name, preset] of Object.entries(presets)) {
  for (const kind of ["acp", "command"] as const) {
    const way = preset[kind];
    if (!way) continue;
    test(`${name} (${kind}): each of its four states, with the one command that mends it`, async () => {
      const look = (credentials: "vendor" | "none" = "vendor"): Promise<Detection> => detect({ preset: name, credentials }, kind);
      assert.partialDeepStrictEqual(await look(), { state: "not found", fix: way.install });
      assert.match(way.install, /^npm install -g @?[\w./-]+$/);
      const file = program(way.program, "echo 0.0.1");
      assert.partialDeepStrictEqual(await look(), { state: "unsupported version", version: "0.0.1", fix: way.install });
      program(way.program, `echo "${name} v${way.versions.from}"`);
      assert.partialDeepStrictEqual(await look(), { state: "signed out", path: file, fix: preset.signIn });
      assert.partialDeepStrictEqual(await look("none"), { state: "ready" });
      for (const login of preset.loginFiles) {
        // Nobody writes into this pipe: whoever reads it to see what is in it waits for ever.
        mkdirSync(dirname(join(home, login)), { recursive: true });
        execFileSync("sh", ["-c", 'mkfifo "$1"', "sh", join(home, login)]);
        assert.partialDeepStrictEqual(await look(), { state: "ready", version: way.versions.from, path: file, fix: null });
        rmSync(join(home, login));
      }
    });
  }
}

test("a preset that cannot be used in this way says in which it can", async () => {
  assert.partialDeepStrictEqual(await detect({ preset: "pi" }, "acp"), {
    state: "not found",
    message: 'the preset "pi" cannot be used with backend acp',
  });
});

test("a program without a preset is ready when it can be started, whatever it thinks of --version", async () => {
  const file = program("custom", "exit 4");
  assert.deepEqual(await detect({ command: [file, "acp"] }, "command"), {
    state: "ready",
    version: null,
    path: file,
    message: null,
    fix: null,
  });
  writeFileSync(file, "#!/no/such/interpreter\n");
  assert.partialDeepStrictEqual(await detect({ command: [file] }, "command"), { state: "not found", path: file });
});

test("a probe never rejects", async () => {
  const broken = makeDetect({ ...environment(), providers: () => Promise.reject(new Error("no store")) });
  const found = await broken({ name: "x", backend: "acp", settings: { env: {}, credentials: "none", permissions: "auto" } });
  assert.partialDeepStrictEqual(found, { state: "not found", message: "the probe failed: no store" });
});

test("relative names and relative folders of the search path are never programs: the agent could have written them", () => {
  const file = program("goose", "");
  assert.equal(resolveProgram("goose", path), file);
  assert.equal(resolveProgram(file, ""), file);
  assert.equal(resolveProgram("./goose", path), null);
  assert.equal(resolveProgram("bin/sh", path), null);
  assert.equal(resolveProgram("bin/goose", root), null);
  assert.equal(resolveProgram("sh", ":.:bin"), null);
  assert.equal(resolveProgram("", path), null);
});

test("what is launched is what was detected, also through a link", async () => {
  const file = program("goose-1", "echo 1.34.0");
  symlinkSync(file, join(path, "goose"));
  const settings: AgentSettings = { preset: "goose", env: {}, credentials: "none", permissions: "auto" };
  const found = await detect(settings);
  const agent = { name: "x", backend: "acp", settings } as Parameters<typeof launchOf>[0]["agent"];
  const launch = launchOf({ agent, broker: null, cwd: "/w", env: { PATH: searchPath() }, home: "/h", permissions: "auto" });
  assert.deepEqual(launch.argv, [found.path, "acp"]);
});

test("versions are read and compared as numbers", () => {
  assert.equal(versionIn("goose 1.34.0 (abc)"), "1.34.0");
  assert.equal(versionIn("v2.0.0-beta.1"), "2.0.0-beta.1");
  assert.equal(versionIn("no version"), null);
  const range = { from: "1.9.0", below: "2.0.0" };
  assert.deepEqual(
    ["1.8.9", "1.9", "1.10.1", "2.0.0", "2.0.0-beta"].map((version) => isWithinVersions(version, range)),
    [false, true, true, false, false],
  );
});

test("login folders are those of the program, as far as they exist", () => {
  assert.deepEqual(loginFolders("goose", home), []);
  mkdirSync(join(home, ".config/goose"), { recursive: true });
  assert.deepEqual(loginFolders("goose", home), [join(home, ".config/goose")]);
  assert.deepEqual(loginFolders("unheard-of", home), []);
});

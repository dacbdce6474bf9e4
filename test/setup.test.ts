import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";

const root = dirname(import.meta.dirname);
const lock = { packages: { "": { name: "tutti" }, "node_modules/zod": { version: "1.0.0", integrity: "a" } } };

/** Stands in for `npm ci`: notes that it was called and installs what the lock says. */
const npm = `#!/bin/sh
echo "$@" >> "$ROOT/calls"
rm -rf "$ROOT/node_modules"
mkdir -p "$ROOT/node_modules"
cp "$ROOT/installed.json" "$ROOT/node_modules/.package-lock.json"
`;

interface Machine {
  folder: string;
  run(what?: string): { status: number | null; stderr: string };
  calls(): number;
}

/** A repository of which nothing is installed, on a machine whose npm is a script. */
function makeMachine(t: TestContext, { npmScript = npm }: { npmScript?: string } = {}): Machine {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tutti-setup-")));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(root, "scripts"), join(folder, "scripts"), { recursive: true });
  mkdirSync(join(folder, "tools"));
  writeFileSync(join(folder, "tools/npm"), npmScript, { mode: 0o755 });
  writeLock(folder, lock);
  return {
    folder,
    run: (what = "start") =>
      spawnSync(process.execPath, ["scripts/setup.mjs", what], { cwd: folder, env: environment(folder), encoding: "utf8" }),
    calls: () => (existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trim().split("\n").length : 0),
  };
}

function writeLock(folder: string, content: typeof lock): void {
  const { "": _root, ...installed } = content.packages;
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(content));
  writeFileSync(join(folder, "installed.json"), JSON.stringify({ packages: installed }));
}

const environment = (folder: string): Record<string, string> => ({
  ROOT: folder,
  PATH: `${join(folder, "tools")}:${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  HOME: folder,
});

test("packages are installed once, in one line, and not again", (t) => {
  const machine = makeMachine(t);
  const first = machine.run();
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /^Installing packages .* done in \d+ s\n$/);
  const second = machine.run();
  assert.deepEqual([second.status, second.stderr, machine.calls()], [0, "", 1]);
});

test("a changed lock is installed", (t) => {
  const machine = makeMachine(t);
  machine.run();
  writeLock(machine.folder, { packages: { ...lock.packages, "node_modules/zod": { version: "1.0.1", integrity: "b" } } });
  assert.equal(machine.run().status, 0);
  assert.equal(machine.calls(), 2);
});

test("what a person installed by hand is taken as it is, unless it differs from the lock", (t) => {
  const machine = makeMachine(t);
  mkdirSync(join(machine.folder, "node_modules"));
  cpSync(join(machine.folder, "installed.json"), join(machine.folder, "node_modules/.package-lock.json"));
  machine.run();
  assert.equal(machine.calls(), 0);
  rmSync(join(machine.folder, "node_modules/.tutti-packages"));
  writeFileSync(join(machine.folder, "node_modules/.package-lock.json"), '{"packages":{"node_modules/zod":{"version":"0.9.0"}}}');
  machine.run();
  assert.equal(machine.calls(), 1);
});

test("a failed installation is shown, named, and tried again the next time", (t) => {
  const machine = makeMachine(t, { npmScript: '#!/bin/sh\necho "the registry is away"\nexit 7\n' });
  const failed = machine.run();
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /the registry is away/);
  assert.match(failed.stderr, /npm ci.*ended with 7/);
  writeFileSync(join(machine.folder, "tools/npm"), npm, { mode: 0o755 });
  assert.equal(machine.run().status, 0);
});

test("the dashboard is built when it is missing, and again only when what it is made of has changed", (t) => {
  const machine = makeMachine(t);
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(machine.folder, path)), { recursive: true });
    writeFileSync(join(machine.folder, path), text);
  };
  for (const name of ["index.html", "vite.config.ts", "package.json", "src/main.tsx"]) put(`dashboard/${name}`, "one");
  put("src/tasks/task.ts", "one");
  machine.run("packages");
  put(
    "node_modules/vite/bin/vite.js",
    `const fs = require("node:fs"); fs.mkdirSync("dist", { recursive: true }); fs.appendFileSync("../builds", "x"); if (fs.existsSync("../fail")) process.exit(3);`,
  );
  const builds = (): number =>
    existsSync(join(machine.folder, "builds")) ? readFileSync(join(machine.folder, "builds"), "utf8").length : 0;
  assert.match(machine.run().stderr, /^Building the dashboard .* done/);
  assert.equal(machine.run().stderr, "");
  assert.equal(builds(), 1);
  for (const changed of ["dashboard/src/main.tsx", "src/tasks/task.ts"]) {
    put(changed, "two");
    machine.run();
  }
  assert.equal(builds(), 3);
  put("src/tasks/task.test.ts", "tests are no part of it");
  machine.run();
  assert.equal(builds(), 3);
  put("fail", "");
  put("dashboard/src/main.tsx", "three");
  assert.equal(machine.run().status, 1);
  rmSync(join(machine.folder, "fail"));
  assert.equal(machine.run().status, 0);
  assert.equal(builds(), 5);
});

test("a lock file that an ended set-up left behind holds nobody up", (t) => {
  const machine = makeMachine(t);
  const ended = spawnSync(process.execPath, ["--version"]);
  mkdirSync(join(machine.folder, ".tutti"));
  writeFileSync(join(machine.folder, ".tutti/setup.lock"), String(ended.pid));
  assert.equal(machine.run().status, 0);
  assert.equal(existsSync(join(machine.folder, ".tutti/setup.lock")), false);
});

test("the program is what `run.sh` becomes: its arguments arrive, and a signal reaches it", async (t) => {
  const machine = makeMachine(t);
  const program = `process.on("SIGTERM", () => process.exit(0));
    setInterval(() => {}, 1000);
    console.log(JSON.stringify([process.pid, ...process.argv.slice(2)]));`;
  writeFileSync(join(machine.folder, "program.mjs"), program);
  const child = spawn("sh", ["scripts/run.sh", "start", "program.mjs", "--agent", "two words"], {
    cwd: machine.folder,
    env: environment(machine.folder),
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  assert.deepEqual(JSON.parse(line), [child.pid, "--agent", "two words"]);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a signal during the installation ends it too", async (t) => {
  const waits = '#!/bin/sh\necho $$ > "$ROOT/npm.pid.new"\nmv "$ROOT/npm.pid.new" "$ROOT/npm.pid"\nexec sleep 60\n';
  const machine = makeMachine(t, { npmScript: waits });
  const child = spawn("sh", ["scripts/run.sh", "start", "program.mjs"], {
    cwd: machine.folder,
    env: environment(machine.folder),
    stdio: "ignore",
  });
  t.after(() => child.kill("SIGKILL"));
  const pidFile = join(machine.folder, "npm.pid");
  for (let tries = 0; !existsSync(pidFile) && tries < 1000; tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  const npmPid = Number(readFileSync(pidFile, "utf8"));
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [143, null]);
  assert.throws(() => process.kill(npmPid, 0), { code: "ESRCH" });
});

/** A machine whose PATH holds nothing but what is named, and an apt-get that "installs" bubblewrap. */
function hideTools(folder: string): Record<string, string> {
  const tools = join(folder, "few-tools");
  mkdirSync(tools);
  for (const name of ["sh", "touch", "chmod"]) symlinkSync(`/bin/${name}`, join(tools, name));
  const install = `touch ${tools}/bwrap; chmod +x ${tools}/bwrap`;
  writeFileSync(join(tools, "apt-get"), `#!/bin/sh\necho "$@" >> ${folder}/apt\n[ "$1" = update ] || { ${install}; }\n`, { mode: 0o755 });
  return { PATH: tools, HOME: folder, TUTTI_TEST_POSTGRES: "postgres://somewhere", TUTTI_TEST_BROWSER: "somewhere" };
}

test("what the tests need is installed once by root on Debian, and otherwise named with the one command", (t) => {
  const machine = makeMachine(t);
  machine.run();
  const { folder } = machine;
  const env = hideTools(folder);
  const setUp = (): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ["scripts/setup.mjs", "test"], { cwd: folder, env, encoding: "utf8" });
  const first = setUp();
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual([setUp().status, setUp().stderr], [0, ""]);
    assert.equal(readFileSync(join(folder, "apt"), "utf8"), "update\ninstall -y --no-install-recommends bubblewrap\n");
  } else {
    assert.equal(first.status, 1);
    assert.match(first.stderr, /need bubblewrap, which is not installed.*\n {2}sudo apt-get install -y bubblewrap/);
  }
});

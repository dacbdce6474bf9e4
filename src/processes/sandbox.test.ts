import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { makeTuttiHome, shell } from "../../test/support/processes.ts";
import { AppError } from "../errors.ts";
import { bubblewrap } from "./bubblewrap.ts";
import { openProcesses } from "./open.ts";
import type { SandboxPolicy } from "./process.ts";
import { programFolders, readableFor } from "./program.ts";
import { runToEnd } from "./run.ts";
import { startProcess } from "./start.ts";

const path = "/usr/bin:/bin:/usr/sbin:/sbin";
const { home: tuttiHome, work, remove } = makeTuttiHome();
const readable = join(tuttiHome, "repositories/p.git/objects");
mkdirSync(readable, { recursive: true });
writeFileSync(join(readable, "pack"), "objects");
const inHome = mkdtempSync(join(homedir(), ".tutti-test-"));
writeFileSync(join(inHome, "secret"), "a secret of a person");
const temporary = mkdtempSync(join(tmpdir(), "tutti-"));
writeFileSync(join(temporary, "file"), "somebody else's");
const processes = await openProcesses({ tuttiHome, instance: randomUUID(), force: "bubblewrap", path });
after(async () => {
  await processes.close();
  remove();
  for (const folder of [inHome, temporary]) rmSync(folder, { recursive: true, force: true });
});

const policy: SandboxPolicy = { tuttiHome, writable: [work], readable: [readable], hidden: [], network: true };

async function inside(script: string, sandbox: SandboxPolicy | null = policy, more: { path?: string; cwd?: string } = {}): Promise<string> {
  const options = shell(script, { cwd: more.cwd ?? work, sandbox, env: { PATH: more.path ?? path } });
  const result = await processes.run({ ...options, timeoutMs: 20_000 }, new AbortController().signal);
  return result.output.trim();
}

/** What the sandbox refuses, the same probe without it gets: else the test would show nothing. */
async function onlyOutside(script: string, expected: string): Promise<void> {
  assert.equal(await inside(script, null), expected, "the control without a sandbox");
  assert.notEqual(await inside(script), expected);
}

const refused = (options: Partial<SandboxPolicy>): void =>
  assert.throws(
    () => processes.start(shell("true", { sandbox: { ...policy, ...options } })),
    (error: unknown) => error instanceof AppError && error.code === "invalid_input",
  );

test("what belongs to Tutti cannot be read: server.json, tutti.db, other sessions", async () => {
  for (const name of ["server.json", "tutti.db", "sessions/two/work/secret"])
    await onlyOutside(`cat ${join(tuttiHome, name)}`, "a secret of Tutti");
  assert.equal(
    await inside(`ls -A ${tuttiHome} ${tuttiHome}/sessions`),
    `${tuttiHome}:\nrepositories\nsessions\n\n${tuttiHome}/sessions:\none`,
  );
});

test("homes cannot be read, nor /root", async () => {
  await onlyOutside(`cat ${inHome}/secret`, "a secret of a person");
  assert.equal(await inside("ls -A /root /home 2>/dev/null | grep -v : | grep ."), "");
});

test("another process's environment cannot be read", async () => {
  const script = `head -c 5 /proc/${process.pid}/environ | wc -c`;
  assert.match(await inside(script), /No such file[^]*^0$/m);
  // The control: a process that was only put into a group reads it.
  const control = await openProcesses({ tuttiHome, instance: randomUUID(), force: "group", path });
  const result = await control.run({ ...shell(script), timeoutMs: 20_000 }, new AbortController().signal);
  assert.equal(result.output, "5\n");
});

test("the temporary folders are private", async () => {
  await onlyOutside(`cat ${temporary}/file`, "somebody else's");
  const name = randomUUID();
  assert.equal(await inside(`touch /tmp/${name} /var/tmp/${name} && ls /tmp/${name}`), `/tmp/${name}`);
  assert.equal(existsSync(`/tmp/${name}`) || existsSync(`/var/tmp/${name}`), false);
});

test("sockets that command the machine, and the machine's secrets, are out of reach", async () => {
  assert.equal(await inside("find /run -type s -not -path '/run/systemd/resolve/*' -not -path '/run/nscd/*' 2>/dev/null"), "");
  assert.equal(await inside("cat /etc/shadow 2>/dev/null"), "");
  // The control: something is there outside.
  assert.notEqual(await inside("ls -A /run", null), "");
});

test("the writable folder is writable, the readable one only readable, also for root", async () => {
  assert.equal(await inside(`echo done > ${work}/made && cat ${readable}/pack`), "objects");
  assert.equal(readFileSync(join(work, "made"), "utf8"), "done\n");
  assert.equal(await inside(`touch ${readable}/planted 2>&1 | grep -o 'Read-only file system'`), "Read-only file system");
  assert.equal(await inside(`touch ${readable}/planted && rm ${readable}/planted && echo written`, null), "written");
});

test("nothing else can be written: not the system, not the hidden places", async () => {
  for (const folder of ["/usr", "/etc", "/var", "/sys/kernel", "/proc/sys/kernel", tuttiHome, homedir(), import.meta.dirname]) {
    assert.match(await inside(`touch ${folder}/planted; ls ${folder}/planted`), /No such file/, folder);
  }
  // Root owns these without any privilege: a line in core_pattern would run a program outside.
  // What an ordinary user may set there belongs to the sandbox's own namespaces, or (pressure) to everybody.
  const own = /^\/proc\/(pressure\/|sys\/fs\/mqueue\/|sys\/kernel\/(auto_msgmni|msg|ns_last_pid|pid_max|sem$|shm))/;
  const written = (await inside("find /proc /sys -not -path '/proc/[0-9]*' -type f -writable 2>/dev/null")).split("\n");
  assert.deepEqual(
    written.filter((file) => file !== "" && (process.getuid?.() === 0 || !own.test(file))),
    [],
  );
});

test("the mounts cannot be taken away again, also not in a namespace of one's own", async () => {
  const home = homedir();
  const script = `umount ${home}; unshare --user --map-root-user --mount umount ${home}; unshare --user --map-root-user --mount mount -o remount,rw /; cat ${inHome}/secret; touch /etc/planted; grep CapEff /proc/self/status`;
  const output = await inside(`{ ${script}; } 2>&1`);
  assert.doesNotMatch(output, /a secret/);
  assert.match(output, /CapEff:\s0+$/);
  assert.equal(existsSync("/etc/planted"), false);
});

test("root without a user namespace has no capabilities either", async () => {
  // What is used where root may not make user namespaces; for everybody else it is the usual way.
  const launcher = bubblewrap("/usr/bin/bwrap", "same");
  const script = `umount ${homedir()}; cat ${inHome}/secret; touch /etc/planted; grep CapEff /proc/self/status`;
  const start = () => startProcess(launcher, "i", shell(`{ ${script}; } 2>&1`, { sandbox: policy }), true);
  const { output } = await runToEnd(start, { timeoutMs: 20_000 }, new AbortController().signal);
  assert.doesNotMatch(output, /a secret/);
  assert.match(output, /CapEff:\s0+$/m);
  assert.equal(existsSync("/etc/planted"), false);
});

test("without network there is only the loopback of its own", async () => {
  const outside = readlinkSync("/proc/self/ns/net");
  assert.equal(await inside("readlink /proc/self/ns/net"), outside);
  assert.notEqual(await inside("readlink /proc/self/ns/net", { ...policy, network: false }), outside);
  assert.equal(await inside("grep -c : /proc/net/dev", { ...policy, network: false }), "1");
});

test("a place named as hidden is hidden, also inside a readable or writable one", async () => {
  mkdirSync(join(work, "private"), { recursive: true });
  writeFileSync(join(work, "private/file"), "private");
  writeFileSync(join(work, "key"), "private");
  const hidden = [join(work, "private"), join(work, "key")];
  assert.equal(
    await inside(`cat ${work}/private/file ${work}/key 2>/dev/null; touch ${work}/beside && echo ok`, { ...policy, hidden }),
    "ok",
  );
  assert.equal(await inside(`cat ${work}/private/file ${work}/key`), "privateprivate");
});

test("a read-only place inside a writable one stays read-only", async () => {
  mkdirSync(join(work, "fixed"), { recursive: true });
  const script = `touch ${work}/fixed/x 2>/dev/null || echo refused`;
  assert.equal(await inside(script, { ...policy, readable: [join(work, "fixed")] }), "refused");
  assert.equal(await inside(script), "");
});

test("a link that an agent could have made widens nothing: the policy is refused", () => {
  symlinkSync("/etc", join(tuttiHome, "sessions/one/linked"));
  symlinkSync(inHome, join(work, "linked"));
  refused({ writable: [join(tuttiHome, "sessions/one/linked")] });
  refused({ readable: [join(work, "linked")] });
  refused({ writable: [work, join(work, "linked")] });
  refused({ readable: [join(work, "linked/secret")] });
});

test("a home, $TUTTI_HOME or the whole machine are never shown whole", () => {
  for (const place of ["/", homedir(), join(homedir(), ".."), tuttiHome]) {
    refused({ writable: [place] });
    refused({ readable: [place] });
  }
  refused({ writable: [join(tuttiHome, "sessions/none")] });
});

test("a policy with another idea of $TUTTI_HOME does not open the true one", async () => {
  assert.doesNotMatch(await inside(`cat ${tuttiHome}/server.json`, { ...policy, tuttiHome: "/nowhere" }), /a secret/);
  refused({ tuttiHome: "/nowhere", readable: [tuttiHome] });
});

test("paths that lead through a link of the operator work inside as they do outside", async () => {
  const link = join(inHome, "moved");
  symlinkSync(tuttiHome, link);
  const moved = { ...policy, tuttiHome: link, writable: [join(link, "sessions/one/work")], readable: [] };
  const script = `pwd; touch here && ls ${work}/here; cat ${link}/server.json ${inHome}/secret 2>/dev/null`;
  const output = await inside(script, moved, { cwd: join(link, "sessions/one/work") });
  assert.equal(output, `${join(link, "sessions/one/work")}\n${work}/here`);
});

test("a program in a home runs, with its package, its interpreter and without what lies beside it", async () => {
  const version = join(inHome, "versions/v1");
  const script = join(version, "lib/node_modules/agent/cli.js");
  mkdirSync(join(version, "bin"), { recursive: true });
  mkdirSync(join(version, "lib/node_modules/agent"), { recursive: true });
  writeFileSync(
    script,
    `#!/usr/bin/env node\nimport { existsSync } from "node:fs";\nconsole.log(process.execPath !== "", existsSync("${inHome}/secret"));\n`,
  );
  writeFileSync(join(version, "lib/node_modules/agent/package.json"), '{"type":"module"}');
  chmodSync(script, 0o755);
  symlinkSync("../lib/node_modules/agent/cli.js", join(version, "bin/agent"));
  symlinkSync(process.execPath, join(version, "bin/node"));
  const run = (sandbox: SandboxPolicy | null) =>
    processes.run(
      { argv: ["agent"], cwd: work, env: { PATH: `${version}/bin:${path}` }, stdin: "ignore", session: null, sandbox, timeoutMs: 20_000 },
      new AbortController().signal,
    );
  assert.equal((await run(null)).output, "true true\n");
  assert.equal((await run(policy)).output, "true false\n");
});

test("the folder for a program is the least that lets it run, and never a home", () => {
  const make = (name: string): string => {
    const file = join(inHome, name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, "");
    return file;
  };
  make("project/package.json");
  const expected: [string, string | null][] = [
    [make("a/node_modules/x/node_modules/y/cli.js"), join(inHome, "a/node_modules")],
    [make("nvm/v24/bin/node"), join(inHome, "nvm/v24")],
    [make("bin/tool"), join(inHome, "bin")],
    [make("project/scripts/deep/agent.js"), join(inHome, "project")],
    [make("single/agent"), join(inHome, "single")],
    [join(homedir(), basename(inHome)), null],
    ["/usr/bin/env", null],
    ["/no/such/program", null],
  ];
  for (const [program, folder] of expected) {
    if (folder === null) assert.equal(readableFor(program).includes(homedir()), false, program);
    else assert.deepEqual(readableFor(program), [folder], program);
  }
  assert.deepEqual(readableFor("/usr/bin/env"), []);
});

test("a program that an agent wrote opens nothing: neither by its first line nor as a link", async () => {
  const target = join(inHome, "keys/tool");
  mkdirSync(join(inHome, "keys"), { recursive: true });
  writeFileSync(target, "#!/bin/sh\n");
  chmodSync(target, 0o755);
  writeFileSync(join(work, "check.sh"), `#!${target}\n`);
  chmodSync(join(work, "check.sh"), 0o755);
  symlinkSync(target, join(work, "check-link"));
  for (const name of ["check.sh", "check-link"]) {
    const program = join(work, name);
    assert.deepEqual(programFolders(program, path, [work]), []);
    // The control: the same program elsewhere would open the folder.
    assert.deepEqual(programFolders(program, path, []).includes(join(inHome, "keys")), true);
    const running = processes.start({ argv: [program], cwd: work, env: { PATH: path }, stdin: "ignore", session: null, sandbox: policy });
    assert.equal((await running.exited).code, 127);
  }
});

// Runs inside a sandbox, as an agent would: tries to get at everything that targets.json names, and tells what it got.
// node probe.mjs <where>: writes seen-<where>.json beside itself, prints the same, ends with 1 when it got anything.
import { accessSync, appendFileSync, chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, readdirSync } from "node:fs";
import { renameSync, rmdirSync, statSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const where = process.argv[2];
const targets = JSON.parse(readFileSync("targets.json", "utf8"));
const got = [];
let tried = 0;

function attempt(what, act) {
  tried += 1;
  try {
    if (act() !== false) got.push(what);
  } catch {
    return; // Refused, as it should be.
  }
}

for (const path of targets.read ?? []) {
  attempt(`read ${path}`, () => (statSync(path).isDirectory() ? readdirSync(path) : readFileSync(path)).length > 0);
}
// Of a folder nothing but the way to what it may see.
const own = basename(dirname(process.cwd()));
for (const { path, but } of targets.list ?? []) {
  for (const name of readdirSync(path)) attempt(`see ${name} in ${path}`, () => ![own, ...but].includes(name));
}
// What belongs to the test: with all means.
for (const path of targets.spoil ?? []) {
  attempt(`touch ${path}`, () => utimesSync(path, 1, 1));
  attempt(`chmod ${path}`, () => chmodSync(path, 0o777));
  attempt(`append to ${path}`, () => appendFileSync(path, "spoilt"));
  attempt(`overwrite ${path}`, () => writeFileSync(path, "spoilt"));
  attempt(`rename ${path}`, () => renameSync(path, `${path}.spoilt`));
  attempt(`unlink ${path}`, () => unlinkSync(path));
}
// What belongs to the machine: so that nothing is harmed when it works.
for (const path of targets.alter ?? []) {
  attempt(`open ${path} for writing`, () => closeSync(openSync(path, "r+")));
  attempt(`be allowed to write ${path}`, () => accessSync(path, constants.W_OK));
}
for (const folder of targets.enter ?? []) {
  attempt(`make something in ${folder}`, () => {
    const made = join(folder, `.tutti-probe-${where}`);
    mkdirSync(made);
    rmdirSync(made);
  });
}
for (const pid of targets.processes ?? []) {
  attempt(`see process ${pid}`, () => process.kill(pid, 0));
  for (const name of ["environ", "cmdline", "cwd", "root", "fd", "mem"]) {
    attempt(`read /proc/${pid}/${name}`, () => statSync(`/proc/${pid}/${name}`));
  }
}
const everything = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
for (const pid of everything) {
  for (const secret of targets.secrets ?? []) {
    for (const name of ["environ", "cmdline"]) {
      attempt(`find ${secret} in ${name} of process ${pid}`, () => readFileSync(`/proc/${pid}/${name}`, "utf8").includes(secret));
    }
  }
}
// The temporary folder is its own: this must work and not be seen outside.
if (targets.scratch) writeFileSync(targets.scratch, where);

const seen = JSON.stringify({ where, tried, got, environment: process.env });
writeFileSync(`seen-${where}.json`, seen);
console.log(seen);
process.exitCode = got.length > 0 ? 1 : 0;

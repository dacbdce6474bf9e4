// Installs real agent programs for `npm run test:agents` into a folder outside of the repository (they are several hundred
// megabytes) and prints where their programs are, one `name=path` a line:
//   node scripts/agents-for-tests.mjs goose opencode
// Versions are pinned: a test that breaks because a vendor released something would say nothing about us. What is already
// there is not installed again. Plain JavaScript, so that any Node from 18 on can run it.
import { execFile } from "node:child_process";
import { access, constants, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const platform = `${process.platform}-${process.arch}`;

// The platform's own package holds the whole program; the package of the vendor's launcher would bring every variant with it.
const programs = {
  goose: { package: `@aaif/goose-binary-${platform}`, version: "0.20.1", bin: "bin/goose" },
  opencode: { package: `opencode-${platform}`, version: "1.18.33", bin: "bin/opencode" },
};

function cacheFolder() {
  if (process.env.TUTTI_TEST_AGENTS) return process.env.TUTTI_TEST_AGENTS;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tutti-test-agents");
}

async function isProgram(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Installs beside the final folder and renames, so that an interrupted install is never taken for a finished one. */
async function install(name) {
  const program = programs[name];
  const folder = join(cacheFolder(), `${name}-${program.version}`);
  const path = join(folder, "node_modules", program.package, program.bin);
  if (await isProgram(path)) return path;
  const staging = `${folder}.${process.pid}`;
  await mkdir(staging, { recursive: true });
  await writeFile(join(staging, "package.json"), '{ "private": true }\n');
  const flags = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"];
  await run("npm", ["install", ...flags, `${program.package}@${program.version}`], { cwd: staging, timeout: 600_000 });
  await rm(folder, { recursive: true, force: true });
  await rename(staging, folder);
  if (!(await isProgram(path))) throw new Error(`${program.package}@${program.version} does not hold ${program.bin}`);
  return path;
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(programs, name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`usage: node scripts/agents-for-tests.mjs ${Object.keys(programs).join("|")} ...`);
  if (unknown.length > 0) console.error(`unknown: ${unknown.join(", ")}`);
  process.exit(2);
}
for (const name of names) {
  try {
    console.log(`${name}=${await install(name)}`);
  } catch (error) {
    console.error(`${name} could not be installed: ${error.stderr || error.message}`);
    process.exitCode = 1;
  }
}

// Installs real agent programs for `npm run test:agents` into a folder outside of the repository (they are several hundred
// megabytes) and prints where their programs are, one `name=path` a line:
//   node scripts/agents-for-tests.mjs goose opencode
// Versions are pinned: a test that breaks because a vendor released something would say nothing about us. What is already
// there is not installed again. Only free software: a proprietary program is the person's own. Plain JavaScript, so that any Node
// from 18 on can run it.
import { execFile } from "node:child_process";
import { access, constants, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const platform = `${process.platform}-${process.arch}`;

// Where there is one, the platform's own package holds the whole program; the launcher's would bring every variant with it.
const programs = {
  codex: { package: "@openai/codex", version: "0.169.0", bin: "bin/codex.js" },
  "codex-acp": { package: "@agentclientprotocol/codex-acp", version: "2.6.0" },
  gemini: { package: "@google/gemini-cli", version: "0.61.0" },
  goose: { package: `@aaif/goose-binary-${platform}`, version: "0.20.1", bin: "bin/goose" },
  openclaw: { package: "openclaw", version: "2026.9.6" },
  opencode: { package: `opencode-${platform}`, version: "1.18.33", bin: "bin/opencode" },
  pi: { package: "@earendil-works/pi-coding-agent", version: "0.87.1" },
  qwen: { package: "@qwen-code/qwen-code", version: "0.24.4" },
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
  const path = program.bin ? join(folder, "node_modules", program.package, program.bin) : join(folder, "node_modules", ".bin", name);
  if (await isProgram(path)) return path;
  const staging = `${folder}.${process.pid}`;
  await mkdir(staging, { recursive: true });
  await writeFile(join(staging, "package.json"), '{ "private": true }\n');
  const flags = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"];
  await run("npm", ["install", ...flags, `${program.package}@${program.version}`], { cwd: staging, timeout: 600_000 });
  await rm(folder, { recursive: true, force: true });
  await rename(staging, folder);
  if (!(await isProgram(path))) throw new Error(`${program.package}@${program.version} does not hold ${name}`);
  return path;
}

const names = process.argv.slice(2);
if (names[0] === "--list") {
  console.log(Object.keys(programs).join("\n"));
  process.exit(0);
}
const unknown = names.filter((name) => !Object.hasOwn(programs, name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`usage: node scripts/agents-for-tests.mjs --list | ${Object.keys(programs).join("|")} ...`);
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

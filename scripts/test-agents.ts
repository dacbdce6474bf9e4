import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { presets } from "../src/agents/backends/presets/table.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { writeTable } from "./testing/agents-table.ts";
import { countsLine, countsOf, failures, fileLine } from "./testing/report.ts";
import { runFiles } from "./testing/run-files.ts";

/**
 * `npm run test:agents -- goose opencode`: the tests that drive real agent programs. Installs the programs, tells the tests where
 * they are (TUTTI_TEST_AGENT_GOOSE ...) and runs test/agents/. Without names: goose. `--all`: every program, and the table of
 * docs/agents.md is written anew. A proprietary program is a person's own: `--with claude=/path`, or TUTTI_TEST_AGENT_CLAUDE.
 */
const root = dirname(import.meta.dirname);
const variableOf = (program: string): string => `TUTTI_TEST_AGENT_${program.toUpperCase().replaceAll("-", "_")}`;

interface Asked {
  names: string[];
  all: boolean;
}

/** Exits with 2 on what it does not understand. */
function read(args: string[]): Asked {
  const names: string[] = [];
  let all = false;
  for (let index = 0; index < args.length; index += 1) {
    const given = args[index] ?? "";
    const path = given === "--with" ? /^([\w-]+)=(\/.+)$/.exec(args[(index += 1)] ?? "") : null;
    if (path) {
      process.env[variableOf(path[1] ?? "")] = path[2];
      const preset = Object.entries(presets).find(([, { acp, command }]) => [acp?.program, command?.program].includes(path[1] ?? ""));
      if (!preset) usage(`there is no program "${path[1]}"`);
      names.push(preset[0]);
    } else if (given === "--all") all = true;
    else if (Object.hasOwn(presets, given)) names.push(given);
    else usage(`"${given}" is no agent`);
  }
  return { names: all ? Object.keys(presets) : names.length > 0 ? [...new Set(names)] : ["goose"], all };
}

function usage(problem: string): never {
  console.error(problem);
  console.error(`usage: npm run test:agents -- [--all] [--with <program>=<path>] [${Object.keys(presets).join("|")} ...]`);
  process.exit(2);
}

/** Program -> why it is not there. A program that cannot be installed is told of, and the others are tested. */
async function install(names: string[]): Promise<Map<string, string>> {
  const missing = new Map<string, string>();
  const script = join(root, "scripts/agents-for-tests.mjs");
  const run = promisify(execFile);
  const installable = (await run(process.execPath, [script, "--list"])).stdout.trim().split("\n");
  const programs = names.flatMap((name) => [presets[name]?.acp?.program, presets[name]?.command?.program]);
  for (const program of new Set(programs.filter((each) => each !== undefined))) {
    if (process.env[variableOf(program)]) continue;
    if (!installable.includes(program)) {
      missing.set(program, `not free software, and no path was given (--with ${program}=/path)`);
      continue;
    }
    process.stderr.write(`${program}: installing where it is missing ... `);
    try {
      const { stdout } = await run(process.execPath, [script, program]);
      process.env[variableOf(program)] = stdout.trim().slice(program.length + 1);
      process.stderr.write("there\n");
    } catch (error) {
      missing.set(program, `npm could not install it: ${String((error as { stderr?: unknown }).stderr ?? error).split("\n")[0]}`);
      process.stderr.write("FAILED\n");
    }
  }
  return missing;
}

/** The files that are called after the programs that were asked for. */
const chooseFiles = (names: string[]): string[] =>
  globSync("test/agents/*.test.ts", { cwd: root })
    .toSorted()
    .filter((file) => names.some((name) => [`${name}.test.ts`, `${name}-flow.test.ts`].includes(basename(file))));

/** Homes of sessions must not lie below the temporary folder that the programs themselves see: codex works in none that does. */
function makeTemporaryFolder(): string {
  const cache = process.env["TUTTI_TEST_AGENTS"] ?? join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "tutti-test-agents");
  mkdirSync(join(cache, "tmp"), { recursive: true });
  return mkdtempSync(join(cache, "tmp", "run-"));
}

async function main({ names, all }: Asked): Promise<number> {
  const missing = await install(names);
  // A preset all of whose programs are missing has nothing to test. Asked for by name, that is a failure; among all it is a row.
  const isThere = (name: string): boolean =>
    [presets[name]?.acp?.program, presets[name]?.command?.program].some((program) => program !== undefined && !missing.has(program));
  const testable = names.filter(isThere);
  for (const [program, why] of missing) console.log(`--    ${program}: ${why}`);
  // Before the temporary folder is another: its own user must be able to reach it.
  const postgres = await startPostgres();
  process.env["TUTTI_TEST_POSTGRES"] = postgres.url;
  const temporary = makeTemporaryFolder();
  process.env["TMPDIR"] = temporary;
  if (all) process.env["TUTTI_TEST_ROWS"] = join(temporary, "rows");
  process.env["TUTTI_TEST_AGENTS_MISSING"] = [...missing.keys()].join(",");
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopped.abort());
  try {
    const onFile = (file: Parameters<typeof fileLine>[0]): void => console.log(fileLine(file));
    const options = { root, concurrency: 1, coverage: false, signal: stopped.signal, timeout: 900_000, onFile };
    const { files } = await runFiles(chooseFiles(testable), options);
    const counts = countsOf(files.flatMap((file) => file.cases));
    console.log(failures(files));
    if (all && !stopped.signal.aborted)
      await writeTable({ root, rows: join(temporary, "rows"), missing, pathOf: (program) => process.env[variableOf(program)] ?? null });
    const lacking = all ? [] : names.filter((name) => !testable.includes(name));
    for (const name of lacking) console.log(`FAIL  ${name}: it is not there`);
    if (files.length === 0) console.log("FAIL  there is no test to run");
    console.log(countsLine(counts));
    return counts.failed === 0 && files.length > 0 && lacking.length === 0 && !stopped.signal.aborted ? 0 : 1;
  } finally {
    await postgres.stop();
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  }
}

process.exitCode = await main(read(process.argv.slice(2)));

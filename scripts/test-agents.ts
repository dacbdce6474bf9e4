import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { startPostgres } from "../test/support/postgres.ts";
import { countsLine, countsOf, failures, fileLine } from "./testing/report.ts";
import { runFiles } from "./testing/run-files.ts";

/**
 * `npm run test:agents -- goose opencode`: the tests that drive real agent programs. Installs the programs, tells the tests where
 * they are (TUTTI_TEST_GOOSE ...) and runs test/agents/. Without names: goose.
 */
const root = dirname(import.meta.dirname);
const known = ["goose", "opencode"];

async function install(names: string[]): Promise<void> {
  process.stderr.write(`Installing ${names.join(" and ")} where they are missing ... `);
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, "scripts/agents-for-tests.mjs"), ...names]);
  process.stderr.write("done\n");
  for (const line of stdout.trim().split("\n")) {
    const [name = "", ...path] = line.split("=");
    process.env[`TUTTI_TEST_${name.toUpperCase()}`] = path.join("=");
  }
}

/** A file that is called after a program needs that program; the others run with whatever was installed. */
function chooseFiles(names: string[]): string[] {
  const isOther = (file: string): boolean => known.some((name) => basename(file).startsWith(name) && !names.includes(name));
  return globSync("test/agents/*.test.ts", { cwd: root })
    .toSorted()
    .filter((file) => !isOther(file));
}

async function main(names: string[]): Promise<number> {
  await install(names);
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopped.abort());
  const postgres = await startPostgres();
  process.env["TUTTI_TEST_POSTGRES"] = postgres.url;
  try {
    const onFile = (file: Parameters<typeof fileLine>[0]): void => console.log(fileLine(file));
    const options = { root, concurrency: 1, coverage: false, signal: stopped.signal, timeout: 300_000, onFile };
    const { files } = await runFiles(chooseFiles(names), options);
    const counts = countsOf(files.flatMap((file) => file.cases));
    console.log(failures(files));
    if (files.length === 0) console.log("FAIL  there is no test in test/agents");
    console.log(countsLine(counts));
    return counts.failed === 0 && files.length > 0 && !stopped.signal.aborted ? 0 : 1;
  } finally {
    await postgres.stop();
  }
}

const asked = process.argv.slice(2);
process.exitCode = await main(asked.length > 0 ? asked : ["goose"]);

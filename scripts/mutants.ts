import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startPostgres } from "../test/support/postgres.ts";
import { applyMutant, type Mutant, problemsOf, readMutants } from "./testing/mutants.ts";
import { countsOf, failures } from "./testing/report.ts";
import type { FileResult } from "./testing/results.ts";
import { runFiles } from "./testing/run-files.ts";

/**
 * `npm run mutants`: takes one guard after the other out of a copy of the source and asks that a test turns red. A guard that
 * no test misses is not guarded. `npm run mutants -- lease` takes the mutants whose name or file holds the word, and `--part 1/4`
 * every fourth one.
 */
const root = dirname(import.meta.dirname);
const atOnce = 2;

interface Verdict {
  mutant: Mutant;
  /** What turned red; null when the mutant lives. */
  caughtBy: string | null;
  ms: number;
}

async function main(words: string[]): Promise<number> {
  const at = words.indexOf("--part");
  const [part = 1, of = 1] = at < 0 ? [] : (words[at + 1] ?? "").split("/").map(Number);
  const filters = words.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  if (!(part >= 1 && part <= of)) throw new Error("--part wants two numbers: 1/4");
  const all = readMutants(root);
  const problems = problemsOf(all, root);
  for (const problem of problems) console.error(problem);
  const mutants = all
    .filter(({ name, file }) => filters.every((filter) => `${name} ${file}`.includes(filter)))
    .filter((_, index) => index % of === part - 1);
  if (problems.length > 0 || mutants.length === 0) {
    console.error(problems.length > 0 ? "scripts/mutants.json does not fit the source" : `no mutant is called ${filters.join(" ")}`);
    return 1;
  }
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopped.abort());
  // Inside the repository: what a sandbox hides of the machine (the temporary folder) must not hide the copies.
  mkdirSync(join(root, ".tutti"), { recursive: true });
  const folder = mkdtempSync(join(root, ".tutti/mutants-"));
  const postgres = await startPostgres();
  process.env["TUTTI_TEST_POSTGRES"] = postgres.url;
  try {
    return await judgeAll(mutants, folder, stopped.signal);
  } finally {
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function judgeAll(mutants: Mutant[], folder: string, signal: AbortSignal): Promise<number> {
  const copies = Array.from({ length: atOnce }, (_, index) => copySource(join(folder, String(index))));
  const healthy = await runHealthy(mutants, copies[0] ?? "", signal);
  if (countsOf(healthy.flatMap((file) => file.cases)).failed > 0) {
    console.log(`${failures(healthy)}\nThe tests fail without any mutant: that has to be mended first.`);
    return 1;
  }
  const waiting = [...mutants];
  const verdicts: Verdict[] = [];
  const work = async (copy: string): Promise<void> => {
    for (let next = waiting.shift(); next && !signal.aborted; next = waiting.shift()) {
      const verdict = await judge(next, copy, signal);
      verdicts.push(verdict);
      console.log(verdictLine(verdict));
    }
  };
  await Promise.all(copies.map(work));
  const caught = verdicts.filter((verdict) => verdict.caughtBy !== null).length;
  console.log(`\ncaught ${caught} of ${mutants.length}`);
  return caught === mutants.length ? 0 : 1;
}

/** What all mutants run, without a mutant: files of which somebody wants all tests, and of the others the tests that are wanted. */
async function runHealthy(mutants: Mutant[], copy: string, signal: AbortSignal): Promise<FileResult[]> {
  const whole = new Set(mutants.flatMap(({ test, only }) => (only === undefined ? test : [])));
  const results = await runTests(copy, { test: [...whole] }, atOnce, signal);
  const seen = new Set<string>();
  for (const { test, only } of mutants) {
    const key = JSON.stringify([test, only]);
    if (only === undefined || seen.has(key) || test.every((file) => whole.has(file))) continue;
    seen.add(key);
    results.push(...(await runTests(copy, { test, only }, atOnce, signal)));
  }
  return results;
}

/** The working tree without what git ignores; the packages are linked, not copied. */
function copySource(copy: string): string {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  mkdirSync(copy, { recursive: true });
  const present = listed.split("\0").filter((name) => name !== "" && existsSync(join(root, name)));
  for (const file of present) {
    cpSync(join(root, file), join(copy, file), { recursive: true, verbatimSymlinks: true, force: true });
  }
  for (const packages of ["node_modules", "test/outsiders/node_modules"]) {
    if (existsSync(join(root, packages))) symlinkSync(join(root, packages), join(copy, packages));
  }
  return copy;
}

async function judge(mutant: Mutant, copy: string, signal: AbortSignal): Promise<Verdict> {
  const file = join(copy, mutant.file);
  const source = readFileSync(file, "utf8");
  const started = Date.now();
  writeFileSync(file, applyMutant(mutant, source));
  try {
    const files = await runTests(copy, mutant, 1, signal);
    return { mutant, caughtBy: signal.aborted ? null : redTest(files), ms: Date.now() - started };
  } finally {
    writeFileSync(file, source);
  }
}

type Wanted = Pick<Mutant, "test" | "only">;

async function runTests(copy: string, { test, only }: Wanted, concurrency: number, signal: AbortSignal): Promise<FileResult[]> {
  if (test.length === 0) return [];
  const options = { root: copy, concurrency, coverage: false, signal, timeout: 60_000, only, onFile: () => {} };
  return (await runFiles(test, options)).files;
}

/** A file that does not even load proves nothing about the guard, so only files in which tests ran are looked at. */
function redTest(files: FileResult[]): string | null {
  const ran = files.filter(({ cases }) => cases.some((test) => test.line !== null));
  const red = ran.flatMap(({ cases }) => cases).find((test) => test.problem !== null);
  return red ? `${red.file} > ${red.path.join(" > ")}` : null;
}

function verdictLine({ mutant, caughtBy, ms }: Verdict): string {
  const time = `${(ms / 1000).toFixed(1)} s`;
  return caughtBy === null
    ? `LIVES   ${mutant.name}  (${mutant.file}: no test of ${mutant.test.join(", ")} turned red)  ${time}`
    : `caught  ${mutant.name}  by ${caughtBy}  ${time}`;
}

process.exitCode = await main(process.argv.slice(2));

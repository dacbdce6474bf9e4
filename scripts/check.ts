import { spawn } from "node:child_process";
import { dirname, join } from "node:path";

/** `npm run check`: everything that a change must pass, cheapest first, up to the first failure. `--quick` leaves the tests out. */
const root = dirname(import.meta.dirname);
const bin = (name: string): string => join(root, "node_modules/.bin", name);

interface Stage {
  name: string;
  command: string[];
  /** Shown while it runs, not only when it fails. */
  live?: boolean;
}

const rules = ["test/import-directions.test.ts", "test/lock.test.ts", "test/documents.test.ts", "test/mutants.test.ts"];

const stages: Stage[] = [
  { name: "format", command: [bin("oxfmt"), "--check"] },
  { name: "lint", command: [bin("oxlint")] },
  { name: "types", command: [bin("tsc"), "-p", "."] },
  { name: "types of the dashboard", command: [bin("tsc"), "-p", "dashboard"] },
  { name: "unused code", command: [bin("knip"), "--no-progress"] },
  { name: "imports, lock, documents", command: [process.execPath, "--disable-warning=ExperimentalWarning", "--test", ...rules] },
];
const tests: Stage = { name: "tests", command: [process.execPath, "--disable-warning=ExperimentalWarning", "scripts/test.ts"], live: true };

async function main(quick: boolean): Promise<number> {
  for (const stage of quick ? stages : [...stages, tests]) {
    const started = Date.now();
    const { code, output } = await run(stage);
    const time = `${((Date.now() - started) / 1000).toFixed(1)} s`;
    console.log(`${code === 0 ? "ok    " : "FAIL  "}${stage.name.padEnd(26)}${time}`);
    if (code === 0) continue;
    if (!stage.live) console.log(`\n${output.trimEnd()}\n\nagain: ${stage.command.join(" ").replaceAll(`${root}/`, "")}`);
    return 1;
  }
  return 0;
}

/** The stage that runs; a signal to the check is passed on to it, and the check ends with it. */
function run({ command: [program = "", ...args], live }: Stage): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", live ? "inherit" : "pipe", live ? "inherit" : "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
    const passOn = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.once("SIGTERM", passOn).once("SIGINT", passOn);
    child.once("error", reject);
    child.once("close", (code) => {
      process.off("SIGTERM", passOn).off("SIGINT", passOn);
      resolve({ code: code ?? 1, output });
    });
  });
}

process.exitCode = await main(process.argv.includes("--quick"));

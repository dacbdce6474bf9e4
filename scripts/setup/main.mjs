// What each command needs before it can start. Plain JavaScript with built-ins only: it runs before anything is installed.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError, stopOnSignals } from "./command.mjs";
import { ensureDashboard } from "./dashboard.mjs";
import { ensurePackages } from "./packages.mjs";
import { ensureTestTools } from "./tools.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * @param {string} what "packages", "start": also the dashboard, or "test": also what the tests start. "check" decides by its arguments.
 * @param {string[]} args the arguments of the program that follows
 */
export async function main(what, args) {
  stopOnSignals();
  try {
    await ensurePackages(root);
    needNode24();
    if (what !== "packages" && !(what === "check" && args.includes("--quick"))) await ensureDashboard(root);
    if (what === "test" || (what === "check" && !args.includes("--quick"))) await ensureTestTools(root);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** The packages bring Node 24 for Linux and Windows; elsewhere the system's own has to be new enough. */
function needNode24() {
  const bundled = join(root, "node_modules/.bin/node");
  if (existsSync(bundled) || Number(process.versions.node.split(".")[0]) >= 24) return;
  throw new SetupError(`Tutti runs on Node 24 or newer; this is Node ${process.versions.node}, and no Node is packaged for this machine.
Install Node 24 (https://nodejs.org), then run the same command again.`);
}

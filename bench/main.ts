import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { markdownOf, tableOf, type Line } from "./figures.ts";
import { installPeer } from "./install.ts";
import { aboutMachine, makeShared } from "./machine.ts";
import { peerNames, readOptions, UsageError, type Options } from "./options.ts";
import type { Peer } from "./peer.ts";
import { measureRow } from "./rows.ts";

/**
 * `npm run bench`: Tutti beside its peers, in one run on one machine (docs/performance.md says how to read it). Ends with 1 when a task
 * was lost or done twice, or a program of ours failed; a target that is missed is only said.
 */
async function main(words: readonly string[]): Promise<number> {
  const options = readOptions(words);
  if (options.installOnly) return install();
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
  const shared = makeShared();
  const machine = aboutMachine();
  if (!options.json) console.log(`${machine}\nmedians of ${options.rounds} rounds\n`);
  const lines: Line[] = [];
  const violations: string[] = [];
  try {
    for (const name of options.rows) {
      const load = loadavg()[0] ?? 0;
      const report = await measureRow(name, { options, shared, signal: stopped.signal });
      const told = report.lines.map((line) => ({ ...line, load }));
      lines.push(...told);
      violations.push(...report.violations);
      say(options, told);
    }
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
    console.error("stopped");
  } finally {
    await shared.close();
  }
  if (!options.json) for (const said of aboutPeers(lines)) console.log(said);
  if (options.docs) writeDocs(machine, lines);
  for (const violation of violations) console.error(`FAIL  ${violation}`);
  return violations.length === 0 && !stopped.signal.aborted ? 0 : 1;
}

function say({ json }: Options, lines: readonly Line[]): void {
  if (json) for (const line of lines) console.log(jsonOf(line));
  else console.log(`${tableOf(lines)}\n    load of the machine before: ${(lines[0]?.load ?? 0).toFixed(1)}\n`);
}

/** With the names in the order in which one reads them. */
function jsonOf({ row, store, medium, ours, unit, peers, best_peer, ratio, target, met, ...more }: Line): string {
  return JSON.stringify({ row, store, medium, ours, unit, peers, best_peer, ratio, target, met, ...more });
}

/** Each peer once: what was measured of it, and how. */
const aboutPeers = (lines: readonly Line[]): string[] => {
  const about = Object.assign({}, ...lines.map((line) => line.about ?? {})) as Record<string, string>;
  return Object.entries(about).map(([name, words]) => `${name}: ${words}`);
};

/** `--install`: the peers' packages alone, for a machine that has no network later. */
async function install(): Promise<number> {
  let missing = 0;
  for (const file of peerNames) {
    const { peer } = (await import(`./peers/${file}.ts`)) as { peer: Peer };
    const installed = installPeer(peer);
    if (installed.kind === "missing") missing += 1;
    console.log(`${peer.name}: ${installed.kind === "installed" ? installed.folder : installed.why}`);
  }
  return missing === 0 ? 0 : 1;
}

const [begin, end] = ["<!-- bench:begin -->", "<!-- bench:end -->"];

/** Puts the figures of this run between the two marks of docs/performance.md. */
function writeDocs(machine: string, lines: readonly Line[]): void {
  const file = join(import.meta.dirname, "..", "docs", "performance.md");
  const text = readFileSync(file, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("docs/performance.md has no place for the figures");
  const said = aboutPeers(lines)
    .map((words) => `- ${words}`)
    .join("\n");
  const figures = [begin, `${new Date().toISOString().slice(0, 10)}, ${machine}`, markdownOf(lines), said, end].filter(
    (part) => part !== "",
  );
  writeFileSync(file, `${text.slice(0, from)}${figures.join("\n\n")}${text.slice(to + end.length)}`);
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  return error instanceof UsageError ? 2 : 1;
});

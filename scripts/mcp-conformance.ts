import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { startFixture } from "../test/support/mcp-fixture/fixture.ts";

/**
 * The official conformance suite of MCP against our own doors and mount: prints each scenario with its checks, and ends with 1
 * when one that the revision requires fails. `node scripts/mcp-conformance.ts [revision]`, offline.
 */
const revision = process.argv[2] ?? "2026-07-28";
const root = fileURLToPath(new URL("../", import.meta.url));
const suite = ["node_modules", "test/outsiders/node_modules"]
  .map((folder) => join(root, folder, "@modelcontextprotocol/conformance/dist/index.js"))
  .find(existsSync);
if (suite === undefined) throw new Error("the conformance suite is not installed: npm ci");

interface Check {
  id: string;
  status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  errorMessage?: string;
}

/** The scenarios that a server must pass; the suite lists them for each revision. */
const Requirements = z.object({ server: z.array(z.string()) });
const required = Requirements.parse(parse(readFileSync(join(dirname(suite), "../requirements", `${revision}.yaml`), "utf8"))).server;

const folder = mkdtempSync(join(tmpdir(), "tutti-mcp-"));
const fixture = await startFixture();
try {
  const args = [suite, "server", "--url", fixture.url, "--requirements", revision, "--output-dir", folder];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (told += chunk.toString()));
  const code = await new Promise<number>((resolve) => child.once("close", (exit) => resolve(exit ?? 1)));
  const checks = new Map<string, Check[]>();
  for (const name of readdirSync(folder)) {
    const file = join(folder, name, "checks.json");
    const scenario = name.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT.*$/, "");
    if (existsSync(file)) checks.set(scenario, JSON.parse(readFileSync(file, "utf8")) as Check[]);
  }
  const hasPassed = (scenario: string): boolean => checks.get(scenario)?.every(({ status }) => status !== "FAILURE") ?? false;
  for (const [scenario, results] of [...checks].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const bad = results.filter(({ status }) => status === "FAILURE" || status === "WARNING");
    const note = required.includes(scenario) ? "" : " (not required)";
    console.log(`${hasPassed(scenario) ? "✓" : "✗"} ${scenario}${note}: ${results.length} checks`);
    for (const { id, status, errorMessage } of bad) console.log(`    ${status} ${id}: ${errorMessage ?? ""}`);
  }
  const passed = required.filter(hasPassed);
  const count = (scenarios: string[]): string => {
    const results = scenarios.flatMap((scenario) => checks.get(scenario) ?? []);
    const number = (wanted: Check["status"]): number => results.filter(({ status }) => status === wanted).length;
    return `${number("SUCCESS")} passed and ${number("FAILURE")} failed`;
  };
  console.log(`checks: ${count(required)} in what is required, ${count([...checks.keys()])} in all`);
  console.log(`required: ${passed.length} of ${required.length} scenarios`);
  if (passed.length < required.length || code !== 0) console.log(told);
  process.exitCode = passed.length === required.length ? code : 1;
} finally {
  await fixture.close();
  rmSync(folder, { recursive: true, force: true });
}

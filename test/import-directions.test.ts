import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";
import { isNounFile, isTestFile } from "../scripts/testing/source-files.ts";

/**
 * Arrows point one way (ARCHITECTURE.md): a folder may use what stands in its row, and nothing else of the other folders.
 * Contracts (what a noun is, and the messages between the parts) are everybody's. Tests and suites may import what they like.
 */
const mayUse: Record<string, string[]> = {
  db: [],
  events: ["db"],
  breakers: ["events", "db"],
  access: ["events", "db"],
  artifacts: ["db"],
  processes: [],
  models: ["db"],
  router: [],
  workspaces: ["processes"],
  agents: ["models", "processes", "events", "db"],
  projects: ["workspaces", "events", "db"],
  sessions: ["agents", "workspaces", "processes", "artifacts", "events", "db"],
  tasks: ["sessions", "access", "breakers", "events", "db"],
  flows: ["tasks", "events", "db"],
  "dead-letters": ["tasks", "db"],
  approvals: ["flows", "tasks", "events", "db"],
  doctor: ["db"],
  backups: ["artifacts", "workspaces", "db"],
  notifications: ["events", "db"],
  inbox: ["approvals", "flows", "tasks", "events", "db"],
  fleet: ["tasks", "sessions", "events", "db"],
  runners: ["access", "artifacts", "sessions", "agents", "workspaces", "processes", "projects", "tasks", "db"],
  sim: [
    "orchestrators",
    "runners",
    "approvals",
    "flows",
    "tasks",
    "projects",
    "agents",
    "sessions",
    "artifacts",
    "access",
    "breakers",
    "router",
    "events",
    "db",
  ],
  orchestrators: [
    "artifacts",
    "sessions",
    "router",
    "approvals",
    "flows",
    "tasks",
    "agents",
    "projects",
    "access",
    "breakers",
    "events",
    "db",
  ],
};

/** Beside the nouns' own files: what the parts say to each other, and values that a noun is made of. They are as light as a noun's file. */
const otherContracts = [
  "src/agents/backend.ts",
  "src/runners/message.ts",
  "src/runners/connections.ts",
  "src/tasks/retry.ts",
  "src/spread.ts",
];

/** Files of no noun, in reach of everybody. */
const foundations = ["src/errors.ts", "src/canonical.ts", "src/cursor.ts", "src/secret-file.ts", "src/version.ts"];

/** The tools of the in-process agent run as a program of their own inside of the sandbox: what holds for the server is not theirs. */
const sandboxedPrograms = ["src/agents/backends/tools/program/"];

/** Whoever starts programs: agents and commands, git, and `tutti up` the server itself. */
const starters = ["src/processes/", "src/workspaces/", "src/entry/cli/verbs/server.ts"];

/** They put everything together, and so may use everything. */
const wiring = ["src/main.ts", "src/server.ts"];

interface Source {
  path: string;
  text: string;
}

interface Import {
  from: string;
  /** A file of src/, or the name of a package or of a part of Node. */
  target: string;
  typeOnly: boolean;
}

const isContract = (file: string): boolean => isNounFile(file) || otherContracts.includes(file);
const isInside = (file: string, ...folders: string[]): boolean => folders.some((folder) => file.startsWith(folder));
const folderOf = (file: string): string | null => /^src\/([^/]+)\//.exec(file)?.[1] ?? null;
const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, "");

const statement =
  /^\s*(?:import|export)\s+(type\s+)?([^;"']*?)\s*from\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;

function importsOf({ path, text }: Source): Import[] {
  return [...withoutComments(text).matchAll(statement)].map(([, type, names, from, effect, dynamic]) => {
    const name = from ?? effect ?? dynamic ?? "";
    const target = name.startsWith(".") ? posix.join(posix.dirname(path), name) : name;
    return { from: path, target, typeOnly: Boolean(type) || onlyTypes(names) };
  });
}

/** `{ type A, type B }` */
function onlyTypes(names: string | undefined): boolean {
  const inside = /^\{([\s\S]*)\}$/.exec(names?.trim() ?? "")?.[1];
  const each = (inside ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return each.length > 0 && each.every((name) => name.startsWith("type "));
}

/** One sentence for each rule that an import breaks. */
function brokenBy({ from, target, typeOnly }: Import): string[] {
  const broken: string[] = [];
  const refuse = (why: string): void => void broken.push(`${from} imports ${target}: ${why}`);
  if (target === "node:vm" || target === "vm") refuse("nothing that an agent can write is executed by the control plane");
  if (isTestFile(from)) return broken;
  if (isTestFile(target)) refuse("only tests import tests and suites");
  if (!typeOnly && target === "node:child_process" && !isInside(from, ...starters, ...sandboxedPrograms))
    refuse("only src/processes starts programs, and src/workspaces git");
  if (target.startsWith("src/entry/") && !isInside(from, "src/entry/", ...wiring)) refuse("nothing imports an entry");
  if (isContract(from) && !isContract(target) && target !== "zod" && !typeOnly) refuse("a contract imports zod and other contracts only");
  if (from.endsWith("/store.ts") && target.endsWith("/commands.ts")) refuse("no store imports a command");
  if (target === "src/registry.ts" && !typeOnly && !from.endsWith("/commands.ts") && !isInside(from, "src/entry/", "src/sim/", ...wiring))
    refuse("only entries and lists of commands use the registry");
  if (pointsUp(from, target)) refuse(`${folderOf(from)} may use ${mayUse[folderOf(from) ?? ""]?.join(", ") || "no other folder"}`);
  return broken;
}

function pointsUp(from: string, target: string): boolean {
  const [own, other] = [folderOf(from), folderOf(target)];
  if (!own || own === "entry" || own === other || !target.startsWith("src/")) return false;
  if (isContract(target) || foundations.includes(target)) return false;
  if (other === null) return target === "src/commands.ts" || wiring.includes(target);
  if (other === "entry") return false;
  const allowed = mayUse[own];
  return allowed === undefined || !allowed.includes(other);
}

/** What a text may not hold, wherever it stands. */
function brokenByText({ path, text }: Source): string[] {
  const code = withoutComments(text);
  const broken: string[] = [];
  const program = isTestFile(path) || isInside(path, ...sandboxedPrograms);
  if (/\beval\s*\(|\bnew Function\b/.test(code)) broken.push(`${path} turns text into code`);
  if (/\bprocess\.env\b|\bprocess\[["']env/.test(code) && path !== "src/config.ts" && !program)
    broken.push(`${path} reads process.env: only src/config.ts does`);
  if (/["'`]git["'`]/.test(code) && !isInside(path, "src/workspaces/", ...wiring) && !program)
    broken.push(`${path} names the program git: only src/workspaces runs it`);
  return broken;
}

const violations = (sources: Source[]): string[] =>
  sources.flatMap((source) => [...importsOf(source).flatMap(brokenBy), ...brokenByText(source)]);

const root = dirname(import.meta.dirname);
const sources = globSync("src/**/*.ts", { cwd: root }).map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

test("every import points the way the arrows do", () => {
  assert.deepEqual(violations(sources), []);
});

test("every folder of src has its row, and no row leads back to itself", () => {
  const folders = new Set(sources.map(({ path }) => folderOf(path)).filter((folder) => folder !== null && folder !== "entry"));
  assert.deepEqual(
    [...folders].filter((folder) => !mayUse[folder ?? ""]),
    [],
  );
  const reach = (folder: string, seen: string[]): string[] => {
    assert.ok(!seen.includes(folder), `a circle: ${[...seen, folder].join(" -> ")}`);
    return (mayUse[folder] ?? []).flatMap((next) => [next, ...reach(next, [...seen, folder])]);
  };
  for (const folder of Object.keys(mayUse)) reach(folder, []);
});

const planted: [string, string, string, RegExp][] = [
  ["a folder that uses one above it", "src/tasks/settle.ts", 'import { advance } from "../flows/advance.ts";', /tasks may use/],
  [
    "the same across several lines",
    "src/db/sqlite.ts",
    'import {\n  publish,\n  type Bus,\n} from "../events/bus.ts";',
    /db may use no other folder/,
  ],
  ["the same loaded late", "src/db/sqlite.ts", 'const { publish } = await import("../events/bus.ts");', /db may use no other folder/],
  ["the same passed on", "src/db/sqlite.ts", 'export { publish } from "../events/bus.ts";', /db may use no other folder/],
  ["a folder that imports an entry", "src/tasks/store.ts", 'import { client } from "../entry/client.ts";', /nothing imports an entry/],
  ["a noun that imports behaviour", "src/tasks/task.ts", 'import { settle } from "./settle.ts";', /a contract imports zod/],
  ["a store that imports a command", "src/tasks/store.ts", 'import { createTask } from "./commands.ts";', /no store imports a command/],
  [
    "a behaviour that uses the registry",
    "src/tasks/settle.ts",
    'import { execute } from "../registry.ts";',
    /only entries and lists of commands/,
  ],
  ["the list of all commands from below", "src/tasks/commands.ts", 'import { all } from "../commands.ts";', /tasks may use/],
  [
    "a program started elsewhere",
    "src/router/route.ts",
    'import { spawn } from "node:child_process";',
    /only src\/processes starts programs/,
  ],
  ["a suite in the product", "src/db/open.ts", 'import { suite } from "./store.suite.ts";', /only tests import tests/],
  ["text run as code", "src/flows/advance.ts", 'import vm from "node:vm";', /nothing that an agent can write/],
  ["text run as code in a test", "src/flows/advance.test.ts", 'export const two = eval("1 + 1");', /turns text into code/],
  ["the environment read elsewhere", "src/entry/cli/main.ts", "export const home = process.env.HOME;", /only src\/config\.ts/],
  ["git run elsewhere", "src/runners/run-merge.ts", 'export const command = ["git", "merge"];', /only src\/workspaces runs it/],
];

for (const [name, path, text, expected] of planted) {
  test(`control: ${name} is reported`, () => {
    const found = violations([{ path, text }]);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", expected);
  });
}

test("control: what follows the arrows is not reported", () => {
  const allowed = [
    { path: "src/flows/advance.ts", text: 'import { settle } from "../tasks/settle.ts";\nimport { sql } from "../db/plan.ts";' },
    {
      path: "src/db/sqlite.ts",
      text: 'import type { Task } from "../tasks/task.ts";\n// process.env and eval( in a comment are only words',
    },
    { path: "src/agents/backend.ts", text: 'import { type ChildProcess } from "node:child_process";\nimport { z } from "zod";' },
    { path: "src/tasks/commands.ts", text: 'import { command } from "../registry.ts";' },
    { path: "src/main.ts", text: 'import { serve } from "./entry/http/server.ts";' },
    { path: "src/tasks/settle.test.ts", text: 'import { spawn } from "node:child_process";\nimport { client } from "../entry/client.ts";' },
  ];
  assert.deepEqual(violations(allowed), []);
});

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { AppError, conflict, invalidInput, notFound } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import { group } from "../../../processes/group.ts";
import { findProgram } from "../../../processes/program.ts";
import { runToEnd } from "../../../processes/run.ts";
import { startProcess } from "../../../processes/start.ts";
import { readIfThere } from "../../../secret-file.ts";
import { findToken, writeToken } from "../token-file.ts";
import { apply, realPath, shown, type Change } from "./change.ts";
import { programs, type KnownProgram, type Launch } from "./programs.ts";

/** Tells a program of this machine where our server is: the exact change is shown, a person agrees, and only then is it made. */
export interface InstallOptions {
  /** Where Tutti's data is, where the person's files are, and where programs are looked for. */
  home: string;
  userHome: string;
  configHome: string;
  path: string;
  dryRun: boolean;
  yes: boolean;
  /** Makes the program's own token and answers its text. */
  makeToken(name: string): Promise<string>;
  /** Whether a token still opens the server. */
  isGood(token: string): Promise<boolean>;
  say(text: string): void;
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
}

export type Installed = "there already" | "installed" | "only shown" | "left";

const launcher = fileURLToPath(new URL("../../../../bin/tutti", import.meta.url));

const launchOf = (name: string, home: string): Launch => ({ command: launcher, args: ["mcp", "--as", name], env: { TUTTI_HOME: home } });

/** Throws AppError not_found naming the programs that are known. */
export function knownProgram(name: string): KnownProgram {
  const found = programs.find((program) => program.name === name);
  if (found) return found;
  const names = programs.map((program) => program.name);
  const meant = nearest(name, names);
  throw notFound("a program that Tutti knows,", name, [...(meant ? [`tutti mcp install ${meant}`] : []), `one of: ${names.join(", ")}`]);
}

/** Throws AppError: the program is not installed, its file is not ours to change, or nobody may be asked. */
export async function install(name: string, options: InstallOptions): Promise<Installed> {
  const program = knownProgram(name);
  const launch = launchOf(name, options.home);
  const step = program.kind === "command" ? await byCommand(program, launch, options) : await byFile(program, launch, options);
  const kept = await findToken(options.home, name);
  const needsToken = kept === null || !(await options.isGood(kept));
  if (step === null && !needsToken) return "there already";
  options.say(step?.text ?? `${program.title} has the entry already; its token is ${kept === null ? "missing" : "no longer good"}`);
  if (options.dryRun) return "only shown";
  if (!options.yes && !(await agreed(program.title, options))) return "left";
  if (needsToken) await writeToken(options.home, name, await options.makeToken(`mcp-${name}`));
  await step?.make();
  return "installed";
}

/** Whether it is there already, for a list. */
export async function isInstalled(
  program: KnownProgram,
  options: Pick<InstallOptions, "home" | "userHome" | "configHome">,
): Promise<boolean | null> {
  if (program.kind === "command") return null;
  const text = await readIfThere(program.file({ home: options.userHome, configHome: options.configHome }));
  return text !== null && program.edit(text, launchOf(program.name, options.home)) === text;
}

interface Step {
  text: string;
  make(): Promise<void>;
}

async function byFile(program: KnownProgram & { kind: "file" }, launch: Launch, options: InstallOptions): Promise<Step | null> {
  const path = await realPath(program.file({ home: options.userHome, configHome: options.configHome }));
  const before = await readIfThere(path);
  const after = program.edit(before ?? "", launch);
  if (after === null) {
    throw conflict(
      `${path} is left as it is`,
      "it has comments, another form, or another entry called tutti: rewriting it could lose something of yours",
      [`write this into it:\n${program.snippet(launch)}`],
    );
  }
  if (after === before) return null;
  const change: Change = { path, before, after };
  return {
    text: shown(change),
    async make() {
      const backup = await apply(change);
      options.say(backup === null ? `written: ${path}` : `written: ${path} (as it was: ${backup})`);
    },
  };
}

async function byCommand(program: KnownProgram & { kind: "command" }, launch: Launch, options: InstallOptions): Promise<Step | null> {
  const file = findProgram(program.program, options.path);
  if (!file) {
    throw new AppError("agent_unavailable", `${program.title} was not found`, {
      why: `there is no program "${program.program}" on PATH`,
      fix: [`install it, then: tutti mcp install ${program.name}`],
    });
  }
  if ((await run([file, ...program.known], options)).code === 0) return null;
  const argv = [file, ...program.add(launch)];
  return {
    text: `runs: ${argv.map(word).join(" ")}`,
    async make() {
      const { code, output } = await run(argv, options);
      if (code !== 0)
        throw new AppError("failed", `${program.title} did not take it (exit code ${code ?? "none"})`, { why: output.trim().slice(-500) });
    },
  };
}

const word = (text: string): string => (/^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const runLimitMs = 30_000;

async function run(argv: string[], { path, userHome }: InstallOptions): Promise<{ code: number | null; output: string }> {
  const env = { PATH: path, HOME: userHome, LANG: "C.UTF-8", NO_COLOR: "1" };
  const options = { argv, cwd: userHome, env, stdin: "ignore" as const, session: null, sandbox: null };
  const start = () => startProcess(group(null), randomUUID(), options, true);
  const { exit, output } = await runToEnd(start, { timeoutMs: runLimitMs, maxOutputBytes: 65_536 }, new AbortController().signal);
  return { code: exit.code, output };
}

/** Throws AppError invalid_input where nobody can answer. */
async function agreed(title: string, { input, output }: InstallOptions): Promise<boolean> {
  if (!input.isTTY)
    throw invalidInput(`nobody can be asked whether ${title} may be changed`, "this is no terminal", ["add --yes", "add --dry-run"]);
  const question = createInterface({ input, output });
  try {
    return /^y(es)?$/i.test((await question.question(`Change ${title} like this? [y/N] `)).trim());
  } finally {
    question.close();
  }
}

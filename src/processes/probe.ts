import { bubblewrap, type Identity } from "./bubblewrap.ts";
import { group } from "./group.ts";
import type { Launcher } from "./launch.ts";
import type { CommandResult, ProcessAbilities, SandboxPolicy } from "./process.ts";
import { findProgram } from "./program.ts";
import { runToEnd } from "./run.ts";
import { startProcess } from "./start.ts";
import { unshare } from "./unshare.ts";

/** What came of one way: a launcher that was seen to work, or why not. */
export interface Trial {
  kind: ProcessAbilities["kind"];
  launcher: Launcher | null;
  how: string;
}

const probeLimitMs = 10_000;

/** Tries one way by really starting something with it. `path` is where bwrap, unshare and setpriv are looked for. */
export async function tryKind(kind: ProcessAbilities["kind"], instance: string, path: string): Promise<Trial> {
  switch (kind) {
    case "bubblewrap":
      return tryBubblewrap(instance, path);
    case "unshare":
      return tryUnshare(instance, path);
    case "group":
      return tryGroup(instance, path);
  }
}

async function tryBubblewrap(instance: string, path: string): Promise<Trial> {
  const kind = "bubblewrap";
  const program = systemProgram("bwrap", path);
  if (program === null) return { kind, launcher: null, how: "bwrap is not installed" };
  const identities: Identity[] = process.getuid?.() === 0 ? ["nobody", "same"] : ["same"];
  let how = "";
  for (const identity of identities) {
    const launcher = bubblewrap(program, identity);
    const problem = await problemWith(launcher, instance);
    if (problem === null) return { kind, launcher, how: "every process tree ends as a whole, and sees only what it may" };
    how ||= problem;
  }
  return { kind, launcher: null, how };
}

async function tryUnshare(instance: string, path: string): Promise<Trial> {
  const kind = "unshare";
  const [program, setpriv] = [systemProgram("unshare", path), systemProgram("setpriv", path)];
  if (program === null || setpriv === null) return { kind, launcher: null, how: "unshare or setpriv is not installed" };
  let how = "";
  for (const mountProc of [true, false]) {
    const launcher = unshare({ setpriv, unshare: program, mountProc });
    const problem = await problemWith(launcher, instance);
    if (problem === null) {
      return {
        kind,
        launcher,
        how: `every process tree ends as a whole, but the file system is not restricted${mountProc ? "" : ", nor is /proc"}`,
      };
    }
    how ||= problem;
  }
  return { kind, launcher: null, how };
}

async function tryGroup(instance: string, path: string): Promise<Trial> {
  const setpriv = systemProgram("setpriv", path);
  // The setpriv of small systems knows no --pdeathsig.
  const isOfUse = setpriv !== null && (await probe(group(setpriv), instance)).exit.code === 0;
  const how =
    "a process group is ended, and what left it is found by a mark in its environment (what also removed the mark is not); " +
    "the file system is not restricted";
  return { kind: "group", launcher: group(isOfUse ? setpriv : null), how };
}

// Administrators' tools, also where a service was given a short PATH.
const systemProgram = (name: string, path: string): string | null => findProgram(name, `${path}:/usr/bin:/bin:/usr/sbin:/sbin`);

// Never empty on any system, and nothing that a shell needs.
const hiddenForProbe = "/usr/share";

/** Starts a shell that tells what it sees of a hidden folder, and its own status. */
async function probe(launcher: Launcher, instance: string): Promise<CommandResult> {
  const policy: SandboxPolicy = { tuttiHome: hiddenForProbe, writable: [], readable: [], hidden: [], network: true };
  const argv = ["/bin/sh", "-c", 'ls -A "$1" 2>/dev/null; cat /proc/$$/status; echo "number: $$"', "sh", hiddenForProbe];
  const options = { argv, cwd: "/", env: {}, stdin: "ignore" as const, session: null, sandbox: launcher.sandbox ? policy : null };
  const start = () => startProcess(launcher, instance, options, true);
  return runToEnd(start, { timeoutMs: probeLimitMs }, AbortSignal.timeout(2 * probeLimitMs));
}

/** null when all is as promised: a PID namespace of its own, and with a sandbox no capabilities and the folder empty. */
async function problemWith(launcher: Launcher, instance: string): Promise<string | null> {
  const { exit, output } = await probe(launcher, instance);
  if (exit.code !== 0) return lastLine(output) || `it ended with ${exit.signal ?? `code ${exit.code}`}`;
  if (!/^number: [1-9]$/m.test(output)) return "its processes were not separated from the others";
  if (!launcher.sandbox) return null;
  if (!output.startsWith("Name:")) return "a hidden folder could be seen inside";
  return /^CapEff:\s*0+$/m.test(output) ? null : "its processes kept privileges with which the sandbox can be opened";
}

const lastLine = (output: string): string => output.trim().split("\n").at(-1)?.trim() ?? "";

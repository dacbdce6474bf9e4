import { randomUUID } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { delimiter, isAbsolute } from "node:path";
import { group } from "../processes/group.ts";
import { findProgram } from "../processes/program.ts";
import { runToEnd } from "../processes/run.ts";
import { startProcess } from "../processes/start.ts";
import type { Detection } from "./agent.ts";
import type { AgentBackend, DetectEnvironment } from "./backend.ts";
import type { Detect } from "./detect.ts";

/** One `--version` may take so long. Tried twice, because the first start of a large program on a busy machine reads it from the disk. */
const versionLimitMs = 4500;
const detectLimitMs = 10_000;

/**
 * The absolute path of the program that would be started for this name: what detection shows is what the launcher starts. null when
 * there is none. A relative path is no program: it would be looked for in the folder in which the agent works.
 */
export function resolveProgram(name: string, path: string): string | null {
  if (name.includes("/") && !isAbsolute(name)) return null;
  return findProgram(name, path.split(delimiter).filter(isAbsolute).join(delimiter));
}

/** What came of `<program> --version`. `output` is what it printed; `failure` tells why that is no answer. */
export interface VersionAnswer {
  output: string;
  failure: string | null;
}

interface Known {
  stamp: string;
  answer: Promise<VersionAnswer>;
}

const known = new Map<string, Known>();

/**
 * Really starts `<program> --version`, with nothing in its environment but PATH, HOME and a language. Asked again only when the
 * file has changed (path, time, size); a failure is never remembered. Never rejects.
 */
export async function askVersion(
  program: string,
  environment: Pick<DetectEnvironment, "path" | "home" | "signal">,
): Promise<VersionAnswer> {
  const stamp = stampOf(program);
  const before = known.get(program);
  if (before?.stamp === stamp) return before.answer;
  const answer = startTwice(program, environment);
  known.set(program, { stamp, answer });
  if ((await answer).failure !== null && known.get(program)?.answer === answer) known.delete(program);
  return answer;
}

/** Of the file itself: a link that now leads elsewhere is another program. */
function stampOf(program: string): string {
  try {
    const real = realpathSync(program);
    const { mtimeMs, size, ino } = statSync(real);
    return `${real} ${mtimeMs} ${size} ${ino}`;
  } catch {
    return `gone ${randomUUID()}`; // between finding and looking: nothing to remember
  }
}

async function startTwice(program: string, environment: Pick<DetectEnvironment, "path" | "home" | "signal">): Promise<VersionAnswer> {
  const first = await startOnce(program, environment);
  return first.isLate && !environment.signal.aborted ? startOnce(program, environment) : first;
}

async function startOnce(
  program: string,
  { path, home, signal }: Pick<DetectEnvironment, "path" | "home" | "signal">,
): Promise<VersionAnswer & { isLate: boolean }> {
  const options = {
    argv: [program, "--version"],
    cwd: "/",
    env: { PATH: path, HOME: home, LANG: "C.UTF-8", NO_COLOR: "1" },
    stdin: "ignore" as const,
    session: null,
    sandbox: null,
  };
  const start = () => startProcess(group(null), randomUUID(), options, true);
  const { exit, output, timedOut } = await runToEnd(start, { timeoutMs: versionLimitMs, maxOutputBytes: 16_384 }, signal);
  if (timedOut) return { output, failure: `it did not answer --version within ${versionLimitMs / 1000} s`, isLate: true };
  if (signal.aborted) return { output, failure: "detection was stopped", isLate: false };
  if (exit.code === 0) return { output, failure: null, isLate: false };
  const last = output.trim().split("\n").at(-1)?.slice(0, 300);
  return { output, failure: `--version ended with ${exit.signal ?? `code ${exit.code}`}${last ? `: ${last}` : ""}`, isLate: false };
}

/** The first thing in the text that looks like a version; null when nothing does. */
export const versionIn = (text: string): string | null => /\d+\.\d+(?:\.\d+)?(?:[-+][\w.]+)?/.exec(text)?.[0] ?? null;

/** Whether `version` is at least `from` and below `below`: numbers only, "1.18.0" style. */
export function isWithinVersions(version: string, { from, below }: { from: string; below: string }): boolean {
  return compareVersions(version, from) >= 0 && compareVersions(version, below) < 0;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (const index of [0, 1, 2]) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const numbersOf = (version: string): number[] => (version.split(/[-+]/)[0] ?? "").split(".").map(Number);

/**
 * Finds out what agents can be used on this machine. Each probe has a limit of its own and never rejects.
 * `path` and `home` are the person's; `providers` are the names of those that are configured.
 */
export function makeDetect(environment: {
  path: string;
  home: string;
  providers(): Promise<string[]>;
  backends: ReadonlyMap<string, AgentBackend>;
}): Detect {
  const { path, home, providers, backends } = environment;
  return async (agent) => {
    const backend = backends.get(agent.backend);
    if (!backend) return notFound(`there is no backend "${agent.backend}"`, null);
    try {
      return await backend.detect(agent, { path, home, providers: await providers(), signal: AbortSignal.timeout(detectLimitMs) });
    } catch (error) {
      return notFound(`the probe failed: ${error instanceof Error ? error.message : String(error)}`, "tutti doctor");
    }
  };
}

export const notFound = (message: string, fix: string | null): Detection => ({
  state: "not found",
  version: null,
  path: null,
  message,
  fix,
});

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { StartOptions } from "../../src/processes/process.ts";

/** Polls until the condition holds; fails with `what` when it does not in time. */
export async function until(what: string, condition: () => boolean, limitMs = 5000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `in vain: waited ${limitMs} ms until ${what}`);
    await setTimeout(5);
  }
}

/** The living processes in whose environment this stands. Zombies have ended and have none. */
export function processesWith(variable: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => environmentOf(pid).includes(variable));
}

export function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // ended while we looked
  }
}

/**
 * A program that does all that keeps programs alive: ignores every polite signal, starts one child in a session of its own and
 * another by a double fork. All of them carry `mark` in their environment.
 */
export function stubborn(): { argv: string[]; env: Record<string, string>; mark: string; size: number } {
  const token = randomUUID();
  const child = 'trap "" TERM HUP INT; while :; do sleep 60; done';
  const script = `trap "" TERM HUP INT
    setsid /bin/sh -c '${child}' &
    ( setsid /bin/sh -c '${child}' & )
    echo ready
    while :; do sleep 60; done`;
  // Three shells, each with its sleep.
  return { argv: ["/bin/sh", "-c", script], env: { PATH: "/usr/bin:/bin", FIXTURE: token }, mark: `FIXTURE=${token}`, size: 6 };
}

/** A $TUTTI_HOME with secrets and two sessions. Beside the source and not below /tmp, so that it is hidden for its own sake. */
export function makeTuttiHome(): { home: string; work: string; other: string; remove: () => void } {
  const place = join(import.meta.dirname, "../../node_modules");
  const home = mkdtempSync(join(place, ".tutti-home-"));
  const [work, other] = [join(home, "sessions/one/work"), join(home, "sessions/two/work")];
  for (const folder of [work, other]) mkdirSync(folder, { recursive: true });
  for (const name of ["server.json", "tutti.db", "sessions/two/work/secret"]) writeFileSync(join(home, name), "a secret of Tutti");
  return { home, work, other, remove: () => rmSync(home, { recursive: true, force: true }) };
}

/** Start options with nothing special, for a shell script. */
export const shell = (script: string, options: Partial<StartOptions> = {}): StartOptions => ({
  argv: ["/bin/sh", "-c", script],
  cwd: "/",
  env: { PATH: "/usr/bin:/bin" },
  stdin: "ignore",
  session: null,
  sandbox: null,
  ...options,
});

import { isMainThread } from "node:worker_threads";
import { AppError } from "../errors.ts";
import type { Launcher } from "./launch.ts";
import { tryKind, type Trial } from "./probe.ts";
import type { ProcessAbilities, Processes, RunningProcess, StartOptions } from "./process.ts";
import { runToEnd } from "./run.ts";
import { startProcess } from "./start.ts";
import { sweepProcesses } from "./sweep.ts";

type Kind = ProcessAbilities["kind"];

const order: readonly Kind[] = ["bubblewrap", "unshare", "group"];

/**
 * Finds out, by really starting something, how process trees are surely ended on this machine, and gives the one object through
 * which everything is started. `force` (TUTTI_PROCESSES) skips the choice. `instance` marks our processes in /proc; `path` is where
 * the wrappers are looked for. Nothing is started later than `close()`.
 * Errors: `agent_unavailable` when the forced way does not work here. `start` and `run` throw `invalid_input` for a policy that
 * cannot be granted and `busy` after `close()`; a program that cannot be begun is an exit with code 127. Inside bubblewrap and
 * unshare a program killed by signal n ends, as shells say it, with code 128 + n.
 */
export async function openProcesses(options: {
  tuttiHome: string;
  instance: string;
  force?: Kind | null;
  path: string;
}): Promise<Processes> {
  // The kernel ends what a thread started when that thread ends, not when the process does.
  if (!isMainThread) throw new Error("processes are started from the main thread only");
  const { launcher, abilities } = await choose(options.force ?? null, options.instance, options.path);
  const running = new Set<RunningProcess>();
  let isClosed = false;

  function start(what: StartOptions, merge = false): RunningProcess {
    if (isClosed) throw new AppError("busy", "Tutti is stopping and starts nothing any more");
    // $TUTTI_HOME is hidden whatever a policy calls so.
    const sandbox = what.sandbox && { ...what.sandbox, hidden: [...what.sandbox.hidden, options.tuttiHome] };
    const started = startProcess(launcher, options.instance, { ...what, sandbox }, merge);
    running.add(started);
    void started.exited.then(() => running.delete(started));
    return started;
  }

  return {
    abilities,
    start: (what) => start(what),
    run: (what, signal) => runToEnd(() => start({ ...what, stdin: what.input === undefined ? "ignore" : "pipe" }, true), what, signal),
    sweep: (sessions) => sweepProcesses(options.instance, sessions),
    async close() {
      isClosed = true;
      await Promise.all([...running].map((each) => each.stop()));
    },
  };
}

async function choose(force: Kind | null, instance: string, path: string): Promise<{ launcher: Launcher; abilities: ProcessAbilities }> {
  const kinds = force === null ? (process.platform === "linux" ? order : (["group"] as const)) : [force];
  const trials: Trial[] = [];
  for (const kind of kinds) {
    const trial = await tryKind(kind, instance, path);
    trials.push(trial);
    const { launcher } = trial;
    if (launcher) return { launcher, abilities: { kind, sandbox: launcher.sandbox, why: tell(trials, force !== null) } };
  }
  throw new AppError("agent_unavailable", `${force} was asked for (TUTTI_PROCESSES), but does not work here`, {
    why: tell(trials, false),
    fix: [
      ...(force === "bubblewrap" ? ["apt-get install bubblewrap"] : ["apt-get install util-linux"]),
      "allow user namespaces: sysctl -w user.max_user_namespaces=15000 (Ubuntu also: kernel.apparmor_restrict_unprivileged_userns=0)",
      "unset TUTTI_PROCESSES, then the best way that works is chosen",
    ],
  });
}

/** What was tried and how it ended, for `tutti doctor`. */
const tell = (trials: readonly Trial[], isForced: boolean): string =>
  trials.map(({ kind, launcher, how }) => `${kind} ${launcher ? "works" : "does not work"}: ${how}`).join("; ") +
  (isForced ? " (asked for by TUTTI_PROCESSES)" : "");

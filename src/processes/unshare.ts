import type { ChildProcess } from "node:child_process";
import { merged, type Command, type Launch, type Launcher, type Tree } from "./launch.ts";
import { allGone, childrenOf, innerPid, lookAt, signalProcess, type ProcessEntry } from "./proc.ts";

const goneLimitMs = 10_000;

/** The programs that this way needs, and whether a /proc of its own could be mounted (some containers forbid it). */
export interface UnsharePrograms {
  setpriv: string;
  unshare: string;
  mountProc: boolean;
}

/**
 * A PID namespace without a restricted file system: the tree surely ends, but sees all that its user sees.
 * A small shell is process 1: it collects orphans, and lets SIGTERM reach the program with its usual meaning (the kernel keeps
 * signals without a handler away from process 1).
 */
export function unshare(programs: UnsharePrograms): Launcher {
  return { kind: "unshare", sandbox: false, command: (launch) => commandFor(programs, launch), tree };
}

function commandFor(programs: UnsharePrograms, launch: Launch): Command {
  const namespaces = ["--user", "--map-current-user", "--pid", "--fork", "--kill-child", ...(programs.mountProc ? ["--mount-proc"] : [])];
  return {
    file: programs.setpriv,
    args: ["--pdeathsig", "KILL", programs.unshare, ...namespaces, "/bin/sh", "-c", '"$@"; exit $?', "sh", ...merged(launch)],
    cwd: launch.cwd,
    env: launch.env,
    configuration: null,
  };
}

function tree(child: ChildProcess): Tree {
  const wrapper = child.pid === undefined ? null : lookAt(child.pid);
  let killed: ProcessEntry[] = [];
  const init = (): ProcessEntry[] => (wrapper ? childrenOf(wrapper.pid) : []);
  return {
    async inner() {
      return (
        init()
          .flatMap((entry) => childrenOf(entry.pid))
          .find((entry) => innerPid(entry.pid) === 2) ?? null
      );
    },
    kill() {
      // Process 1 is named before the wrapper goes: afterwards nobody knows whose child it was. The wrapper goes first: it would
      // turn its child's SIGKILL into an exit code of its own.
      killed = init();
      child.kill("SIGKILL");
      for (const entry of killed) signalProcess(entry, "SIGKILL");
    },
    async settle() {
      // unshare itself waits for process 1, which goes last; only when it was killed something can outlast it for a moment.
      await allGone(killed, goneLimitMs);
      return { begun: true };
    },
  };
}

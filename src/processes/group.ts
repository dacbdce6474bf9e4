import type { ChildProcess } from "node:child_process";
import { merged, type Command, type Launch, type Launcher, type Tree } from "./launch.ts";
import { lookAt } from "./proc.ts";

/**
 * The last way, where the host forbids namespaces: a process group, and the markers in the environment by which what left the group
 * is found (start.ts, sweep.ts). `setpriv`, where there is one, lets at least the program itself end with a killed server.
 */
export function group(setpriv: string | null): Launcher {
  return { kind: "group", sandbox: false, command: (launch) => commandFor(setpriv, launch), tree };
}

function commandFor(setpriv: string | null, launch: Launch): Command {
  const [file = "", ...args] = setpriv === null ? merged(launch) : [setpriv, "--pdeathsig", "KILL", ...merged(launch)];
  return { file, args, cwd: launch.cwd, env: launch.env, configuration: null };
}

function tree(child: ChildProcess): Tree {
  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      return; // the group is empty already
    }
  };
  return {
    async inner() {
      return child.pid === undefined ? null : lookAt(child.pid);
    },
    kill: killGroup,
    async settle() {
      killGroup();
      return { begun: true };
    },
  };
}

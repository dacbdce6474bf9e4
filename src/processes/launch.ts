import type { ChildProcess } from "node:child_process";
import type { ProcessAbilities } from "./process.ts";
import type { MountPlan } from "./mount.ts";
import type { ProcessEntry } from "./proc.ts";

/** What is to be run, with everything already decided. */
export interface Launch {
  /** argv[0] is an absolute path. */
  argv: string[];
  cwd: string;
  /** Complete, with the markers. */
  env: Record<string, string>;
  /** The markers alone, for a wrapper that must not run under an environment which a project chose. */
  markers: Record<string, string>;
  mounts: MountPlan | null;
  network: boolean;
  /** stderr goes where stdout goes, so that the order of the two is the true one. */
  merge: boolean;
}

/** What is handed to spawn. `configuration` is written to descriptor 4; descriptor 3 is then a pipe for the wrapper's reports. */
export interface Command {
  file: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  configuration: string | null;
}

/** A started tree. Every method is harmless when the tree is gone. */
export interface Tree {
  /** The process that the caller asked for, inside its wrappers; null while there is none. */
  inner(): Promise<ProcessEntry | null>;
  /** SIGKILL to all that can be named at once. */
  kill(): void;
  /** After the wrapper has exited: whether the program itself was ever begun, and a wait until its tree is gone. */
  settle(): Promise<{ begun: boolean }>;
}

/** One way of starting a tree that can surely be ended. */
export interface Launcher {
  kind: ProcessAbilities["kind"];
  sandbox: boolean;
  command(launch: Launch): Command;
  tree(child: ChildProcess): Tree;
}

/** A fixed script, data only as its arguments. The shell replaces itself, so that the process number stays the program's. */
export const merged = (launch: Launch): string[] =>
  launch.merge ? ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", ...launch.argv] : launch.argv;

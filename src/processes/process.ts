import type { Readable, Writable } from "node:stream";

/** What a sandboxed process may see and write. Everything else of the machine is read-only; homes and Tutti's data are hidden. */
export interface SandboxPolicy {
  /** $TUTTI_HOME: hidden whole. */
  tuttiHome: string;
  /** Folders that are visible and writable (the clone, the session's home). */
  writable: string[];
  /** Folders or files that are visible and read-only although they lie in a hidden place (the mirror's objects, a program's folder). */
  readable: string[];
  /** More places to hide, beside $TUTTI_HOME, all homes, temporary folders and control sockets. */
  hidden: string[];
  network: boolean;
}

export interface StartOptions {
  argv: string[];
  cwd: string;
  /** The whole environment: nothing is inherited. TUTTI_SESSION is added when `session` is set. */
  env: Record<string, string>;
  stdin: "pipe" | "ignore";
  /** The session that the process belongs to: written into TUTTI_SESSION (with TUTTI_INSTANCE), by which leftovers are found. */
  session: string | null;
  /** null only where the project says `sandbox: none`. */
  sandbox: SandboxPolicy | null;
  /** Added to the sandbox's readable places for this process (the folder of the program that is started). */
  readable?: string[];
}

export interface Exit {
  code: number | null;
  signal: string | null;
}

export interface RunningProcess {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the whole tree is gone; never rejects. */
  readonly exited: Promise<Exit>;
  /** Close stdin, grace, SIGTERM to the inner process, grace, SIGKILL to the tree. Finished when it returns; harmless twice. */
  stop(options?: { graceMs?: number }): Promise<Exit>;
}

/** The way that process trees are surely ended here, probed once by really starting something. */
export interface ProcessAbilities {
  kind: "bubblewrap" | "unshare" | "group";
  /** Whether the file system can be restricted with it. */
  sandbox: boolean;
  why: string;
}

export interface CommandResult {
  exit: Exit;
  /** stdout and stderr in the order they came, cut in the middle when longer than the limit. */
  output: string;
  truncated: boolean;
  timedOut: boolean;
}

export interface Processes {
  readonly abilities: ProcessAbilities;
  start(options: StartOptions): RunningProcess;
  /** Runs to the end; SIGKILLs the tree when `timeoutMs` is over or `signal` aborts. Never rejects for a failing command. */
  run(options: StartOptions & { input?: string; timeoutMs: number; maxOutputBytes?: number }, signal: AbortSignal): Promise<CommandResult>;
  /** Kills every process of these sessions that is still there (by TUTTI_SESSION and our TUTTI_INSTANCE in /proc). Returns the pids it ended. */
  sweep(sessions: readonly string[] | "all"): Promise<number[]>;
  /** Stops all that were started here. */
  close(): Promise<void>;
}

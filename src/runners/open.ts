import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { AgentBackend } from "../agents/backend.ts";
import { acpBackend } from "../agents/backends/acp.ts";
import { commandBackend } from "../agents/backends/command.ts";
import { modelBackend } from "../agents/backends/model.ts";
import type { Artifacts } from "../artifacts/artifact.ts";
import { openProcesses } from "../processes/open.ts";
import type { Processes } from "../processes/process.ts";
import { readIfThere, writeSecretFile } from "../secret-file.ts";
import { openWorkspaces } from "../workspaces/open.ts";
import { toolFolders } from "../workspaces/tools.ts";
import type { Workspaces } from "../workspaces/workspace.ts";
import type { RunnerTools } from "./attempt.ts";

/** What a server and a runner process need of this machine: processes, clones and the ways to speak to agents. */
export interface Machine {
  processes: Processes;
  workspaces: Workspaces;
  backends: ReadonlyMap<string, AgentBackend>;
  /** What attempts here may use. */
  tools(artifacts: Artifacts): RunnerTools;
}

export interface MachineOptions {
  /** $TUTTI_HOME, without links in it: the sandbox hides and shows places by their real names. */
  home: string;
  /** Marks our processes in /proc. */
  instance: string;
  /** How process trees are ended, forced for tests. */
  processes: "bubblewrap" | "unshare" | "group" | null;
  path: string;
  userHome: string;
  environment: Record<string, string>;
  now(): number;
}

/** Opens this machine for one home, and ends what an earlier life with this mark has left. Throws whatever its parts throw. */
export async function openMachine(options: MachineOptions): Promise<Machine> {
  const { home, instance, path, userHome, environment, now } = options;
  const processes = await openProcesses({ tuttiHome: home, instance, force: options.processes, path });
  await processes.sweep("all");
  const workspaces = await openWorkspaces({
    home,
    path,
    sandbox: processes.abilities.kind === "bubblewrap" ? "bubblewrap" : "none",
    now,
    personHome: userHome,
  });
  const backends = new Map<string, AgentBackend>([acpBackend, commandBackend, modelBackend].map((backend) => [backend.kind, backend]));
  const readable = toolFolders(path);
  return {
    processes,
    workspaces,
    backends,
    tools: (artifacts) => ({ workspaces, processes, artifacts, backends, home, personHome: userHome, environment, readable, now }),
  };
}

/** The id of a home's runner. */
export const runnerOf = (instance: string): string => `runner-${instance}`;

/** The home's own id, made once: it marks this home's processes and holds its leases from start to start. */
export async function homeId(home: string): Promise<string> {
  const path = join(home, "id");
  const kept = (await readIfThere(path))?.trim();
  if (kept !== undefined && /^[a-z0-9-]{8,64}$/.test(kept)) return kept;
  const made = randomUUID();
  await writeSecretFile(path, `${made}\n`);
  return made;
}

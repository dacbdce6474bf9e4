// A session for a backend under test, with real folders and really started processes: what a runner gives, without the runner.
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openProcesses } from "../../src/processes/open.ts";
import type { ProcessAbilities, RunningProcess, StartOptions } from "../../src/processes/process.ts";
import type { Agent, AgentSettings } from "../../src/agents/agent.ts";
import type { SessionSpec } from "../../src/agents/backend.ts";
import { environmentOf, processesWith } from "./processes.ts";

const repository = dirname(dirname(import.meta.dirname));

export interface AgentBench {
  cwd: string;
  home: string;
  /** Every process that was started, with what it was started with. */
  started: { options: Pick<StartOptions, "argv" | "env" | "stdin" | "readable">; process: RunningProcess }[];
  spec(changed?: Partial<SessionSpec>): SessionSpec;
  /** The living processes of the session. */
  pids(): number[];
  /** Their environments, one list of NAME=value each. */
  environments(): string[][];
  /** Ends what is left and removes the folders. */
  close(): Promise<void>;
}

/** PATH of the person who runs the tests, without the project's own packages: as the server gives it to agents. */
export const personPath = (): string =>
  (process.env.PATH ?? "/usr/bin:/bin")
    .split(":")
    .filter((folder) => !folder.includes("node_modules"))
    .join(":");

export const agentWith = (backend: Agent["backend"], settings: Partial<AgentSettings>): Agent => ({
  name: "tested",
  backend,
  state: "queued",
  reason: "idle",
  role: null,
  skills: [],
  limit: 1,
  active: 0,
  demo: false,
  settings: { env: {}, credentials: "none", permissions: "auto", ...settings },
  detection: { state: "ready", version: null, path: null, message: null, fix: null },
});

export async function makeAgentBench(
  agent: Agent,
  {
    force = null,
    broker = null,
    env = {},
  }: { force?: ProcessAbilities["kind"] | null; broker?: SessionSpec["broker"]; env?: Record<string, string> } = {},
): Promise<AgentBench> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "tutti-agent-")));
  const tuttiHome = join(root, "tutti");
  const [cwd, home] = [join(tuttiHome, "work"), join(tuttiHome, "home")];
  for (const folder of [cwd, home]) mkdirSync(folder, { recursive: true });
  const path = personPath();
  const session = randomUUID();
  const processes = await openProcesses({ tuttiHome, instance: randomUUID(), force, path });
  const sandbox = { tuttiHome, writable: [cwd, home], readable: [repository], hidden: [], network: true };
  const started: AgentBench["started"] = [];
  const mark = `TUTTI_SESSION=${session}`;
  return {
    cwd,
    home,
    started,
    spec: (changed = {}) => ({
      sessionId: session,
      agent,
      cwd,
      home,
      env: { PATH: path, HOME: home, LANG: "C.UTF-8", ...env },
      broker,
      vendorSession: null,
      past: [],
      permissions: "auto",
      start(options) {
        const running = processes.start({ ...options, cwd, session, sandbox: processes.abilities.sandbox ? sandbox : null });
        started.push({ options, process: running });
        return running;
      },
      ...changed,
    }),
    pids: () => processesWith(mark),
    environments: () => processesWith(mark).map(environmentOf),
    async close() {
      await processes.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

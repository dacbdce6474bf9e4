import { randomUUID } from "node:crypto";
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openProcesses } from "../../src/processes/open.ts";
import type { Processes } from "../../src/processes/process.ts";
import type { Agent } from "../../src/agents/agent.ts";
import type { BrokerAccess } from "../../src/models/model.ts";
import type { Target } from "../../src/models/provider.ts";
import type { AgentBackend, AgentConnection, AgentEvent, Outcome, SessionSpec } from "../../src/agents/backend.ts";

/** For tests: a folder with a working copy and a home, and sessions in it whose tools stand in a real sandbox. */
export interface Bench {
  cwd: string;
  home: string;
  /** Its own in all tests, so that its processes can be told apart. */
  session: string;
  /** Stands for $TUTTI_HOME: hidden in the sandbox. */
  tuttiHome: string;
  processes: Processes;
  spec: (changed?: Partial<SessionSpec> & { settings?: Partial<Agent["settings"]> }) => SessionSpec;
  write: (files: Record<string, string>) => Promise<void>;
  copy: (folder: string) => Promise<void>;
  close: () => Promise<void>;
}

export async function makeBench(): Promise<Bench> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "tutti-model-")));
  const tuttiHome = join(root, "tutti");
  const session = `S-${randomUUID()}`;
  const cwd = join(tuttiHome, "sessions", session, "work");
  const home = join(tuttiHome, "sessions", session, "home");
  await mkdir(cwd, { recursive: true });
  await mkdir(home, { recursive: true });
  // Without the folders of Tutti's own packages, as the server gives it: whatever Node the machine has runs the samples.
  const path = (process.env.PATH ?? "")
    .split(":")
    .filter((folder) => !folder.includes("node_modules"))
    .join(":");
  const processes = await openProcesses({ tuttiHome, instance: randomUUID(), path });
  const sandbox = { tuttiHome, writable: [cwd, home], readable: [], hidden: [], network: true };
  return {
    cwd,
    home,
    session,
    tuttiHome,
    processes,
    spec: ({ settings, ...changed } = {}) => ({
      sessionId: session,
      agent: agentWith(settings ?? { provider: "demo" }),
      cwd,
      home,
      env: { PATH: path, HOME: home },
      broker: null,
      vendorSession: null,
      past: [],
      permissions: "auto",
      start: (options) => processes.start({ ...options, cwd, session, sandbox: processes.abilities.sandbox ? sandbox : null }),
      ...changed,
    }),
    async write(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(cwd, name)), { recursive: true });
        await writeFile(join(cwd, name), text);
      }
    },
    copy: (folder) => cp(folder, cwd, { recursive: true }),
    async close() {
      await processes.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** A model at its provider, for a broker: OpenAI-compatible and with a key, unless changed. */
export const targetAt = (changed: Pick<Target, "baseUrl"> & Partial<Target>): Target => ({
  provider: "scripted",
  protocol: "openai",
  api: "chat",
  model: "the-model",
  key: null,
  ...changed,
});

/** What a session is told of its broker: one OpenAI-compatible provider, unless changed. */
export const brokerAccess = (changed: Pick<BrokerAccess, "url" | "token"> & Partial<BrokerAccess>): BrokerAccess => ({
  provider: "scripted",
  protocol: "openai",
  api: "chat",
  model: "the-model",
  fallbacks: [],
  ...changed,
});

function agentWith(settings: Partial<Agent["settings"]>): Agent {
  return {
    name: "demo",
    backend: "model",
    state: "queued",
    reason: "idle",
    role: null,
    skills: [],
    limit: 4,
    active: 0,
    demo: settings.provider === "demo",
    settings: { env: {}, credentials: "none", permissions: "auto", ...settings },
    detection: { state: "ready", version: null, path: null, message: null, fix: null },
  };
}

export interface Turn {
  events: AgentEvent[];
  outcome: Outcome;
  /** The output of a turn that is done; else the outcome in words. */
  said: string;
}

/** A whole turn. `onEvent` may answer permissions or abort. */
export async function takeTurn(
  connection: AgentConnection,
  text: string,
  {
    signal = new AbortController().signal,
    onEvent = () => undefined,
  }: { signal?: AbortSignal; onEvent?: (event: AgentEvent) => void } = {},
): Promise<Turn> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(text, signal)) {
    events.push(event);
    onEvent(event);
  }
  const last = events.at(-1);
  if (last?.kind !== "outcome") throw new Error(`the last event is ${last?.kind}, no outcome`);
  const { outcome } = last;
  return { events, outcome, said: outcome.kind === "done" ? outcome.output : JSON.stringify(outcome) };
}

/** Opens a session, takes one turn and closes it. */
export async function oneTurn(backend: AgentBackend, spec: SessionSpec, text: string): Promise<Turn> {
  const connection = await backend.open(spec, new AbortController().signal);
  try {
    return await takeTurn(connection, text);
  } finally {
    await connection.close();
  }
}

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AgentBackend } from "../agents/backend.ts";
import type { Artifacts } from "../artifacts/artifact.ts";
import { AppError } from "../errors.ts";
import type { CommandResult, Processes, SandboxPolicy, StartOptions } from "../processes/process.ts";
import { readRepositorySettings } from "../projects/repository-settings.ts";
import type { Identity, Repository, Workspace, Workspaces } from "../workspaces/workspace.ts";
import type { Assignment, AttemptOutcome, FromRunner } from "./message.ts";
import { bringWork } from "./packs.ts";
import type { TranscriptWriter } from "./transcript.ts";

/** What every attempt on this machine may use. */
export interface RunnerTools {
  workspaces: Workspaces;
  processes: Processes;
  /** Where large results go to and come from. */
  artifacts: Artifacts;
  backends: ReadonlyMap<string, AgentBackend>;
  /** $TUTTI_HOME. */
  home: string;
  /** The person's own home, of which an agent with the vendor's login sees that login. */
  personHome: string;
  /** The part of the server's environment that every sandboxed process gets (PATH, language, time zone): an allow-list. */
  environment: Record<string, string>;
  /** Folders of tools that lie in a hidden place (a Node in somebody's home), shown read-only. */
  readable: string[];
  now(): number;
}

type Fields<Kind extends FromRunner["kind"]> = Omit<
  Extract<FromRunner, { kind: Kind }>,
  "kind" | "runner" | "runnerEpoch" | "task" | "attempt" | "session" | "number"
>;

/** One attempt as its parts see it. */
export interface Attempt {
  assignment: Assignment;
  tools: RunnerTools;
  repository: Repository;
  /** Aborts with an AttemptStop. */
  signal: AbortSignal;
  /** Throws AttemptStop("over") when the server no longer takes this attempt's word. */
  tell<Kind extends FromRunner["kind"]>(kind: Kind, fields: Fields<Kind>): Promise<void>;
  /** Live text for whoever is looking; may get lost. */
  hint(delta: Fields<"delta">): void;
  /** The answers of people to this attempt's permission questions. */
  onAnswer(handler: (permission: string, option: string | null) => void): void;
}

/** Opens the session's clone, new or as it was left. Throws AppError. */
export async function openWorkspace(attempt: Attempt, base: string | null, includeDirty: boolean): Promise<Workspace> {
  const { tools, assignment, repository } = attempt;
  if (assignment.project.sandbox === "default" && !tools.processes.abilities.sandbox) {
    throw new AppError("failed", "agents cannot be kept in a sandbox on this machine", {
      why: tools.processes.abilities.why,
      fix: ["apt-get install bubblewrap", `tutti projects update ${assignment.project.id} --sandbox none   (to run without one)`],
    });
  }
  await tools.workspaces.refresh(repository);
  const goesOn = assignment.goesOn ?? null;
  await bringWork(attempt, goesOn ? [goesOn.commit, goesOn.base] : [base]);
  return await tools.workspaces.open({
    repository,
    session: assignment.session,
    branch: assignment.branch,
    base,
    includeDirty,
    goesOn,
    sandboxed: assignment.project.sandbox === "default",
  });
}

/** The project's set-up command, once in each clone. Throws AppError failed with the command's last lines. */
export async function setUp(attempt: Attempt, workspace: Workspace, transcript: TranscriptWriter | null): Promise<void> {
  // Beside the clone, where the agent cannot write: a set-up that was cut short by a crash runs again.
  const done = join(dirname(workspace.path), "set-up-done");
  if (existsSync(done)) return;
  const { tools, repository, assignment } = attempt;
  const at = { repository, commit: workspace.base };
  const setup =
    assignment.project.setup ??
    readRepositorySettings({
      tuttiYaml: await tools.workspaces.readFile({ ...at, path: "tutti.yaml" }),
      paseoJson: await tools.workspaces.readFile({ ...at, path: "paseo.json" }),
    }).setup;
  if (!setup) return;
  const result = await runInClone(attempt, workspace, ["sh", "-c", setup], {});
  transcript?.add({ kind: "setup", text: result.output, state: result.exit.code === 0 ? "done" : "failed" });
  if (result.exit.code !== 0) {
    throw new AppError("failed", "the project's set-up command failed", {
      why: lastLines(result.output),
      fix: ["run it by hand in a fresh clone"],
    });
  }
  await writeFile(done, "");
}

/** Runs a command in the session's clone and sandbox, to its end. */
export async function runInClone(
  attempt: Attempt,
  workspace: Workspace,
  argv: string[],
  env: Record<string, string>,
): Promise<CommandResult> {
  const start = inClone(attempt, workspace, argv, env);
  return await attempt.tools.processes.run({ ...start, stdin: "ignore", timeoutMs: commandTimeoutMs }, attempt.signal);
}

export const commandTimeoutMs = 60 * 60_000;

/** How a command is started in the session's clone and sandbox. */
export const inClone = (
  attempt: Attempt,
  workspace: Workspace,
  argv: string[],
  env: Record<string, string>,
): Omit<StartOptions, "stdin"> => ({
  argv,
  cwd: workspace.path,
  env: { ...environmentOf(attempt, workspace), ...env },
  session: attempt.assignment.session,
  sandbox: policyOf(attempt, workspace),
});

/** Beside the clone, so that nothing of it becomes a part of the work; there is none when the work is given no large results. */
export const inputsFolder = (workspace: Workspace): string => join(dirname(workspace.path), "inputs");

/** null only where the project says `sandbox: none`. */
export function policyOf({ tools, repository, assignment }: Attempt, workspace: Workspace): SandboxPolicy | null {
  if (assignment.project.sandbox === "none") return null;
  return {
    tuttiHome: tools.home,
    writable: [workspace.path, workspace.home],
    readable: [...tools.workspaces.readable(repository), ...tools.readable, inputsFolder(workspace)],
    // The person's own checkout lies outside of every hidden place when it is not in a home: agents have their clone.
    hidden: [repository.source],
    network: true,
  };
}

/** The whole environment of the session's processes: nothing of the server's own beyond the allow-list, and no key. */
export function environmentOf({ tools, assignment }: Attempt, workspace: Workspace): Record<string, string> {
  return {
    ...tools.environment,
    HOME: workspace.home,
    TMPDIR: "/tmp",
    GIT_TERMINAL_PROMPT: "0",
    ...(assignment.access ? { TUTTI_URL: assignment.access.url, TUTTI_TOKEN: assignment.access.token } : {}),
  };
}

export async function identities(attempt: Attempt): Promise<{ author: Identity; committer: Identity }> {
  const author = await attempt.tools.workspaces.author(attempt.repository);
  const name = attempt.assignment.agent?.name ?? "tutti";
  return { author, committer: { name: `Tutti (${name})`, email: "tutti@localhost" } };
}

export function lastLines(output: string, count = 20): string {
  return output.trimEnd().split("\n").slice(-count).join("\n").slice(-4000);
}

export const failed = (
  reason: Extract<AttemptOutcome, { kind: "failed" }>["reason"],
  message: string,
  work: { commit: string | null; base: string | null; files: string[] } = { commit: null, base: null, files: [] },
  retryable = false,
): AttemptOutcome => ({ kind: "failed", reason, message, retryable, ...work });

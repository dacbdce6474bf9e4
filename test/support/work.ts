import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NewAgent } from "../../src/agents/agent.ts";
import type { ProjectSettings } from "../../src/projects/project.ts";
import { isTerminal, type Task, type TaskDetails } from "../../src/tasks/task.ts";
import { git, until, type Tutti } from "./tutti.ts";

/** Work for a real server, for tests that look at what agents and commands can do there. */

/** The prompt is a shell script, and the agent runs it. */
export const shellAgent = "shell";

export const addAgent = (tutti: Tutti, name: string, settings: Partial<NewAgent["settings"]> = {}) =>
  tutti.client.command("agent.create", {
    name,
    backend: "command",
    limit: 20,
    settings: { command: ["/bin/sh"], ...settings },
  });

export async function addProject(tutti: Tutti, folder: string, settings: Partial<ProjectSettings> = {}): Promise<string> {
  return (await tutti.client.command("project.create", { folder, settings: { limit: 20, ...settings } })).id;
}

/** Queues a script for the shell agent (or a prompt for another one). */
export const give = (
  tutti: Tutti,
  project: string,
  prompt: string,
  more: { agent?: string; check?: { run: string }; env?: Record<string, string> } = {},
): Promise<Task> => tutti.client.command("task.create", { project, prompt, agent: shellAgent, ...more });

/** Waits until a task is over, however it ended. */
export const finished = (tutti: Tutti, id: string): Promise<TaskDetails> =>
  until(`task ${id} to end`, async () => {
    const task = await tutti.client.query("task.get", { id });
    return isTerminal(task.state) && task;
  });

/** Waits until a task that must succeed has. */
export async function done(tutti: Tutti, id: string): Promise<TaskDetails> {
  const task = await finished(tutti, id);
  if (task.state !== "done") throw new Error(`task ${id} is ${task.state}: ${task.reason}: ${task.message}\n${tutti.output()}`);
  return task;
}

/** The text of a file in the clone of a task that is at work, as soon as it is there. */
export async function fileOfRunning(tutti: Tutti, id: string, name: string): Promise<{ text: string; work: string; session: string }> {
  return await until(`${name} of task ${id}`, async () => {
    const task = await tutti.client.query("task.get", { id });
    if (isTerminal(task.state)) throw new Error(`task ${id} is ${task.state}: ${task.message}`);
    if (task.session === null) return null;
    const work = join(tutti.home, "sessions", task.session, "work");
    const text = readOr(join(work, name));
    return text !== null && { text, work, session: task.session };
  });
}

export function readOr(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // not there yet
  }
}

export const mirrorOf = (tutti: Tutti, project: string): string => join(tutti.home, "repositories", `${project}.git`);

/** A file as it stands in a commit of the mirror. */
export const fileIn = (tutti: Tutti, project: string, commit: string | null | undefined, path: string): string =>
  git(mirrorOf(tutti, project), "show", `${commit}:${path}`);

/** Everything of one kind that a session's transcript holds. */
export async function transcriptOf(tutti: Tutti, session: string | null, kind: string): Promise<string> {
  const { items } = await tutti.client.query("session.transcript", { id: session ?? "", limit: 500 });
  return items
    .filter((entry) => entry.kind === kind)
    .map((entry) => entry.text)
    .join("\n");
}

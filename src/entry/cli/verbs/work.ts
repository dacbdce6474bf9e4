import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { invalidInput } from "../../../errors.ts";
import { isTerminal } from "../../../tasks/task.ts";
import { connect } from "../connect.ts";
import type { RunOptions } from "../grammar/work.ts";
import { idOf, number, wholeNumber } from "../options.ts";
import { count, note, oneLine, print, printJson, stateText } from "../output.ts";
import { lastPosition } from "../watch.ts";
import { attend, finishTask } from "./attend.ts";

const isRun = (id: string): boolean => /^R-/i.test(id);

/** Throws AppError for what cannot be begun, and when the task did not end well. */
export async function run(prompt: string, options: RunOptions, json: boolean): Promise<void> {
  if (prompt.trim() === "") throw invalidInput("the prompt is empty", "it says what to do", ['tutti run "fix the failing test"']);
  const retry = wholeNumber("--retry", options.retry);
  const minutes = options.minutes === undefined ? undefined : number("--minutes", options.minutes, 0.01);
  const { client } = await connect();
  const project = await client.command("project.create", { folder: resolve(options.project) });
  const task = await client.command(
    "task.create",
    {
      project: project.id,
      prompt,
      agent: options.agent,
      check: options.check ? { run: options.check, retry } : undefined,
      minutes,
      includeDirty: options.includeDirty ?? false,
    },
    { key: options.key ?? randomUUID() },
  );
  if (options.detach) {
    note(`in ${project.id}    tutti logs -f ${task.id}    tutti stop ${task.id}`);
    if (json) printJson(task);
    else print(task.id);
    return;
  }
  note(`${task.id}  in ${project.id}    ctrl-c leaves it running    tutti logs -f ${task.id}`);
  await finishTask(client, task.id, { json, untilAsked: !options.waitApproval });
}

export async function answer(id: string, text: string, options: { comment?: string }, json: boolean): Promise<void> {
  const { client } = await connect();
  const shown = await client.query("approval.get", { id: idOf(id) });
  // The hash of what was looked at goes along: if the question is about something else by now, nothing is answered.
  const approval = await client.command(
    "approval.answer",
    { id: shown.id, answer: text, hash: shown.hash, ...options },
    { key: randomUUID() },
  );
  if (json) printJson(approval);
  else print(`${approval.id} answered: ${oneLine(approval.answer ?? "")}    tutti show ${approval.task ?? approval.run ?? approval.id}`);
}

/** To a question or to a finished task's agent (T-1). */
export async function reply(id: string, text: string, json: boolean): Promise<void> {
  if (/^A-/i.test(id)) return await answer(id, text, {}, json);
  const { client } = await connect();
  const task = idOf(id);
  const after = await lastPosition(client, { task });
  await client.command("task.reply", { id: task, text }, { key: randomUUID() });
  await finishTask(client, task, { json, after });
}

export async function merge(id: string, options: { into?: string; check?: string }, json: boolean): Promise<void> {
  const { client } = await connect();
  const task = await client.command("task.merge", { id: idOf(id), ...options }, { key: randomUUID() });
  await finishTask(client, task.id, { json });
}

export async function retry(id: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const result = await client.command(isRun(id) ? "run.retry" : "task.retry", { id: idOf(id) }, { key: randomUUID() });
  if (json) printJson(result);
  else print(`${result.id} ${stateText(result.state, result.reason)}    ${isRun(id) ? "tutti show" : "tutti logs -f"} ${result.id}`);
}

/** One task or run, or all; waits until what it stops has ended. */
export async function stop(id: string | undefined, options: { all?: boolean }, json: boolean): Promise<void> {
  if ((options.all === true) === (id !== undefined)) {
    throw invalidInput("name one task or run, or say --all", undefined, ["tutti stop T-1", "tutti stop --all"]);
  }
  const { client } = await connect();
  if (id === undefined) {
    const stopped = await client.command("task.stop-all", {}, { key: randomUUID() });
    if (json) printJson(stopped);
    else print(`stopping ${count(stopped.tasks, "task")} and ${count(stopped.runs, "run")}`);
    return;
  }
  const what = isRun(id) ? { run: idOf(id) } : { task: idOf(id) };
  const after = await lastPosition(client, what);
  const name = isRun(id) ? "run.stop" : "task.stop";
  const result = await client.command(name, { id: idOf(id) }, { key: randomUUID() });
  if (!isTerminal(result.state)) await attend(client, what, { after });
  const ended = isRun(id) ? await client.query("run.get", { id: result.id }) : await client.query("task.get", { id: result.id });
  const already = isTerminal(result.state) ? " already" : "";
  if (json) printJson(ended);
  else print(`${result.id} ${stateText(ended.state, ended.reason)}${already}`);
}

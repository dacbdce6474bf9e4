import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Command } from "commander";
import { invalidInput } from "../../../errors.ts";
import { isTerminal } from "../../../tasks/task.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { idOf, number, wantsJson, wholeNumber } from "../options.ts";
import { count, note, oneLine, print, stateText } from "../output.ts";
import { lastPosition } from "../watch.ts";
import { attend, finishTask } from "./attend.ts";

/** Making and steering work: run, merge, approve, deny, reply, stop, retry. */
export function addWorkVerbs(program: Command): void {
  program
    .command("run")
    .description("give an agent a task in this folder's repository; its work becomes a branch")
    .argument("<prompt...>", "what to do")
    .option("--agent <name>", "this agent; otherwise the one that fits best")
    .option("--project <folder>", "the repository", ".")
    .option("--check <command>", "a command that must pass, e.g. 'npm test'")
    .option("--retry <n>", "how often the agent may try again when the check fails", "1")
    .option("--minutes <n>", "wall time for one attempt")
    .option("--include-dirty", "start from the uncommitted work too")
    .option("--detach", "do not wait; print the task's id")
    .option("--no-wait-approval", "end with exit code 6 when a person has to decide something")
    .option("--key <key>", "idempotency key: the same key makes the same task")
    .action(
      async (prompt: string[], options: RunOptions, command: Command) =>
        await run(await connect(), prompt.join(" "), options, wantsJson(command)),
    );
  program
    .command("merge")
    .description("merge a finished task's change into a branch of your repository")
    .argument("<task>")
    .option("--into <branch>", "the branch; otherwise the project's base branch")
    .option("--check <command>", "must pass on the merged tree first")
    .action(async (id: string, options: { into?: string; check?: string }, command: Command) => {
      const client = await connect();
      const task = await client.command("task.merge", { id: idOf(id), ...options }, { key: randomUUID() });
      await finishTask(client, task.id, { json: wantsJson(command) });
    });
  program
    .command("approve")
    .description("say yes to a question, or to what an agent wants to do")
    .argument("<approval>")
    .option("--comment <text>")
    .action(async (id: string, options: { comment?: string }, command: Command) => await answer(id, "yes", options, wantsJson(command)));
  program
    .command("deny")
    .description("say no")
    .argument("<approval>")
    .option("--comment <text>")
    .action(async (id: string, options: { comment?: string }, command: Command) => await answer(id, "no", options, wantsJson(command)));
  program
    .command("reply")
    .description("answer a question in words, or say something more to a finished task's agent")
    .argument("<id>", "A-1 or T-1")
    .argument("<text...>")
    .action(async (id: string, words: string[], _options: unknown, command: Command) => {
      const text = words.join(" ");
      if (/^A-/i.test(id)) return await answer(id, text, {}, wantsJson(command));
      return await reply(await connect(), idOf(id), text, wantsJson(command));
    });
  program
    .command("stop")
    .description("stop a task or a run, or everything with --all")
    .argument("[id]", "T-1 or R-1")
    .option("--all", "every task and run that has not ended")
    .action(async (id: string | undefined, options: { all?: boolean }, command: Command) => await stop(id, options, wantsJson(command)));
  program
    .command("retry")
    .description("another attempt for a failed or stopped task or run")
    .argument("<id>", "T-1 or R-1")
    .action(async (id: string, _options: unknown, command: Command) => {
      const client = await connect();
      const result = await client.command(isRun(id) ? "run.retry" : "task.retry", { id: idOf(id) }, { key: randomUUID() });
      if (wantsJson(command)) print(JSON.stringify(result));
      else print(`${result.id} ${stateText(result.state, result.reason)}    ${isRun(id) ? "tutti show" : "tutti logs -f"} ${result.id}`);
    });
}

const isRun = (id: string): boolean => /^R-/i.test(id);

interface RunOptions {
  agent?: string;
  project: string;
  check?: string;
  retry: string;
  minutes?: string;
  includeDirty?: boolean;
  detach?: boolean;
  waitApproval: boolean;
  key?: string;
}

async function run(client: TuttiClient, prompt: string, options: RunOptions, json: boolean): Promise<void> {
  if (prompt.trim() === "") throw invalidInput("the prompt is empty", "it says what to do", ['tutti run "fix the failing test"']);
  const retry = wholeNumber("--retry", options.retry);
  const minutes = options.minutes === undefined ? undefined : number("--minutes", options.minutes, 0.01);
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
    print(json ? JSON.stringify(task) : task.id);
    return;
  }
  note(`${task.id}  in ${project.id}    ctrl-c leaves it running    tutti logs -f ${task.id}`);
  await finishTask(client, task.id, { json, untilAsked: !options.waitApproval });
}

async function answer(id: string, text: string, options: { comment?: string }, json: boolean): Promise<void> {
  const client = await connect();
  const shown = await client.query("approval.get", { id: idOf(id) });
  // The hash of what was looked at goes along: if the question is about something else by now, nothing is answered.
  const approval = await client.command(
    "approval.answer",
    { id: shown.id, answer: text, hash: shown.hash, ...options },
    { key: randomUUID() },
  );
  if (json) print(JSON.stringify(approval));
  else print(`${approval.id} answered: ${oneLine(approval.answer ?? "")}    tutti show ${approval.task ?? approval.run ?? approval.id}`);
}

async function reply(client: TuttiClient, id: string, text: string, json: boolean): Promise<void> {
  const after = await lastPosition(client, { task: id });
  await client.command("task.reply", { id, text }, { key: randomUUID() });
  await finishTask(client, id, { json, after });
}

async function stop(id: string | undefined, options: { all?: boolean }, json: boolean): Promise<void> {
  if ((options.all === true) === (id !== undefined)) {
    throw invalidInput("name one task or run, or say --all", undefined, ["tutti stop T-1", "tutti stop --all"]);
  }
  const client = await connect();
  if (id === undefined) {
    const stopped = await client.command("task.stop-all", {}, { key: randomUUID() });
    print(json ? JSON.stringify(stopped) : `stopping ${count(stopped.tasks, "task")} and ${count(stopped.runs, "run")}`);
    return;
  }
  const what = isRun(id) ? { run: idOf(id) } : { task: idOf(id) };
  const after = await lastPosition(client, what);
  const name = isRun(id) ? "run.stop" : "task.stop";
  const result = await client.command(name, { id: idOf(id) }, { key: randomUUID() });
  if (!isTerminal(result.state)) await attend(client, what, { after });
  const ended = isRun(id) ? await client.query("run.get", { id: result.id }) : await client.query("task.get", { id: result.id });
  const already = isTerminal(result.state) ? " already" : "";
  print(json ? JSON.stringify(ended) : `${result.id} ${stateText(ended.state, ended.reason)}${already}`);
}

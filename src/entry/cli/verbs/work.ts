import { randomUUID } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { existsSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { AppError, conflict, invalidInput, notFound } from "../../../errors.ts";
import { compileFlow } from "../../../flows/compile.ts";
import { lintText } from "../../../flows/lint.ts";
import type { State } from "../../../tasks/task.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { note, oneLine, print, stateText } from "../output.ts";
import { wantsJson } from "../program.ts";
import { describe, watch } from "../watch.ts";

/** Making and steering work: run, flow, merge, approve, deny, reply, stop, retry. */
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
    .option("--key <key>", "idempotency key: the same key makes the same task")
    .action(
      async (prompt: string[], options: RunOptions, command: Command) =>
        await run(await connect(), prompt.join(" "), options, wantsJson(command)),
    );
  const flow = program.command("flow").description("check and run flows");
  flow
    .command("lint")
    .description("every mistake with file, line and column; exit code 5 when there are any")
    .argument("<file>")
    .action((file: string, _options: unknown, command: Command) => lint(file, wantsJson(command)));
  flow
    .command("run")
    .description("run a flow in this folder's repository")
    .argument("<file>")
    .option("--project <folder>", "the repository", ".")
    .option("--input <name=value>", "an input of the flow; repeatable", collect, [])
    .option("--agent <name=agent>", "an agent that stands in for a name in the flow; repeatable", collect, [])
    .option("--detach", "do not wait; print the run's id")
    .option("--key <key>", "idempotency key")
    .action(
      async (file: string, options: FlowOptions, command: Command) => await runFlow(await connect(), file, options, wantsJson(command)),
    );
  program
    .command("merge")
    .description("merge a finished task's change into a branch of your repository")
    .argument("<task>")
    .option("--into <branch>", "the branch; otherwise the project's base branch")
    .option("--check <command>", "must pass on the merged tree first")
    .action(async (id: string, options: { into?: string; check?: string }, command: Command) => {
      const client = await connect();
      const task = await client.command("task.merge", { id, ...options }, { key: randomUUID() });
      await finish(client, task.id, wantsJson(command));
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
      const client = await connect();
      await client.command("task.reply", { id: id.toUpperCase(), text }, { key: randomUUID() });
      return await finish(client, id.toUpperCase(), wantsJson(command));
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
      const name = /^R-/i.test(id) ? "run.retry" : "task.retry";
      const result = await client.command(name, { id: id.toUpperCase() }, { key: randomUUID() });
      if (wantsJson(command)) print(JSON.stringify(result));
      else print(`${result.id} ${stateText(result.state, result.reason)}`);
    });
}

const collect = (value: string, all: string[]): string[] => [...all, value];

interface RunOptions {
  agent?: string;
  project: string;
  check?: string;
  retry: string;
  minutes?: string;
  includeDirty?: boolean;
  detach?: boolean;
  key?: string;
}

async function run(client: TuttiClient, prompt: string, options: RunOptions, json: boolean): Promise<void> {
  const project = await client.command("project.create", { folder: resolve(options.project) });
  const task = await client.command(
    "task.create",
    {
      project: project.id,
      prompt,
      agent: options.agent,
      check: options.check ? { run: options.check, retry: number("--retry", options.retry) } : undefined,
      minutes: options.minutes ? number("--minutes", options.minutes) : undefined,
      includeDirty: options.includeDirty ?? false,
    },
    { key: options.key ?? randomUUID() },
  );
  note(`${task.id}  in ${project.id}    leave with ctrl-c: it goes on; tutti logs -f ${task.id}`);
  if (options.detach) {
    print(json ? JSON.stringify(task) : task.id);
    return;
  }
  await finish(client, task.id, json);
}

/** Waits for a task and says in the last line where its result is. Sets the exit code. */
async function finish(client: TuttiClient, id: string, json: boolean): Promise<void> {
  await watch(client, { task: id }, { onEvent: (event) => show(describe(event)) });
  const task = await client.query("task.get", { id });
  process.exitCode = exitCodeOf(task.state);
  if (json) {
    print(JSON.stringify(task));
    return;
  }
  if (task.state !== "done") {
    throw new AppError(
      task.reason === "merge conflict" ? "conflict" : task.reason === "check failed" ? "check_failed" : "failed",
      `${id} ${task.state}${task.reason ? `: ${task.reason}` : ""}`,
      {
        why: task.message ?? undefined,
        fix: [`tutti logs ${id}`, `tutti retry ${id}`],
      },
    );
  }
  const session = task.session ? await client.query("session.get", { id: task.session }) : null;
  if (session && session.notIncluded.length > 0) {
    note(`not included (uncommitted in your folder): ${session.notIncluded.slice(0, 5).map(oneLine).join(", ")}`);
  }
  if (task.kind === "agent" && task.result?.output) note(oneLine(String(task.result.output)).slice(0, 400));
  if (task.result?.note) note(task.result.note);
  if (task.result?.branch) print(`${task.kind === "merge" ? "merged into" : "branch"} ${task.result.branch}`);
  else print(`${id} done, nothing was changed`);
}

const exitCodeOf = (state: State): number => (state === "done" ? 0 : state === "needs you" ? 6 : 1);

function show(line: string | null): void {
  if (line !== null) note(line);
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw invalidInput(`${name} must be a number`, `it is "${text}"`);
}

interface FlowOptions {
  project: string;
  input: string[];
  agent: string[];
  detach?: boolean;
  key?: string;
}

/** The flow's text and every file that it names, read relative to it. */
export function readFlow(file: string): { source: string; file: string; files: Record<string, string> } {
  if (!existsSync(file)) throw notFound("flow file", file, ["tutti flow run <file.yaml>"]);
  const files: Record<string, string> = {};
  const source = readFileSync(file, "utf8");
  compileFlow(source, {
    file: basename(file),
    readFile(path) {
      const text = readBeside(file, path);
      if (text !== null) files[path] = text;
      return text;
    },
  });
  return { source, file: basename(file), files };
}

function readBeside(file: string, path: string): string | null {
  const whole = join(dirname(file), path);
  return existsSync(whole) ? readFileSync(whole, "utf8") : null;
}

function lint(file: string, json: boolean): void {
  if (!existsSync(file)) throw notFound("flow file", file);
  const { problems } = compileFlow(readFileSync(file, "utf8"), { file, readFile: (path) => readBeside(file, path) });
  if (json) print(JSON.stringify({ ok: problems.length === 0, problems }));
  else print(problems.length === 0 ? `${file}: no mistakes` : lintText(problems));
  if (problems.length > 0) process.exitCode = 5;
}

async function runFlow(client: TuttiClient, file: string, options: FlowOptions, json: boolean): Promise<void> {
  const flow = readFlow(file);
  const project = await client.command("project.create", { folder: resolve(options.project) });
  const agents = Object.fromEntries(pairs("--agent", options.agent));
  const inputs = Object.fromEntries(pairs("--input", options.input).map(([name, value]) => [name, valueOf(value)]));
  const run = await client.command("run.create", { project: project.id, ...flow, inputs, agents }, { key: options.key ?? randomUUID() });
  note(`${run.id}  ${run.flow} in ${project.id}    leave with ctrl-c: it goes on; tutti show ${run.id}`);
  if (options.detach) {
    print(json ? JSON.stringify(run) : run.id);
    return;
  }
  const end = await watch(client, { run: run.id }, { untilAsked: true, onEvent: (event) => show(describe(event)) });
  process.exitCode = exitCodeOf(end.state);
  if (json) {
    print(
      JSON.stringify({
        ...(await client.query("run.get", { id: run.id })),
        steps: (await client.query("run.steps", { id: run.id, limit: 500 })).items,
      }),
    );
    return;
  }
  if (end.state === "needs you") {
    const open = (await client.query("approval.list", { state: "open", run: run.id })).items;
    for (const approval of open) print(`${approval.id}  ${oneLine(approval.question)}    tutti approve ${approval.id}`);
    return;
  }
  print(`${run.id} ${stateText(end.state, end.reason)}`);
}

function pairs(name: string, texts: string[]): [string, string][] {
  return texts.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw invalidInput(`${name} must be name=value`, `it is "${text}"`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

/** Numbers, true, false, lists and objects as JSON; everything else is text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function answer(id: string, text: string, options: { comment?: string }, json: boolean): Promise<void> {
  const client = await connect();
  const shown = await client.query("approval.get", { id: id.toUpperCase() });
  // The hash of what was looked at goes along: if the question is about something else by now, nothing is answered.
  const approval = await client.command(
    "approval.answer",
    { id: shown.id, answer: text, hash: shown.hash, ...options },
    { key: randomUUID() },
  );
  if (json) print(JSON.stringify(approval));
  else print(`${approval.id} answered: ${approval.answer}`);
}

async function stop(id: string | undefined, options: { all?: boolean }, json: boolean): Promise<void> {
  if (options.all === (id !== undefined))
    throw conflict("name one task or run, or say --all", undefined, ["tutti stop T-1", "tutti stop --all"]);
  const client = await connect();
  if (options.all) {
    const stopped = await client.command("task.stop-all", {}, { key: randomUUID() });
    print(json ? JSON.stringify(stopped) : `stopping ${stopped.tasks} tasks and ${stopped.runs} runs`);
    return;
  }
  const name = /^R-/i.test(id ?? "") ? "run.stop" : "task.stop";
  const result = await client.command(name, { id: (id ?? "").toUpperCase() }, { key: randomUUID() });
  if (name === "run.stop") await watch(client, { run: result.id }, { onEvent: (event) => show(describe(event)) });
  else await watch(client, { task: result.id }, { onEvent: (event) => show(describe(event)) });
  const ended = name === "run.stop" ? await client.query("run.get", { id: result.id }) : await client.query("task.get", { id: result.id });
  print(json ? JSON.stringify(ended) : `${result.id} ${stateText(ended.state, ended.reason)}`);
}

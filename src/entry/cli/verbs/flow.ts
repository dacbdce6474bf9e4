import { randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AppError, invalidInput, notFound } from "../../../errors.ts";
import { compileFlow } from "../../../flows/compile.ts";
import { lintText } from "../../../flows/lint.ts";
import { connect, type TuttiClient } from "../connect.ts";
import type { FlowOptions } from "../grammar/work.ts";
import { pairs } from "../options.ts";
import { note, oneLine, plain, print, printJson, stateText } from "../output.ts";
import { attend } from "./attend.ts";

/** Throws AppError not_found, or invalid_input for what is no file. */
function readFlowFile(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) throw notFound("flow file", file, ["tutti flow run <file.yaml>"]);
  if (!found.isFile()) throw invalidInput(`${file} is no file`, "a flow is one YAML file");
  return readFileSync(file, "utf8");
}

/** null when it is not there, or no file: the flow's reader says so with its place. */
function readBeside(file: string, path: string): string | null {
  const whole = join(dirname(file), path);
  return statSync(whole, { throwIfNoEntry: false })?.isFile() ? readFileSync(whole, "utf8") : null;
}

/** The flow's text and every file that it names, read relative to it. Throws AppError with every mistake in it. */
export function readFlow(file: string): { source: string; file: string; files: Record<string, string> } {
  const files: Record<string, string> = {};
  const source = readFlowFile(file);
  const { problems } = compileFlow(source, {
    file: basename(file),
    readFile(path) {
      const text = readBeside(file, path);
      if (text !== null) files[path] = text;
      return text;
    },
  });
  if (problems.length > 0) {
    throw new AppError("invalid_input", `the flow has ${problems.length === 1 ? "a mistake" : `${problems.length} mistakes`}`, {
      why: lintText(problems),
      fix: [`tutti flow lint ${file}`],
    });
  }
  return { source, file: basename(file), files };
}

/** Says every mistake with its place; sets exit code 5 when there is one. */
export function lint(file: string, json: boolean): void {
  const { problems } = compileFlow(readFlowFile(file), { file, readFile: (path) => readBeside(file, path) });
  if (json) printJson({ ok: problems.length === 0, problems });
  else print(problems.length === 0 ? `${file}: no mistakes` : plain(lintText(problems)));
  if (problems.length > 0) process.exitCode = 5;
}

/** Makes a run of the file, and waits for it unless it is detached. Throws AppError for a flow with mistakes, and for a run that failed. */
export async function runFlow(file: string, options: FlowOptions, json: boolean): Promise<void> {
  const { client } = await connect();
  const flow = readFlow(file);
  const agents = Object.fromEntries(pairs("--agent", options.agent));
  const inputs = Object.fromEntries(pairs("--input", options.input).map(([name, value]) => [name, valueOf(value)]));
  const project = await client.command("project.create", { folder: resolve(options.project) });
  const run = await client.command("run.create", { project: project.id, ...flow, inputs, agents }, { key: options.key ?? randomUUID() });
  if (options.detach) {
    note(`${run.flow} in ${project.id}    tutti show ${run.id}    tutti stop ${run.id}`);
    if (json) printJson(run);
    else print(run.id);
    return;
  }
  note(`${run.id}  ${oneLine(run.flow)} in ${project.id}    ctrl-c leaves it running    tutti show ${run.id}`);
  await attend(client, { run: run.id }, { untilAsked: true });
  await finishRun(client, run.id, json);
}

/** Says how a run stands that was waited for: what it asks, what it merged, or which step failed. Sets the exit code or throws AppError. */
async function finishRun(client: TuttiClient, id: string, json: boolean): Promise<void> {
  const run = await client.query("run.get", { id });
  const steps = (await client.query("run.steps", { id, limit: 500 })).items;
  process.exitCode = run.state === "done" ? 0 : run.state === "needs you" ? 6 : 1;
  if (json) return printJson({ ...run, steps });
  if (run.state === "needs you") {
    const open = (await client.query("approval.list", { state: "open", run: id })).items;
    for (const approval of open)
      print(`${approval.id}  ${oneLine(approval.question)}    tutti show ${approval.id}    tutti approve ${approval.id}`);
    if (open.length === 0) print(`${id} ${stateText(run.state, run.reason)}`);
    return;
  }
  const failed = steps.find((step) => step.state === "failed");
  if (run.state !== "done") {
    throw new AppError("failed", `${id} ${run.state}${run.reason ? `: ${run.reason}` : ""}`, {
      why: failed ? `step ${failed.id}: ${failed.message || (failed.reason ?? "failed")}` : (run.message ?? undefined),
      fix: [`tutti show ${id}`, `tutti retry ${id}`],
    });
  }
  print(`${id} ${stateText(run.state, run.reason)}`);
  for (const step of steps) {
    const result = step.kind === "merge" && step.task ? (await client.query("task.get", { id: step.task })).result : null;
    if (result?.note) note(oneLine(result.note));
    if (result?.branch) print(`merged into ${oneLine(result.branch)}`);
  }
}

/** Numbers, true, false, lists and objects as JSON; everything else is text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

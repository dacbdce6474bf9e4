import { isArtifactReference } from "../../../artifacts/artifact.ts";
import { notFound } from "../../../errors.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { note, oneLine, plain, print, printJson, printRecord, stateText, styled, table } from "../output.ts";

/** Throws AppError not_found for what is neither an id nor a name. */
export async function show(id: string, json: boolean): Promise<void> {
  const { client } = await connect();
  if (/^T-\d+$/i.test(id)) return await showTask(client, id.toUpperCase(), json);
  if (/^R-\d+$/i.test(id)) return await showRun(client, id.toUpperCase(), json);
  if (/^A-\d+$/i.test(id)) return await showApproval(client, id.toUpperCase(), json);
  if (/^S-\d+$/i.test(id)) return printRecord(await client.query("session.get", { id: id.toUpperCase() }), json);
  const project = (await client.query("project.list", { limit: 500 })).items.find((item) => item.id === id);
  if (project) return printRecord(project, json);
  const agent = (await client.query("agent.list", { limit: 500 })).items.find((item) => item.name === id);
  if (agent) return printRecord(agent, json);
  throw notFound("task, run, approval, session, project or agent", id, ["tutti ls", "tutti ls runs", "tutti projects", "tutti agents"]);
}

async function showTask(client: TuttiClient, id: string, json: boolean): Promise<void> {
  const task = await client.query("task.get", { id });
  if (json) return printJson(task);
  print(`${styled("bold", task.id)}  ${stateText(task.state, task.reason)}${verified(task)}  ${oneLine(task.title)}`);
  if (task.message) print(`\n${plain(task.message)}`);
  print("");
  const facts: [string, string][] = [
    ["project", task.project],
    ["agent", `${task.agent ?? "-"}${task.why ? `  (${task.why})` : ""}`],
    ["session", task.session ?? "-"],
    [
      "attempts",
      task.attempts.map((attempt) => `${attempt.attempt} ${attempt.state}${attempt.reason ? `: ${attempt.reason}` : ""}`).join(", ") || "-",
    ],
    ["files", task.result?.files.map(oneLine).join(", ") || "-"],
    ["branch", task.result?.branch ?? "-"],
  ];
  for (const [name, value] of facts) print(`${styled("dim", name.padEnd(10))}  ${oneLine(value)}`);
  if (task.result?.note) print(`${styled("dim", "note".padEnd(10))}  ${plain(task.result.note)}`);
  if (task.spec.kind === "agent") print(`\n${styled("dim", "prompt")}\n${plain(task.spec.prompt)}`);
  const output = task.result?.output;
  if (isArtifactReference(output)) {
    const whole = `[... ${output.size} bytes in all: tutti artifact get ${output.$artifact} > result]`;
    print(`\n${styled("dim", "output")}\n${plain(output.preview ?? "")}\n${styled("dim", whole)}`);
  } else if (output !== undefined && output !== null)
    print(`\n${styled("dim", "output")}\n${plain(typeof output === "string" ? output : JSON.stringify(output, null, 2))}`);
}

/** "check failed" is said once: by the reason, or here. */
function verified({ verified: value, reason }: { verified: boolean | null; reason: string | null }): string {
  if (value === true) return `  ${styled("green", "verified")}`;
  return value === false && reason !== "check failed" ? `  ${styled("red", "check failed")}` : "";
}

async function showRun(client: TuttiClient, id: string, json: boolean): Promise<void> {
  const run = await client.query("run.get", { id });
  const steps = (await client.query("run.steps", { id, limit: 500 })).items;
  if (json) return printJson({ ...run, steps });
  print(`${styled("bold", run.id)}  ${stateText(run.state, run.reason)}  ${oneLine(run.flow)}  ${styled("dim", run.project)}`);
  if (run.message) print(plain(run.message));
  // The first step that failed stands on top: that is what one came for.
  const failed = steps.find((step) => step.state === "failed");
  if (failed?.message) print(`\n${styled("red", failed.id)}: ${plain(failed.message)}\n`);
  print(
    table(steps, [
      { title: "STEP", value: (step) => (step.id.includes("[") ? `  ${step.id}` : step.id) },
      { title: "STATE", value: (step) => stateText(step.state, step.reason) + verified(step) },
      { title: "KIND", value: (step) => step.kind },
      { title: "TASK", value: (step) => step.task ?? step.approval ?? "" },
      { title: "ITEMS", value: (step) => (step.group ? `${step.group.done} of ${step.group.wanted}` : "") },
    ]),
  );
}

async function showApproval(client: TuttiClient, id: string, json: boolean): Promise<void> {
  const approval = await client.query("approval.get", { id });
  if (json) return printJson(approval);
  print(`${styled("bold", approval.id)}  ${stateText(approval.state, approval.kind)}  ${oneLine(approval.question)}`);
  print(
    `${styled("dim", "for")}      ${approval.task ?? `${approval.run}/${approval.step}`}${approval.agent ? `, agent ${approval.agent}` : ""}`,
  );
  print(`${styled("dim", "options")}  ${approval.options.map(oneLine).join(", ")}`);
  if (approval.answer) print(`${styled("dim", "answer")}   ${oneLine(approval.answer)} (${approval.answeredBy ?? "nobody"})`);
  print(`\n${plain(JSON.stringify(approval.action, null, 2))}`);
  if (approval.state === "open") note(`\ntutti approve ${id}    tutti deny ${id}`);
}

import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { Agent } from "../../../agents/agent.ts";
import { AppError, invalidInput, notFound } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import type { TranscriptEntry } from "../../../sessions/session.ts";
import { isTerminal } from "../../../tasks/task.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { idOf, wantsJson, wholeNumber } from "../options.ts";
import { age, note, oneLine, plain, print, printRecord, stateText, styled, table, visible } from "../output.ts";
import { watch } from "../watch.ts";

/** Looking at what there is: ls, show, logs, diff, status, events. */
export function addShowVerbs(program: Command): void {
  program
    .command("status")
    .description("what runs, what waits for you, what agents there are")
    .action(async (_options: unknown, command: Command) => await status(await connect(), wantsJson(command)));
  program
    .command("ls")
    .description("list tasks, runs, approvals, agents, projects or sessions")
    .argument("[what]", "tasks, runs, approvals, agents, projects, sessions", "tasks")
    .option("--project <id>", "only this project")
    .option("--state <states>", "only these states, with commas")
    .option("--limit <n>", "how many", "50")
    .action(async (what: string, options: ListOptions, command: Command) => await ls(await connect(), what, options, wantsJson(command)));
  program
    .command("show")
    .description("everything about a task (T-1), run (R-1), approval (A-1), session (S-1), project or agent")
    .argument("<id>")
    .action(async (id: string, _options: unknown, command: Command) => await show(await connect(), id, wantsJson(command)));
  program
    .command("logs")
    .description("the transcript of a task or session")
    .argument("<id>", "T-1 or S-1")
    .option("-f, --follow", "go on until the work has ended")
    .action(
      async (id: string, options: { follow?: boolean }, command: Command) => await logs(await connect(), id, options, wantsJson(command)),
    );
  program
    .command("diff")
    .description("what a task changed")
    .argument("<id>", "T-1")
    .action(async (id: string, _options: unknown, command: Command) => {
      const client = await connect();
      const result = await client.query("task.diff", { id: idOf(id) });
      // The diff itself stays byte for byte when it is piped into a tool; in a terminal, control characters are shown instead of obeyed.
      if (wantsJson(command)) print(JSON.stringify(result));
      else if (result.diff === "") note(`${idOf(id)} changed nothing${result.commit === null ? "" : " that can be shown"}`);
      else process.stdout.write(process.stdout.isTTY ? visible(result.diff) : result.diff);
    });
  program
    .command("events")
    .description("what happened, in order")
    .option("--project <id>", "only this project's stream")
    .option("--task <id>")
    .option("--run <id>")
    .option("--limit <n>", "how many", "100")
    .option("-f, --follow", "go on as it happens")
    .action(async (options: EventOptions, command: Command) => await events(await connect(), options, wantsJson(command)));
}

interface ListOptions {
  project?: string;
  state?: string;
  limit: string;
}

async function status(client: TuttiClient, json: boolean): Promise<void> {
  const [running, open, agents, runs] = await Promise.all([
    client.query("task.list", { state: "queued,starting,running,needs you,paused", limit: 20 }),
    client.query("approval.list", { state: "open", limit: 20 }),
    client.query("agent.list", { limit: 100 }),
    client.query("run.list", { limit: 5 }),
  ]);
  if (json) {
    print(JSON.stringify({ tasks: running.items, approvals: open.items, agents: agents.items, runs: runs.items }));
    return;
  }
  print(`${styled("bold", "Needs you")}  ${open.items.length}`);
  for (const item of open.items) {
    print(`  ${item.id}  ${oneLine(item.question)}  ${styled("dim", `${age(item.createdAt)} ago    tutti show ${item.id}`)}`);
  }
  print(`${styled("bold", "Work")}  ${running.items.length} open`);
  for (const task of running.items) {
    const who = task.run ? `${task.run}/${task.step}` : (task.agent ?? "");
    print(
      ["", task.id, stateText(task.state, task.reason), oneLine(who), oneLine(task.title)]
        .filter((part, index) => part || index === 0)
        .join("  "),
    );
  }
  if (runs.items.length > 0) print(styled("bold", "Latest runs"));
  for (const run of runs.items) print(`  ${run.id}  ${stateText(run.state, run.reason)}  ${oneLine(run.flow)}`);
  print(styled("bold", "Agents"));
  for (const agent of agents.items) {
    const busy = agent.active > 0 ? `, ${agent.active} of ${agent.limit} busy` : "";
    const fix = agent.detection.fix ? `  ${styled("dim", oneLine(agent.detection.fix))}` : "";
    print(`  ${agent.name}  ${agent.detection.state}${busy}${fix}`);
  }
}

/** "idle" says it; the state's own word for an agent without work is "queued". */
const agentState = (agent: Agent): string => (agent.reason === "idle" ? stateText("idle", null) : stateText(agent.state, agent.reason));

const lists = ["tasks", "runs", "approvals", "agents", "projects", "sessions"];

async function ls(client: TuttiClient, what: string, options: ListOptions, json: boolean): Promise<void> {
  const limit = wholeNumber("--limit", options.limit, 1);
  const { project, state } = options;
  // A name that was mistyped would look like a project without work.
  if (project !== undefined) await client.query("project.get", { id: project });
  const filtered = project !== undefined || state !== undefined;
  const out = <Row>(rows: Row[], columns: Parameters<typeof table<Row>>[1], nothing: string): void => {
    if (json) print(JSON.stringify({ items: rows }));
    else if (rows.length > 0) print(table(rows, columns));
    else note(filtered ? "nothing fits" : nothing);
  };
  switch (lists.find((name) => name === what || name === `${what}s`)) {
    case "tasks":
      return out(
        (await client.query("task.list", { project, state, limit })).items,
        [
          { title: "ID", value: (task) => task.id },
          { title: "STATE", value: (task) => stateText(task.state, task.reason) },
          { title: "AGENT", value: (task) => task.agent ?? "" },
          { title: "PROJECT", value: (task) => task.project },
          { title: "STEP", value: (task) => (task.run ? `${task.run}/${task.step}` : "") },
          { title: "AGE", value: (task) => age(task.createdAt) },
          { title: "TITLE", value: (task) => oneLine(task.title) },
        ],
        'no tasks yet: tutti run "fix the failing test"',
      );
    case "runs":
      return out(
        (await client.query("run.list", { project, state, limit })).items,
        [
          { title: "ID", value: (run) => run.id },
          { title: "STATE", value: (run) => stateText(run.state, run.reason) },
          { title: "FLOW", value: (run) => run.flow },
          { title: "PROJECT", value: (run) => run.project },
          { title: "AGE", value: (run) => age(run.createdAt) },
        ],
        "no runs yet: tutti flow run <file>",
      );
    case "approvals":
      return out(
        (await client.query("approval.list", { project, state: state === undefined ? "open" : (state as "open"), limit })).items,
        [
          { title: "ID", value: (approval) => approval.id },
          { title: "STATE", value: (approval) => stateText(approval.state, null) },
          { title: "FOR", value: (approval) => approval.task ?? `${approval.run}/${approval.step}` },
          { title: "OPTIONS", value: (approval) => approval.options.map(oneLine).join(", ") },
          { title: "AGE", value: (approval) => age(approval.createdAt) },
          { title: "QUESTION", value: (approval) => oneLine(approval.question) },
        ],
        "nothing waits for you",
      );
    case "agents":
      return out(
        (await client.query("agent.list", { limit })).items,
        [
          { title: "NAME", value: (agent) => agent.name },
          { title: "BACKEND", value: (agent) => agent.backend },
          { title: "STATE", value: agentState },
          { title: "SESSIONS", value: (agent) => `${agent.active}/${agent.limit}` },
          { title: "DETECTED", value: (agent) => [agent.detection.state, agent.detection.version ?? ""].join(" ").trim() },
          { title: "FIX", value: (agent) => agent.detection.fix ?? "" },
        ],
        "no agents",
      );
    case "projects":
      return out(
        (await client.query("project.list", { limit })).items,
        [
          { title: "ID", value: (item) => item.id },
          { title: "BRANCH", value: (item) => item.baseBranch },
          { title: "SANDBOX", value: (item) => item.settings.sandbox },
          { title: "FOLDER", value: (item) => item.source },
        ],
        "no projects yet: tutti projects add <folder>",
      );
    case "sessions":
      return out(
        (await client.query("session.list", { project, limit })).items,
        [
          { title: "ID", value: (session) => session.id },
          { title: "STATE", value: (session) => stateText(session.state, session.reason) },
          { title: "AGENT", value: (session) => `${session.agent}${session.demo ? " (demo model)" : ""}` },
          { title: "TASK", value: (session) => session.task },
          { title: "BRANCH", value: (session) => session.branch },
        ],
        "no sessions yet",
      );
    default:
      throw invalidInput(`there is no list "${what}"`, `there are: ${lists.join(", ")}`, [`tutti ls ${nearest(what, lists) ?? "tasks"}`]);
  }
}

async function show(client: TuttiClient, id: string, json: boolean): Promise<void> {
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
  if (json) {
    print(JSON.stringify(task));
    return;
  }
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
  if (output !== undefined && output !== null)
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
  if (json) {
    print(JSON.stringify({ ...run, steps }));
    return;
  }
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
  if (json) {
    print(JSON.stringify(approval));
    return;
  }
  print(`${styled("bold", approval.id)}  ${stateText(approval.state, approval.kind)}  ${oneLine(approval.question)}`);
  print(
    `${styled("dim", "for")}      ${approval.task ?? `${approval.run}/${approval.step}`}${approval.agent ? `, agent ${approval.agent}` : ""}`,
  );
  print(`${styled("dim", "options")}  ${approval.options.map(oneLine).join(", ")}`);
  if (approval.answer) print(`${styled("dim", "answer")}   ${oneLine(approval.answer)} (${approval.answeredBy ?? "nobody"})`);
  print(`\n${plain(JSON.stringify(approval.action, null, 2))}`);
  if (approval.state === "open") note(`\ntutti approve ${id}    tutti deny ${id}`);
}

/** The session of T-1 or S-1. With `wait`, until an agent begins with it. Throws AppError not_found when it has none. */
async function sessionOf(client: TuttiClient, id: string, wait: boolean): Promise<{ session: string; task: string }> {
  if (/^S-\d+$/i.test(id)) {
    const session = await client.query("session.get", { id: idOf(id) });
    return { session: session.id, task: session.task };
  }
  let task = await client.query("task.get", { id: idOf(id) });
  while (wait && !task.session && !isTerminal(task.state)) {
    await pause(lookMs);
    task = await client.query("task.get", { id: task.id });
  }
  if (!task.session) {
    const why = task.kind === "agent" ? "no agent has begun with it yet" : "no agent works on it";
    throw new AppError("not_found", `${task.id} has no transcript`, { why, fix: [`tutti show ${task.id}`] });
  }
  return { session: task.session, task: task.id };
}

const lookMs = 500;

async function logs(client: TuttiClient, id: string, { follow = false }: { follow?: boolean }, json: boolean): Promise<void> {
  const { session, task } = await sessionOf(client, id, follow);
  const printNew = transcriptPrinter(client, session, json);
  const stop = new AbortController();
  let over = !follow;
  const watching = follow ? watch(client, { task }, { onEvent: () => undefined, signal: stop.signal }).finally(() => (over = true)) : null;
  try {
    while (!over) {
      await printNew().catch(unlessRetryable);
      await Promise.race([watching, pause(lookMs)]);
    }
    if ((await printNew()) === 0) note(`nothing was said in ${session}`);
  } finally {
    stop.abort();
  }
}

/** While the work is followed the server may go away for a moment. */
function unlessRetryable(error: unknown): void {
  if (!(error instanceof AppError) || !error.retryable) throw error;
}

/** Each call prints what is new and answers how many entries were printed so far. */
function transcriptPrinter(client: TuttiClient, session: string, json: boolean): () => Promise<number> {
  let cursor: string | undefined;
  let printedOfPage = 0;
  let printed = 0;
  return async () => {
    for (;;) {
      const page = await client.query("session.transcript", { id: session, cursor, limit: 500 });
      for (const entry of page.items.slice(printedOfPage)) printEntry(entry, json);
      printed += Math.max(0, page.items.length - printedOfPage);
      printedOfPage = page.items.length;
      if (page.next === null) return printed;
      cursor = page.next;
      printedOfPage = 0;
    }
  };
}

function printEntry(entry: TranscriptEntry, json: boolean): void {
  if (json) {
    print(JSON.stringify(entry));
    return;
  }
  const head = [entry.kind, entry.name, entry.state]
    .filter(Boolean)
    .map((part) => oneLine(part ?? ""))
    .join(" ");
  print(`${styled("dim", `[${entry.turn}] ${head}`)}`);
  if (entry.text) print(plain(entry.text));
}

interface EventOptions {
  project?: string;
  task?: string;
  run?: string;
  limit: string;
  follow?: boolean;
}

async function events(client: TuttiClient, options: EventOptions, json: boolean): Promise<void> {
  const stream = options.project;
  const task = options.task && idOf(options.task);
  const run = options.run && idOf(options.run);
  const limit = wholeNumber("--limit", options.limit, 1);
  const line = (event: { stream: string; seq: number; type: string; at: number; data: object }): void =>
    print(
      json
        ? JSON.stringify(event)
        : `${new Date(event.at).toISOString()}  ${event.stream} ${event.seq}  ${event.type}  ${plain(JSON.stringify(event.data))}`,
    );
  if (!options.follow) {
    for (const event of (await client.query("event.list", { stream, task, run, limit })).items) line(event);
    return;
  }
  for await (const { data: event } of client.follow("event.follow", { stream })) {
    if ((task && event.task !== task) || (run && event.run !== run)) continue;
    line(event);
  }
}

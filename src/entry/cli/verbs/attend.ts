import { AppError, type ErrorCode } from "../../../errors.ts";
import type { TaskDetails } from "../../../tasks/task.ts";
import type { TuttiClient } from "../connect.ts";
import { sayOnInterrupt } from "../interrupt.ts";
import { brief, note, oneLine, print, printJson } from "../output.ts";
import { keepTitle } from "../title.ts";
import { makeTeller, watch, type End, type Watched } from "../watch.ts";

/** Watches in the foreground. Ctrl-c leaves the work alone and says how to come back to it. */
export async function attend(
  client: TuttiClient,
  what: Watched,
  options: Pick<Parameters<typeof watch>[2], "untilAsked" | "after"> = {},
): Promise<End> {
  const id = "task" in what ? what.task : what.run;
  const teller = makeTeller(id);
  const giveTitleBack = keepTitle(client, id);
  const done = sayOnInterrupt(() => {
    const back = "task" in what ? `tutti logs -f ${id}` : `tutti show ${id}`;
    note(`\nleft ${id}: it goes on    ${back}    tutti stop ${id}`);
  });
  try {
    return await watch(client, what, { ...options, onEvent: (event) => teller.tell(event) });
  } finally {
    done();
    giveTitleBack();
    teller.end();
  }
}

/** Waits for a task and says in the last line where its result is. Throws AppError when it did not end well; 6 when it waits for a person. */
export async function finishTask(
  client: TuttiClient,
  id: string,
  options: Parameters<typeof attend>[2] & { json: boolean },
): Promise<void> {
  await attend(client, { task: id }, options);
  const task = await client.query("task.get", { id });
  if (options.json) {
    printJson(task);
    process.exitCode = task.state === "done" ? 0 : task.state === "needs you" ? 6 : new AppError(codeOf(task), "").exitCode;
    return;
  }
  if (task.state === "needs you") return await sayAsked(client, task);
  if (task.state !== "done") throw notDone(task);
  await sayDone(client, task);
}

async function sayAsked(client: TuttiClient, task: TaskDetails): Promise<void> {
  process.exitCode = 6;
  const open = (await client.query("approval.list", { state: "open", project: task.project, limit: 500 })).items;
  const own = open.filter((approval) => approval.task === task.id);
  for (const approval of own) print(`${approval.id}  ${oneLine(approval.question)}    tutti approve ${approval.id}`);
  if (own.length === 0) print(`${task.id} needs you: ${task.reason ?? ""}`);
}

async function sayDone(client: TuttiClient, task: TaskDetails): Promise<void> {
  const session = task.session ? await client.query("session.get", { id: task.session }) : null;
  if (session && session.notIncluded.length > 0 && task.attempt === 1) {
    const more = session.notIncluded.length - 5;
    const files = session.notIncluded.slice(0, 5).map(oneLine).join(", ");
    note(`not included (uncommitted in your folder): ${files}${more > 0 ? ` and ${more} more` : ""}`);
  }
  const { result } = task;
  if (task.kind === "agent" && typeof result?.output === "string" && result.output) note(brief(result.output, 400));
  if (result?.branch && result.note) note(oneLine(result.note));
  if (result?.branch) print(`${task.kind === "merge" ? "merged into" : "branch"} ${oneLine(result.branch)}`);
  else print(`${task.id} done, ${oneLine(result?.note ?? "") || "nothing was changed"}`);
}

function codeOf({ reason }: TaskDetails): ErrorCode {
  if (reason === "merge conflict") return "conflict";
  return reason === "check failed" ? "check_failed" : "failed";
}

function notDone(task: TaskDetails): AppError {
  const { id, spec } = task;
  const command = spec.kind === "run" ? null : (spec.check?.run ?? null);
  const checked = task.reason === "check failed" && command !== null ? `the check \`${command}\` did not pass` : "";
  return new AppError(codeOf(task), `${id} ${task.state}${task.reason ? `: ${task.reason}` : ""}`, {
    why: task.message || checked || undefined,
    fix: [
      task.kind === "agent" && task.session ? `tutti logs ${id}` : `tutti show ${id}`,
      ...(task.run ? [`tutti retry ${task.run}`] : [`tutti retry ${id}`]),
    ],
  });
}

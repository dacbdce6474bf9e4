import { sql, type Reader, type StoredEvent } from "../db/plan.ts";
import { preview, type Notice, type Topic } from "./notification.ts";

/**
 * What a person is told of an event. Names, titles and questions only: what an agent wants to do, what it said and what came out
 * stays here, to be looked at behind the link.
 */

/** What kind of notice an event may be; null for all that nobody is told of. Pure. */
export function topicOf({ type, run, data }: StoredEvent): Topic | null {
  switch (type) {
    case "approval.opened":
      return "needs you";
    case "agent.updated":
      return data.detection === "signed out" ? "needs you" : null;
    case "task.settled":
      // A run speaks for its tasks, and what failed first for those that needed it.
      return run === null && data.reason !== "need failed" ? topicOfEnd(data) : null;
    case "run.settled":
      return topicOfEnd(data);
    case "task.requeued":
      return data.state === "paused" && data.reason === "quota" ? "quota" : null;
    default:
      return null;
  }
}

/** Work that ended because only a person can say or do something waits for that person. */
function topicOfEnd({ state, reason }: StoredEvent["data"]): Topic | null {
  if (state === "failed") return reason === "question" || reason === "signed out" ? "needs you" : "failed";
  return state === "done" ? "done" : null;
}

/** null when there is nothing to tell (any more): it was answered meanwhile, or is no news. */
export async function noticeOf(read: Reader, event: StoredEvent, topic: Topic): Promise<Notice | null> {
  const about = await aboutOf(read, event);
  if (!about) return null;
  const projectName = await nameOfProject(read, event.stream);
  const where = preview(projectName ?? "Tutti", 40);
  const id = event.task ?? event.run;
  return {
    topic,
    reason: about.reason,
    project: projectName === null ? null : event.stream,
    projectName: projectName === null ? null : where,
    task: event.task,
    run: event.run,
    title: `${where}: ${about.heading}${id === null ? "" : ` (${id})`}`,
    text: preview(about.text),
    path: about.path,
    at: event.at,
  };
}

interface About {
  reason: string | null;
  heading: string;
  text: string;
  path: string;
}

async function aboutOf(read: Reader, event: StoredEvent): Promise<About | null> {
  const { type, task, run, data } = event;
  const reason = typeof data.reason === "string" ? data.reason : null;
  const ending = data.state === "done" ? "done" : `failed${reason === null ? "" : `: ${reason}`}`;
  switch (type) {
    case "approval.opened":
      return await aboutApproval(read, String(data.approval));
    case "agent.updated": {
      const name = String(data.name);
      if (await wasSignedOut(read, event, name)) return null;
      return { reason: "signed out", heading: "a sign-in is needed", text: `${name} is signed out`, path: "/inbox" };
    }
    case "run.settled":
      return { reason, heading: ending, text: await flowOf(read, run ?? ""), path: `/runs/${run}` };
    case "task.requeued":
      // The provider is asked again every so often: only the first refusal of a row is news.
      if (await wasPaused(read, task ?? "", Number(data.attempt) - 1)) return null;
      return { reason: "quota", heading: "waits for the provider's limit", text: String(data.title), path: `/tasks/${task}` };
    default:
      return { reason, heading: ending, text: String(data.title), path: `/tasks/${task}` };
  }
}

async function aboutApproval(read: Reader, id: string): Promise<About | null> {
  const approval = await read.one<{ kind: string; state: string; agent: string | null; question: string; title: string | null }>(sql`
    select a.kind, a.state, a.agent, a.question, d.title from approvals a left join task_details d on d.task = a.task where a.id = ${id}`);
  if (approval?.state !== "open") return null;
  const path = `/inbox?item=${encodeURIComponent(id)}`;
  if (approval.kind === "ask") return { reason: "question", heading: "a question for you", text: approval.question, path };
  // Its own question names the tool as the agent calls it, which may be the whole command.
  const text = `${approval.agent ?? "an agent"} asks for permission: ${approval.title ?? ""}`;
  return { reason: "approval", heading: "a permission is wanted", text, path };
}

async function nameOfProject(read: Reader, id: string): Promise<string | null> {
  return (await read.one<{ name: string }>(sql`select name from projects where id = ${id}`))?.name ?? null;
}

async function flowOf(read: Reader, run: string): Promise<string> {
  return (await read.one<{ flow: string }>(sql`select flow from runs where id = ${run}`))?.flow ?? run;
}

async function wasPaused(read: Reader, task: string, attempt: number): Promise<boolean> {
  const row = await read.one<{ reason: string | null }>(
    sql`select reason from attempts where task = ${task} and attempt = ${attempt} and state = 'paused'`,
  );
  return row?.reason === "quota";
}

/** Whether the agent's event before this one said the same. Of many agents' events only the last hundreds are looked at. */
async function wasSignedOut(read: Reader, { stream, seq }: StoredEvent, name: string): Promise<boolean> {
  const rows = await read.all<{ data: string }>(sql`
    select data from events where stream = ${stream} and seq < ${seq} and type in ('agent.created', 'agent.updated') order by seq desc limit 500`);
  const events = rows.map(({ data }) => (data === "" ? {} : JSON.parse(data)) as { name?: string; detection?: string });
  return events.find((event) => event.name === name)?.detection === "signed out";
}

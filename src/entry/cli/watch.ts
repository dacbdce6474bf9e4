import type { Event } from "../../events/event.ts";
import { isTerminal, type State } from "../../tasks/task.ts";
import { stateText, oneLine, styled } from "./output.ts";
import type { TuttiClient } from "./connect.ts";

type Watched = { task: string } | { run: string };

/**
 * Follows one task or run from its first event until it has ended (or waits for a person, when `untilAsked`), and answers the
 * state it is in then. Events are what is shown; the end is read from the store's own record.
 */
export async function watch(
  client: TuttiClient,
  what: Watched,
  options: { onEvent(event: Event): void; signal?: AbortSignal; untilAsked?: boolean },
): Promise<{ state: State; reason: string | null }> {
  const first = (await client.query("event.list", { ...what, limit: 1 })).items[0];
  const ended = async (): Promise<{ state: State; reason: string | null } | null> => {
    const now = "task" in what ? await client.query("task.get", { id: what.task }) : await client.query("run.get", { id: what.run });
    return isTerminal(now.state) || (options.untilAsked && now.state === "needs you") ? { state: now.state, reason: now.reason } : null;
  };
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  const after = first ? Buffer.from(JSON.stringify({ [first.stream]: first.seq - 1 })).toString("base64url") : null;
  try {
    for await (const { data: event } of client.follow("event.follow", first ? { stream: first.stream } : {}, { after, signal })) {
      if (!("task" in what ? event.task === what.task : event.run === what.run)) continue;
      options.onEvent(event);
      if (!["task.settled", "run.settled", "approval.opened", "task.requeued"].includes(event.type)) continue;
      const end = await ended();
      if (end) return end;
    }
  } finally {
    stop.abort();
  }
  const end = await ended();
  if (end) return end;
  throw options.signal?.reason ?? new Error("the stream of events ended before the work did");
}

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? oneLine(String(value)) : "");

/** One line about an event, or null for those that say nothing to a person who is waiting. */
export function describe(event: Event): string | null {
  const { data } = event;
  const name = text(data.step) || event.task || event.run || "";
  const who = styled("bold", name);
  switch (event.type) {
    case "task.assigned":
      return `${stateText("starting", null)}  ${who}  ${text(data.agent) || "tutti"}${data.demo ? " (demo model)" : ""}`;
    case "task.started":
      return `${stateText("running", null)}  ${who}  ${text(data.title)}`;
    case "task.requeued":
      return `${stateText(text(data.state), text(data.reason))}  ${who}  ${text(data.message)}`;
    case "task.settled":
      return event.run
        ? null
        : `${stateText(text(data.state), text(data.reason) || null)}  ${who}${verifiedText(data.verified)}  ${text(data.message)}`;
    case "step.settled":
      return `${stateText(text(data.state), text(data.reason) || null)}  ${who}${verifiedText(data.verified)}  ${text(data.answer) || text(data.message)}`;
    case "approval.opened":
      return `${stateText("needs you", text(data.approval))}  ${who}  ${text(data.question) || text(data.tool)}`;
    case "approval.answered":
      return `${stateText("done", text(data.approval))}  answered: ${text(data.answer)}`;
    case "run.settled":
      return `${stateText(text(data.state), text(data.reason) || null)}  ${styled("bold", event.run ?? "")}  ${text(data.message)}`;
    default:
      return null;
  }
}

const verifiedText = (verified: unknown): string =>
  verified === true ? ` ${styled("green", "verified")}` : verified === false ? ` ${styled("red", "check failed")}` : "";

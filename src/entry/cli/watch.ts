import type { Event } from "../../events/event.ts";
import { isTerminal, type State } from "../../tasks/task.ts";
import { note, oneLine, stateText, styled } from "./output.ts";
import type { TuttiClient } from "./connect.ts";

export type Watched = { task: string } | { run: string };

export interface End {
  state: State;
  reason: string | null;
}

interface Position {
  stream: string;
  seq: number;
}

interface WatchOptions {
  onEvent(event: Event): void;
  signal?: AbortSignal;
  /** Ends too when a person has to do something. */
  untilAsked?: boolean;
  /** Events up to here are over and not told again (see lastPosition); without it from the first. */
  after?: Position | null;
}

/** Behind these the record may say that it is over. Within one transaction they come after what led to them. */
const lastOf = { task: ["task.settled"], run: ["run.settled"] };
const asked = ["approval.opened", "task.needs-you"];

/**
 * Follows one task or run until it has ended (or waits for a person, when `untilAsked`), and answers the state it is in then.
 * Events are what is shown; the end is read from the store's own record.
 */
export async function watch(client: TuttiClient, what: Watched, options: WatchOptions): Promise<End> {
  const { onEvent, untilAsked = false } = options;
  const from = options.after ?? (await firstPosition(client, what));
  const ended = async (): Promise<End | null> => {
    const now = await look(client, what);
    return isTerminal(now.state) || (untilAsked && now.state === "needs you") ? now : null;
  };
  const telling = ["task" in what ? lastOf.task : lastOf.run, untilAsked ? asked : []].flat();
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  const after = from ? Buffer.from(JSON.stringify({ [from.stream]: from.seq })).toString("base64url") : null;
  try {
    for await (const { data: event } of client.follow("event.follow", from ? { stream: from.stream } : {}, { after, signal })) {
      if (!("task" in what ? event.task === what.task : event.run === what.run)) continue;
      onEvent(event);
      const end = telling.includes(event.type) ? await ended() : null;
      if (end) return end;
    }
  } finally {
    stop.abort();
  }
  const end = await ended();
  if (end) return end;
  throw options.signal?.reason ?? new Error("the stream of events ended before the work did");
}

async function look(client: TuttiClient, what: Watched): Promise<End> {
  const { state, reason } =
    "task" in what ? await client.query("task.get", { id: what.task }) : await client.query("run.get", { id: what.run });
  return { state, reason };
}

/** Just before its first event. */
async function firstPosition(client: TuttiClient, what: Watched): Promise<Position | null> {
  const first = (await client.query("event.list", { ...what, limit: 1 })).items[0];
  return first ? { stream: first.stream, seq: first.seq - 1 } : null;
}

/** Its newest event so far. Asked for before a command, `watch` then tells only what the command led to. */
export async function lastPosition(client: TuttiClient, what: Watched): Promise<Position | null> {
  let last: Position | null = null;
  let cursor: string | undefined;
  do {
    const page = await client.query("event.list", { ...what, limit: 500, cursor });
    last = page.items.at(-1) ?? last;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return last;
}

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? oneLine(String(value)) : "");

/** One line about an event, or null for those that say nothing to a person who is waiting. `stream` is where it will be shown. */
export function describe(event: Event, stream: NodeJS.WriteStream = process.stderr): string | null {
  const { data } = event;
  const who = styled("bold", text(data.step) || event.task || event.run || "", stream);
  const state = (): string => stateText(text(data.state), text(data.reason) || null, stream);
  const line = (...parts: string[]): string => parts.filter(Boolean).join("  ");
  switch (event.type) {
    case "task.assigned":
      return line(stateText("starting", null, stream), who, `${text(data.agent) || "tutti"}${data.demo ? " (demo model)" : ""}`);
    case "task.started":
      return line(stateText("running", null, stream), who, text(data.title) === text(data.step) ? "" : text(data.title));
    case "task.requeued":
      return line(state(), who, text(data.message));
    case "task.settled":
      return event.run ? null : line(state(), who + verifiedText(data, stream), text(data.message));
    case "step.settled":
      return line(state(), who + verifiedText(data, stream), text(data.answer) || text(data.message));
    case "approval.opened":
      return line(stateText("needs you", null, stream), who, text(data.question) || `wants to use ${text(data.tool)}`);
    case "approval.answered":
      return line(stateText("answered", null, stream), who, `${text(data.approval)}: ${text(data.answer)}`);
    case "run.settled":
      return line(state(), styled("bold", event.run ?? "", stream), text(data.message));
    default:
      return null;
  }
}

/** "check failed" is said once: by the reason, or here. */
function verifiedText({ verified, reason }: Record<string, unknown>, stream: NodeJS.WriteStream): string {
  if (verified === true) return ` ${styled("green", "verified", stream)}`;
  return verified === false && reason !== "check failed" ? ` ${styled("red", "check failed", stream)}` : "";
}

const heartbeatMs = 30_000;

/** Shows each event on stderr as it comes, and says every 30 seconds without one that the work still goes on. */
export function makeTeller(name: string): { tell(event: Event): void; end(): void } {
  const beganAt = performance.now();
  const heartbeat = setInterval(() => {
    note(styled("dim", `… ${name} goes on, ${Math.round((performance.now() - beganAt) / 1000)} s so far`, process.stderr));
  }, heartbeatMs);
  return {
    tell(event) {
      const line = describe(event);
      if (line === null) return;
      note(event.type === "approval.opened" ? `${line}    tutti show ${text(event.data.approval)}` : line);
      heartbeat.refresh();
    },
    end: () => clearInterval(heartbeat),
  };
}

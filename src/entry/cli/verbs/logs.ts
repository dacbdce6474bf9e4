import { setTimeout as pause } from "node:timers/promises";
import { AppError } from "../../../errors.ts";
import type { TranscriptEntry } from "../../../sessions/session.ts";
import { isTerminal } from "../../../tasks/task.ts";
import { connect, type TuttiClient } from "../connect.ts";
import type { EventOptions } from "../grammar/look.ts";
import { idOf, wholeNumber } from "../options.ts";
import { note, oneLine, plain, print, printJson, styled, visible } from "../output.ts";
import { keepTitle } from "../title.ts";
import { watch } from "../watch.ts";

/** The session of T-1 or S-1, and its task. With `wait`, until an agent begins with it. Throws AppError not_found when it has none. */
export async function sessionOf(client: TuttiClient, id: string, wait: boolean): Promise<{ session: string; task: string }> {
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

/** The transcript of T-1 or S-1; with `follow` until the work has ended. Throws AppError not_found when there is none. */
export async function logs(id: string, { follow = false }: { follow?: boolean }, json: boolean): Promise<void> {
  const { client } = await connect();
  const { session, task } = await sessionOf(client, id, follow);
  const printNew = transcriptPrinter(client, session, json);
  const giveTitleBack = follow ? keepTitle(client, task) : null;
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
    giveTitleBack?.();
  }
}

/** While the work is followed the server may go away for a moment. */
export function unlessRetryable(error: unknown): void {
  if (!(error instanceof AppError) || !error.retryable) throw error;
}

/** Each call prints what is new and answers how many entries were printed so far. */
export function transcriptPrinter(client: TuttiClient, session: string, json: boolean): () => Promise<number> {
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
  if (json) return printJson(entry);
  const head = [entry.kind, entry.name, entry.state]
    .filter(Boolean)
    .map((part) => oneLine(part ?? ""))
    .join(" ");
  print(`${styled("dim", `[${entry.turn}] ${head}`)}`);
  if (entry.text) print(plain(entry.text));
}

/** The diff itself stays byte for byte when it is piped into a tool; in a terminal, control characters are shown instead of obeyed. */
export async function diff(id: string, json: boolean): Promise<void> {
  const { client } = await connect();
  const result = await client.query("task.diff", { id: idOf(id) });
  if (json) printJson(result);
  else if (result.diff === "") note(`${idOf(id)} changed nothing${result.commit === null ? "" : " that can be shown"}`);
  else process.stdout.write(process.stdout.isTTY ? visible(result.diff) : result.diff);
}

/** One line for each event, as objects with --json. */
export async function events(options: EventOptions, json: boolean): Promise<void> {
  const { client } = await connect();
  const stream = options.project;
  const task = options.task && idOf(options.task);
  const run = options.run && idOf(options.run);
  const limit = wholeNumber("--limit", options.limit, 1);
  const line = (event: { stream: string; seq: number; type: string; at: number; data: object }): void =>
    json
      ? printJson(event)
      : print(`${new Date(event.at).toISOString()}  ${event.stream} ${event.seq}  ${event.type}  ${plain(JSON.stringify(event.data))}`);
  if (!options.follow) {
    for (const event of (await client.query("event.list", { stream, task, run, limit })).items) line(event);
    return;
  }
  const giveTitleBack = keepTitle(client, task ?? run ?? stream ?? "");
  try {
    for await (const { data: event } of client.follow("event.follow", { stream })) {
      if ((task && event.task !== task) || (run && event.run !== run)) continue;
      line(event);
    }
  } finally {
    giveTitleBack();
  }
}

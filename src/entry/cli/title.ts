import { readTerminal } from "../../config.ts";
import type { EventType } from "../../events/event.ts";
import type { TuttiClient } from "./connect.ts";

/** What can change how much waits for a person. */
const moving: ReadonlySet<EventType> = new Set<EventType>([
  "approval.opened",
  "approval.answered",
  "approval.expired",
  "task.needs-you",
  "task.resumed",
  "task.requeued",
  "task.settled",
  "run.settled",
  "inbox.marked",
]);

// xterm's stack of titles (CSI 22 t, CSI 23 t); whoever does not know it shows its own title again after an empty one.
const keep = "\u001b[22;0t";
const giveBack = "\u001b]0;\u0007\u001b[23;0t";

/** How the title is set (OSC 0). Only letters of our own and a number: text of an agent never comes here. */
export const titleText = (waiting: number, id: string): string =>
  `\u001b]0;${waiting > 0 ? `◆ ${waiting} ` : ""}tutti ${id.replaceAll(/[^\w.-]/g, "")}\u0007`;

/**
 * While something is followed, the terminal's title carries the number that needs the person: `◆ 2 tutti T-12`. Only on a terminal;
 * the title that was there comes back when the answer is called, and when the process ends in any way that runs its exit handlers.
 */
export function keepTitle(client: TuttiClient, id: string): () => void {
  const stream = [process.stderr, process.stdout].find(({ isTTY }) => isTTY);
  if (!stream || !readTerminal().obeys) return () => undefined;
  const stop = new AbortController();
  const restore = (): void => void stream.write(giveBack);
  process.once("exit", restore);
  stream.write(keep + titleText(0, id));
  void follow(client, stop.signal, (waiting) => stream.write(titleText(waiting, id)));
  return () => {
    if (stop.signal.aborted) return;
    stop.abort();
    process.off("exit", restore);
    restore();
  };
}

/** Never rejects: a title is not worth an error. */
async function follow(client: TuttiClient, signal: AbortSignal, show: (waiting: number) => void): Promise<void> {
  try {
    const tell = async (): Promise<void> => {
      const waiting = (await client.query("inbox.list", { limit: 1 }, { signal })).counts.total;
      if (!signal.aborted) show(waiting);
    };
    await tell();
    for await (const { data } of client.follow("event.follow", {}, { signal })) if (moving.has(data.type)) await tell();
  } catch {
    // The title stays as it was; what is being followed says by itself when the server has gone.
  }
}

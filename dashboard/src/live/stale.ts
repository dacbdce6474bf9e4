import type { Event } from "../../../src/events/event.ts";
import type { QueryName } from "../api/client.ts";

/** What is no longer known when something of this kind has happened: the nouns whose answers may differ now. */
const touchedBy: Record<string, readonly string[]> = {
  project: ["project", "fleet", "task"],
  agent: ["agent", "fleet"],
  provider: ["provider", "agent"],
  task: ["task", "dead-letter", "fleet", "inbox", "project", "agent", "session"],
  session: ["session", "fleet", "task"],
  turn: ["session", "task", "fleet"],
  run: ["run", "inbox", "fleet", "project"],
  step: ["run", "inbox"],
  approval: ["approval", "inbox", "task", "run", "fleet", "project"],
  breaker: ["breaker"],
  token: ["token"],
  inbox: ["inbox"],
  channel: ["channel"],
  delivery: ["delivery"],
};

export const nounOf = (name: string): string => name.split(".", 1)[0] ?? "";

export const isKnownNoun = (noun: string): boolean => Object.hasOwn(touchedBy, noun);

/** What of a cached answer an event can change. Pure. */
export function isStaleBy({ type, task, run, session }: Event, [name, input]: readonly [QueryName, unknown]): boolean {
  if (name === "event.list") {
    const of = (input ?? {}) as { task?: string; run?: string };
    return (of.task === undefined || of.task === task) && (of.run === undefined || of.run === run);
  }
  if (!(touchedBy[nounOf(type)] ?? []).includes(nounOf(name))) return false;
  // An answer about one thing is only touched by what happened to that thing; a list by all.
  const { id } = (input ?? {}) as { id?: string };
  if (id === undefined) return true;
  const about = { task: [task], run: [run], session: [session] }[nounOf(name)];
  return about === undefined || about.every((one) => one === null || one === id);
}

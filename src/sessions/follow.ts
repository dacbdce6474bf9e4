import type { Artifacts } from "../artifacts/artifact.ts";
import type { Reader } from "../db/plan.ts";
import type { Bus, Delta } from "../events/bus.ts";
import { makeAlarm } from "../events/alarm.ts";
import { isTerminal } from "../tasks/task.ts";
import type { TranscriptEntry } from "./session.ts";
import { getSession } from "./store.ts";
import { placeText, readingFrom, readOn, type Place } from "./transcript.ts";

/** Segments are stored without an event of their own; while the agent speaks we look often, else at the floor of polling. */
const pollMs = 2_000;
const pollWhileSpeakingMs = 300;
/** Live text that a slow reader has not taken is dropped above this: the transcript has it all. */
const maxWaitingDeltas = 500;

interface FollowOptions {
  read: Reader;
  artifacts: Artifacts;
  bus: Bus;
  session: string;
  from: Place;
  signal: AbortSignal;
}

export type SessionItem =
  | { id: string; event: "entry"; data: TranscriptEntry }
  | { event: "delta"; data: Delta }
  | { event: "ready"; data: object };

/** A session's conversation as it is written: entries (numbered, none is missed) and live text. Ends when the session has ended. */
export async function* followSession({ read, artifacts, bus, session, from, signal }: FollowOptions): AsyncGenerator<SessionItem, void> {
  const { project } = await getSession(read, session);
  const alarm = makeAlarm(signal);
  let deltas: Delta[] = [];
  /** When to look into the store next. */
  let lookAt = 0;
  const offs = [
    bus.onDelta(session, (delta) => {
      if (deltas.length < maxWaitingDeltas) deltas.push(delta);
      alarm.ring();
    }),
    bus.onWake(({ streams }) => {
      if (!streams.includes(project)) return;
      lookAt = 0;
      alarm.ring();
    }),
  ];
  const reading = readingFrom(from);
  try {
    yield { event: "ready", data: {} };
    while (!signal.aborted) {
      const live = deltas;
      deltas = [];
      if (performance.now() >= lookAt) {
        // The state first: what was written before the end is then read for sure.
        const { state } = await getSession(read, session);
        for await (const data of readOn({ read, artifacts, session }, reading)) {
          yield { id: placeText(reading), event: "entry", data };
          if (signal.aborted) return;
        }
        if (isTerminal(state)) return;
        lookAt = performance.now() + pollMs;
      }
      for (const data of live) yield { event: "delta", data };
      if (live.length > 0) lookAt = Math.min(lookAt, performance.now() + pollWhileSpeakingMs);
      if (deltas.length === 0) await alarm.wait(Math.max(0, lookAt - performance.now()));
    }
  } finally {
    for (const off of offs) off();
  }
}

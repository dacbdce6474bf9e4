import { fitting, pick, type Candidate } from "../router/route.ts";
import type { Lane } from "../tasks/lane.ts";
import type { Reason } from "../tasks/task.ts";

/** Which of the tasks that are ready start now, and with whom. Pure. */

/** A lane with the first of its tasks, in their order. */
export interface LaneView<Task> {
  lane: Lane;
  tasks: Task[];
}

interface Ordered {
  priority: number;
  seq: number;
}

export interface Room {
  /** By name. Their `active` is counted up as work is given. */
  candidates: ReadonlyMap<string, Candidate>;
  /** How many run now of each key. */
  keys: ReadonlyMap<string, number>;
  /** How many more the project may have at once. */
  project: number;
}

export interface Given<Task> {
  task: Task;
  /** null: no agent is needed. */
  agent: Candidate["agent"] | null;
  /** It is the one trial of an agent that kept failing. */
  isTrial: boolean;
  why: string;
}

export interface Held {
  reason: Reason;
  why: string;
}

export interface Chosen<Task> {
  given: Given<Task>[];
  /** For each lane (by its place in the list) that is held up: why its tasks wait. */
  held: Map<number, Held>;
}

/**
 * How many tasks of a lane could start now: so many of its tasks are worth loading. 0 with the reason when it is held up. Other
 * lanes may want the same room; `chooseWork` decides between them.
 */
export function roomFor(lane: Lane, room: Room): { tasks: number; held: Held | null } {
  if (room.project <= 0) return { tasks: 0, held: { reason: "no capacity", why: "the project has as many attempts at once as it may" } };
  let tasks = room.project;
  for (const { key, limit } of lane.limits) tasks = Math.min(tasks, limit - (room.keys.get(key) ?? 0));
  if (tasks <= 0) return { tasks: 0, held: { reason: "concurrency", why: "as many of its key run as may" } };
  if (lane.agent === null) return { tasks, held: null };
  const fit = fitting(lane.agent, room.candidates.values());
  if (fit.kind === "wait") return { tasks: 0, held: fit };
  let free = 0;
  for (const { agent, active, breaker } of fit.candidates) {
    if (breaker !== "no") free += Math.min(breaker === "trial" ? 1 : Infinity, Math.max(0, agent.limit - active));
  }
  if (free > 0) return { tasks: Math.min(tasks, free), held: null };
  const waits = pick(lane.agent, fit.candidates);
  return { tasks: 0, held: waits.kind === "wait" ? waits : null };
}

/**
 * Gives the tasks out in the order of their priority, then of their age, over all lanes: a lane that is held up holds up no other.
 */
export function chooseWork<Task extends Ordered>(lanes: readonly LaneView<Task>[], room: Room): Chosen<Task> {
  const candidates = new Map([...room.candidates].map(([name, candidate]) => [name, { ...candidate }]));
  const keys = new Map(room.keys);
  const fits = lanes.map(({ lane }) => (lane.agent === null ? null : fitting(lane.agent, candidates.values())));
  const next = lanes.map(() => 0);
  const given: Given<Task>[] = [];
  const held = new Map<number, Held>();
  let left = room.project;
  for (;;) {
    const at = firstLane(lanes, next, held);
    const view = lanes[at];
    const task = view?.tasks[next[at] ?? 0];
    if (!view || !task) return { given, held };
    const { lane } = view;
    if (left <= 0) return { given, held: holdAll(lanes, held) };
    if (lane.limits.some(({ key, limit }) => (keys.get(key) ?? 0) >= limit)) {
      held.set(at, { reason: "concurrency", why: "as many of its key run as may" });
      continue;
    }
    const fit = fits[at] ?? null;
    const chosen = fit === null || fit.kind === "wait" ? fit : pick(lane.agent ?? {}, fit.candidates);
    if (chosen?.kind === "wait") {
      held.set(at, chosen);
      continue;
    }
    const candidate = chosen?.candidate ?? null;
    given.push({
      task,
      agent: candidate?.agent ?? null,
      isTrial: candidate?.breaker === "trial",
      why: chosen?.why ?? "no agent is needed",
    });
    if (candidate) candidate.active += 1;
    if (candidate?.breaker === "trial") candidate.breaker = "no";
    for (const { key } of lane.limits) keys.set(key, (keys.get(key) ?? 0) + 1);
    next[at] = (next[at] ?? 0) + 1;
    left -= 1;
  }
}

/** The lane whose next task goes first; -1 when there is none. */
function firstLane<Task extends Ordered>(lanes: readonly LaneView<Task>[], next: number[], held: ReadonlyMap<number, Held>): number {
  let first = -1;
  let best: Task | null = null;
  for (const [index, { tasks }] of lanes.entries()) {
    const task = held.has(index) ? undefined : tasks[next[index] ?? 0];
    if (!task) continue;
    if (best && (task.priority < best.priority || (task.priority === best.priority && task.seq >= best.seq))) continue;
    first = index;
    best = task;
  }
  return first;
}

const holdAll = <Task>(lanes: readonly LaneView<Task>[], held: Map<number, Held>): Map<number, Held> => {
  for (const index of lanes.keys())
    if (!held.has(index)) held.set(index, { reason: "no capacity", why: "the project has as many attempts at once as it may" });
  return held;
};

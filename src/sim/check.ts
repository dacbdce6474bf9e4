import type { SqlValue, StoredEvent } from "../db/plan.ts";
import { advance, type RunView, type StepView } from "../flows/advance.ts";
import { stepIsTerminal, type Flow, type StepState } from "../flows/flow.ts";
import { usualRetry } from "../tasks/retry.ts";
import { isTerminal, type State, type TaskSpec } from "../tasks/task.ts";
import type { Written } from "./network.ts";
import type { SimStore } from "./store.ts";
import type { Change, Row, Table } from "./tables.ts";

/** What must hold at every step, looked at from outside: the rows that changed, the events that were told, the agents at work. */

export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

export interface Checker {
  written(what: Written): void;
  /** An agent begins an attempt, does something, and ends. */
  begins(runner: string, epoch: number, task: string, attempt: number): void;
  effect(runner: string, epoch: number, task: string, attempt: number, now: number): void;
  ends(runner: string, epoch: number, task: string, attempt: number): void;
  died(runner: string): void;
  /** A client was told that it is there. */
  accepted(task: string): void;
  readonly openTasks: number;
  readonly openRuns: number;
  /** How often several projects together gave an agent more than its limit. */
  readonly overruns: number;
  /** The tasks that are not over, in a few words each. */
  open(): string;
  finish(): void;
}

interface Limits {
  projects: ReadonlyMap<string, number>;
  agents: ReadonlyMap<string, number>;
  /** An agent's limit holds over all projects. */
  isHard: boolean;
}

const active = new Set<SqlValue>(["starting", "running", "needs you"]);
const activeStates = ["starting", "running", "needs you"] as const;

interface AtWork {
  runner: string;
  epoch: number;
  attempt: number;
}

interface Folded {
  state: string;
  attempt: number;
}

const over = (state: SqlValue): boolean => isTerminal(state as State | "skipped");

export function makeChecker(store: SimStore, limits: Limits): Checker {
  const tables = {
    tasks: store.table("tasks"),
    details: store.table("task_details"),
    attempts: store.table("attempts"),
    steps: store.table("steps"),
    runs: store.table("runs"),
    runners: store.table("runners"),
    orchestrators: store.table("orchestrators"),
    breakers: store.table("breakers"),
  };
  const at = (table: Table, name: string): number => {
    const place = table.shape.at.get(name);
    if (place === undefined) throw new Error(`there is no column ${table.shape.name}.${name}`);
    return place;
  };
  const places = <Name extends string>(table: Table, ...names: Name[]): Record<Name, number> =>
    Object.fromEntries(names.map((name) => [name, at(table, name)])) as Record<Name, number>;
  const t = places(
    tables.tasks,
    ...([
      "id",
      "project",
      "state",
      "reason",
      "attempt",
      "run",
      "step",
      "agent",
      "limits",
      "cancel_requested",
      "ready",
      "needs_left",
    ] as const),
  );
  const d = places(tables.details, "needs", "spec", "title");
  const a = places(tables.attempts, "task", "attempt", "state", "reason", "finished_at");
  const s = places(
    tables.steps,
    ...(["run", "id", "parent", "state", "reason", "wanted", "created", "done", "failed", "cancelled", "finished_at"] as const),
  );
  const r = places(tables.runs, "id", "project", "graph", "inputs", "agents", "base", "cancel_requested", "finished_at", "state");
  const l = places(tables.runners, "id", "epoch", "lease_until");
  const o = places(tables.orchestrators, "project", "holder", "epoch", "lease_until");
  const b = places(tables.breakers, "subject", "state", "trial_attempt", "trial_until");

  const folded = new Map<string, Folded>();
  const endedSteps = new Map<string, unknown>();
  const endedRuns = new Map<string, unknown>();
  const heads = new Map<string, number>();
  const titles = new Map<string, string>();
  /** Attempts of a task that failed by themselves, since a person last began it anew. */
  const failures = new Map<string, number>();
  const conductors = new Map<string, { epoch: number; server: string }>();
  const atWork = new Map<string, AtWork[]>();
  const flows = new Map<string, Flow>();
  const acked = new Set<string>();
  let openTasks = 0;
  let openRuns = 0;
  let overruns = 0;

  const fail = (invariant: string, detail: string): never => {
    throw new Violation(invariant, detail);
  };
  const text = (value: SqlValue | undefined): string => String(value);

  function written({ author, plan, changes, events, now }: Written): void {
    for (const event of events) tell(event);
    const byPerson = new Set(events.flatMap(({ type, task, data }) => (type === "task.requeued" && data["by"] === "person" ? [task] : [])));
    const moved = new Set<string>();
    let starts = false;
    for (const change of merged(changes)) {
      switch (change.table) {
        case tables.tasks:
          starts = checkTask(change, author, byPerson, now) || starts;
          break;
        case tables.details:
          if (!change.before && change.after) checkNew(change.after);
          break;
        case tables.attempts:
          checkAttempt(change);
          break;
        case tables.steps:
          checkStep(change, moved);
          break;
        case tables.runs:
          checkRun(change, moved);
          break;
        case tables.runners:
          checkRunner(change, now);
          break;
        case tables.orchestrators:
          checkOrchestrator(change, author.server, now);
          break;
        case tables.breakers:
          checkBreaker(change);
          break;
      }
    }
    const { message } = author;
    if (message && changes.length > 0) {
      const runner = tables.runners.rows.get(message.runner);
      if (!runner || runner[l.epoch] !== message.runnerEpoch)
        fail("I3 stale write", `${message.kind} of ${message.task}#${message.attempt} was written for an older life of ${message.runner}`);
      else if (Number(runner[l.lease_until]) <= now)
        fail("I2 lease", `${message.kind} of ${message.task}#${message.attempt} was written after the lease of ${message.runner} was over`);
    }
    if (starts) checkLimits();
    for (const run of moved) checkAdvance(run);
    if (plan.statements.length > 1000) fail("I9 bounded", "a plan has more than 1,000 statements");
  }

  // ---- events

  function tell(event: StoredEvent): void {
    const before = heads.get(event.stream) ?? 0;
    if (event.seq !== before + 1) fail("I7 dense events", `${event.stream} goes from ${before} to ${event.seq}`);
    heads.set(event.stream, event.seq);
    const { type, task, run, data } = event;
    if (task !== null) fold(event, task);
    if (run === null) return;
    if (type === "step.settled") endedSteps.set(`${run}/${text(data["step"] as SqlValue)}`, data["state"]);
    if (type === "run.settled") endedRuns.set(run, data["state"]);
    if (type === "run.retried") {
      endedRuns.delete(run);
      for (const step of data["steps"] as string[]) {
        for (const key of endedSteps.keys()) if (key === `${run}/${step}` || key.startsWith(`${run}/${step}[`)) endedSteps.delete(key);
      }
    }
  }

  function fold({ type, data }: StoredEvent, task: string): void {
    const before = folded.get(task);
    if (type === "task.created") {
      if (before) fail("I4 one task", `${task} was created twice`);
      folded.set(task, { state: "queued", attempt: 0 });
      return;
    }
    if (!before) return fail("I7 fold", `${type} of ${task}, which was never created`);
    switch (type) {
      case "task.assigned":
        if (Number(data["attempt"]) !== before.attempt + 1)
          fail("I3 fence", `${task} goes from attempt ${before.attempt} to ${text(data["attempt"] as SqlValue)}`);
        folded.set(task, { state: "starting", attempt: Number(data["attempt"]) });
        return;
      case "task.started":
        before.state = "running";
        return;
      case "approval.opened":
        before.state = "needs you";
        return;
      case "approval.answered":
      case "approval.expired":
        if (before.state === "needs you") before.state = "running";
        return;
      case "task.settled":
        if (over(before.state)) fail("I4 one outcome", `${task} was settled twice`);
        before.state = text(data["state"] as SqlValue);
        return;
      case "task.requeued":
        if (over(before.state) && data["by"] !== "person") fail("I4 one outcome", `${task} was over, and went back to the queue by itself`);
        before.state = text(data["state"] as SqlValue);
        return;
      default:
        return;
    }
  }

  // ---- tasks

  /** Answers whether an attempt began. */
  function checkTask({ before, after }: Change, author: Written["author"], byPerson: ReadonlySet<string | null>, now: number): boolean {
    if (!after) return fail("I1 lost", `${text(before?.[t.id])} was deleted`);
    const id = text(after[t.id]);
    if (!before) {
      openTasks += 1;
      return false;
    }
    const [was, is] = [before[t.state] as string, after[t.state] as string];
    if (over(was) !== over(is)) openTasks += over(is) ? -1 : 1;
    if (over(was) && was !== is && !byPerson.has(id)) fail("I4 one outcome", `${id} was ${was} and became ${is}`);
    if (over(was) && byPerson.has(id)) failures.delete(id);
    const known = folded.get(id);
    // What waited for a time is ready when that has come: no event says so.
    const isDue = known?.state === "paused" && is === "queued";
    if (known && !isDue && (known.state !== is || known.attempt !== after[t.attempt]))
      fail("I7 fold", `${id} is ${is}#${text(after[t.attempt])}, its events say ${known.state}#${known.attempt}`);
    if (Number(after[t.attempt]) < Number(before[t.attempt])) fail("I3 fence", `${id} goes back to attempt ${text(after[t.attempt])}`);
    const { message } = author;
    if (message?.task === id && before[t.attempt] !== message.attempt)
      fail("I3 stale write", `${message.kind} of attempt ${message.attempt} changed ${id}, which is at attempt ${text(before[t.attempt])}`);
    if (over(is) && !over(was)) checkEnd(id, before, after);
    if (is !== "starting" || was === "starting") return false;
    checkStart(id, before, after, author, now);
    return true;
  }

  /** Who asked for a stop first gets it: work that had not ended by then may only be done, or end for that reason. */
  function checkEnd(id: string, before: Row, after: Row): void {
    const stop = before[t.cancel_requested];
    if (stop === 0 || after[t.state] === "done") return;
    const wanted = stop === 1 ? "cancelled" : "failed";
    if (after[t.state] !== wanted && after[t.reason] !== "need failed")
      fail("G9 stop", `${id} was to be stopped, and ended as ${text(after[t.state])} (${text(after[t.reason])})`);
  }

  function checkStart(id: string, before: Row, after: Row, author: Written["author"], now: number): void {
    const project = text(after[t.project]);
    const conductor = conductors.get(project);
    const lease = tables.orchestrators.rows.get(project);
    if (conductor?.server !== author.server || !lease || lease[o.epoch] !== conductor.epoch)
      fail("I3 stale write", `${author.server} started ${id} of ${project}, which ${conductor?.server ?? "nobody"} has`);
    else if (Number(lease[o.lease_until]) <= now) fail("I2 lease", `${author.server} started ${id} after its lease of ${project} was over`);
    if (before[t.state] !== "queued") fail("I2 start", `${id} was ${text(before[t.state])} and was started`);
    if (before[t.cancel_requested] !== 0) fail("G9 stop", `${id} was to be stopped and was started`);
    if (Number(after[t.attempt]) !== Number(before[t.attempt]) + 1) fail("I3 fence", `${id} was started without a new attempt`);
    const needs = JSON.parse(text(tables.details.rows.get(id)?.[d.needs] ?? "[]")) as string[];
    for (const need of needs) {
      const state = tables.tasks.rows.get(need)?.[t.state];
      if (state !== "done") fail("I5 needs", `${id} was started, and ${need} is ${text(state)}`);
    }
    if (after[t.run] !== null) checkStepNeeds(text(after[t.run]), text(after[t.step]));
  }

  function checkStepNeeds(run: string, id: string): void {
    const row = tables.steps.rows.get(stepKey(run, id));
    const name = row?.[s.parent] === null ? id : text(row?.[s.parent]);
    const definition = flowOf(run)?.steps.find((step) => step.id === name);
    for (const need of definition?.needs ?? []) {
      const needed = tables.steps.rows.get(stepKey(run, need));
      const state = needed?.[s.state] ?? "gone";
      const isMet = state === "done" || (state === "skipped" && needed?.[s.reason] === "condition");
      if (!isMet) fail("I5 needs", `${run}/${id} was started, and ${need} is ${text(state)}`);
    }
  }

  function checkLimits(): void {
    const projects = new Map<string, number>();
    const agents = new Map<string, number>();
    const keys = new Map<string, { count: number; limit: number }>();
    for (const state of activeStates) {
      for (const row of tables.tasks.bucket(t.state, state).values()) {
        const project = text(row[t.project]);
        projects.set(project, (projects.get(project) ?? 0) + 1);
        if (row[t.agent] !== null) agents.set(text(row[t.agent]), (agents.get(text(row[t.agent])) ?? 0) + 1);
        if (row[t.limits] === null) continue;
        for (const { key, limit } of JSON.parse(text(row[t.limits])) as { key: string; limit: number }[]) {
          const one = keys.get(`${project} ${key}`) ?? { count: 0, limit };
          one.count += 1;
          keys.set(`${project} ${key}`, one);
        }
      }
    }
    for (const [project, count] of projects)
      if (count > (limits.projects.get(project) ?? Infinity)) fail("limit of a project", `${project} has ${count} attempts at once`);
    for (const [agent, count] of agents) {
      if (count <= (limits.agents.get(agent) ?? Infinity)) continue;
      // Orchestrators of several projects do not know of each other's plans: between them the limit is held as well as it is read.
      if (limits.projects.size > 1 && !limits.isHard) overruns += 1;
      else fail("limit of an agent", `${agent} has ${count} attempts at once`);
    }
    for (const [key, { count, limit }] of keys) if (count > limit) fail("limit of a key", `${key}: ${count} at once, ${limit} may be`);
  }

  /** Each request of a client says something else, so two tasks that say the same were made of one request. */
  function checkNew(row: Row): void {
    const title = text(row[d.title]);
    if (!title.startsWith("request ")) return;
    const id = text(row[0]);
    const other = titles.get(title);
    if (other !== undefined) fail("G7 idempotency", `${title} made ${other} and ${id}`);
    titles.set(title, id);
  }

  function checkAttempt({ before, after }: Change): void {
    if (!after) return;
    const task = text(after[a.task]);
    if (!before) return;
    if (before[a.finished_at] !== null) fail("I4 one outcome", `attempt ${task}#${text(after[a.attempt])} ended twice`);
    if (after[a.finished_at] === null || after[a.state] !== "failed" || after[a.reason] === "interrupted") return;
    const count = (failures.get(task) ?? 0) + 1;
    failures.set(task, count);
    const spec = JSON.parse(text(tables.details.rows.get(task)?.[d.spec])) as TaskSpec;
    const most = (spec.retry ?? usualRetry).attempts;
    if (count > most) fail("I10 attempts", `${task} failed ${count} times, ${most} may be`);
  }

  // ---- runs

  const stepKey = (run: string, id: string): string => `${run}\u0001${id}\u0001`;

  function flowOf(run: string): Flow | null {
    const known = flows.get(run);
    if (known) return known;
    const row = tables.runs.rows.get(run);
    if (!row) return null;
    const flow = JSON.parse(text(row[r.graph])) as Flow;
    flows.set(run, flow);
    return flow;
  }

  function checkStep({ before, after }: Change, moved: Set<string>): void {
    const row = after ?? before;
    if (!row) return;
    const run = text(row[s.run]);
    moved.add(run);
    if (!after) return;
    const id = `${run}/${text(after[s.id])}`;
    if (before && before[s.finished_at] !== null && after[s.finished_at] !== null) {
      if (before[s.state] !== after[s.state])
        fail("I4 one outcome", `step ${id} was ${text(before[s.state])} and became ${text(after[s.state])}`);
    }
    if (after[s.finished_at] !== null && endedSteps.get(id) !== after[s.state])
      fail("I7 fold", `step ${id} is ${text(after[s.state])}, its events say ${text(endedSteps.get(id) as SqlValue)}`);
    const group = after[s.parent] === null ? text(after[s.id]) : text(after[s.parent]);
    checkGroup(run, group);
  }

  function checkGroup(run: string, id: string): void {
    const group = tables.steps.rows.get(stepKey(run, id));
    if (!group || group[s.wanted] === null || group[s.wanted] === undefined) return;
    const counts = { created: 0, done: 0, failed: 0, cancelled: 0 };
    for (const row of tables.steps.bucket(s.run, run).values()) {
      if (row[s.parent] !== id) continue;
      counts.created += 1;
      const state = row[s.state];
      if (row[s.finished_at] === null) continue;
      if (state === "done" || state === "failed" || state === "cancelled") counts[state] += 1;
    }
    for (const name of ["created", "done", "failed", "cancelled"] as const) {
      if (group[s[name]] !== counts[name])
        fail("group counters", `${run}/${id} counts ${text(group[s[name]])} ${name}, its rows ${counts[name]}`);
    }
  }

  function checkRun({ before, after }: Change, moved: Set<string>): void {
    if (!after) return;
    const id = text(after[r.id]);
    moved.add(id);
    const [was, is] = [before ? before[r.finished_at] !== null : null, after[r.finished_at] !== null];
    if (was === null) openRuns += is ? 0 : 1;
    else if (was !== is) openRuns += is ? -1 : 1;
    if (is && endedRuns.get(id) !== after[r.state])
      fail("I7 fold", `run ${id} is ${text(after[r.state])}, its events say ${text(endedRuns.get(id) as SqlValue)}`);
  }

  /** Nothing of a run that could move stands still: what `advance` says of its rows now is nothing. */
  function checkAdvance(run: string): void {
    const row = tables.runs.rows.get(run);
    if (!row || row[r.finished_at] !== null || row[r.cancel_requested] !== 0) return;
    const flow = flowOf(run);
    if (!flow) return;
    const steps: Record<string, StepView> = {};
    for (const step of tables.steps.bucket(s.run, run).values()) {
      if (step[s.parent] !== null) continue;
      const id = text(step[s.id]);
      steps[id] = {
        id,
        state: step[s.state] as StepState,
        reason: step[s.reason] as StepView["reason"],
        ...(step[s.wanted] === null
          ? {}
          : {
              group: {
                wanted: Number(step[s.wanted]),
                created: Number(step[s.created]),
                done: Number(step[s.done]),
                failed: Number(step[s.failed]),
                cancelled: Number(step[s.cancelled]),
              },
            }),
      };
    }
    const view: RunView = {
      id: run,
      flow,
      inputs: JSON.parse(text(row[r.inputs])) as Record<string, unknown>,
      agents: JSON.parse(text(row[r.agents])) as Record<string, string>,
      base: row[r.base] as string | null,
      stop: null,
      steps,
      changes: {},
      items: {},
    };
    const { moves, missing } = advance(view);
    if (missing || moves.length > 0)
      fail("run stands still", `${run} could go on: ${missing ? "a step could begin" : (moves[0]?.kind ?? "")}`);
    if (Object.values(steps).every(({ state }) => stepIsTerminal(state))) fail("run stands still", `all steps of ${run} are over`);
  }

  // ---- leases

  function checkRunner({ before, after }: Change, now: number): void {
    if (!before || !after) return;
    if (Number(after[l.epoch]) < Number(before[l.epoch]))
      fail("I3 fence", `runner ${text(after[l.id])} goes back to epoch ${text(after[l.epoch])}`);
    const isLapsed = Number(before[l.lease_until]) <= now && before[l.lease_until] !== 0;
    if (after[l.epoch] === before[l.epoch] && isLapsed && Number(after[l.lease_until]) > now)
      fail("I2 lease", `the lease of runner ${text(after[l.id])} was over and was renewed`);
  }

  function checkOrchestrator({ before, after }: Change, server: string, now: number): void {
    if (!after) return;
    const project = text(after[o.project]);
    const epoch = Number(after[o.epoch]);
    if (epoch < Number(before?.[o.epoch] ?? 0)) fail("I3 fence", `${project} goes back to epoch ${epoch}`);
    if (epoch === (before?.[o.epoch] ?? 0)) return;
    if (before && before[o.holder] !== null && before[o.holder] !== after[o.holder] && Number(before[o.lease_until]) >= now)
      fail("I2 lease", `${server} took ${project} from ${text(before[o.holder])}, whose lease holds`);
    conductors.set(project, { epoch, server });
  }

  function checkBreaker({ before, after }: Change): void {
    if (!before || !after || after[b.state] !== "half-open" || before[b.state] !== "half-open") return;
    if (before[b.trial_attempt] !== after[b.trial_attempt])
      fail("one trial", `${text(after[b.subject])} has ${text(after[b.trial_attempt])} beside ${text(before[b.trial_attempt])}`);
  }

  // ---- work

  function holds({ runner, epoch }: { runner: string; epoch: number }, now: number): boolean {
    const row = tables.runners.rows.get(runner);
    return row?.[l.epoch] === epoch && Number(row[l.lease_until]) > now;
  }

  return {
    written,
    begins(runner, epoch, task, attempt) {
      atWork.set(task, [...(atWork.get(task) ?? []), { runner, epoch, attempt }]);
    },
    effect(runner, epoch, task, attempt, now) {
      if (!holds({ runner, epoch }, now)) fail("zombie work", `${runner} works on ${task}#${attempt} without a lease`);
      const other = atWork.get(task)?.find((one) => one.attempt !== attempt && holds(one, now));
      if (other) fail("I2 two at work", `${task}#${attempt} at ${runner} and #${other.attempt} at ${other.runner}`);
    },
    ends(runner, epoch, task, attempt) {
      const left = (atWork.get(task) ?? []).filter((one) => one.runner !== runner || one.epoch !== epoch || one.attempt !== attempt);
      if (left.length > 0) atWork.set(task, left);
      else atWork.delete(task);
    },
    died(runner) {
      for (const [task, all] of atWork)
        atWork.set(
          task,
          all.filter((one) => one.runner !== runner),
        );
    },
    accepted: (task) => void acked.add(task),
    get openTasks() {
      return openTasks;
    },
    get openRuns() {
      return openRuns;
    },
    get overruns() {
      return overruns;
    },
    open() {
      const rows = [...tables.tasks.rows.values()].filter((row) => !over(row[t.state] ?? null));
      return rows
        .slice(0, 5)
        .map((row) =>
          [t.id, t.state, t.reason, t.attempt, t.ready, t.needs_left, t.cancel_requested, t.agent]
            .map((place) => text(row[place]))
            .join(" "),
        )
        .join("; ");
    },
    finish() {
      for (const id of acked) {
        const state = tables.tasks.rows.get(id)?.[t.state];
        if (state === undefined || !over(state)) fail("I1 lost", `${id} was accepted and is ${text(state)}`);
      }
      for (const row of tables.tasks.rows.values()) {
        if (active.has(row[t.state] ?? null)) fail("I1 lost", `${text(row[t.id])} is ${text(row[t.state])} at the end`);
      }
    },
  };
}

/** What a plan did to each row altogether. */
function merged(changes: readonly Change[]): Change[] {
  if (changes.length < 2) return [...changes];
  const rows = new Map<Row, Change>();
  const all: Change[] = [];
  for (const { table, before, after } of changes) {
    const earlier = before ? rows.get(before) : undefined;
    if (earlier) {
      rows.delete(before as Row);
      earlier.after = after;
      if (after) rows.set(after, earlier);
      continue;
    }
    const change = { table, before, after };
    all.push(change);
    if (after) rows.set(after, change);
  }
  return all;
}

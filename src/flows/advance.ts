import { inputAddress, isArtifactReference, replaceReferences } from "../artifacts/artifact.ts";
import type { Reason, State, TaskSpec } from "../tasks/task.ts";
import { evaluate, evaluateCondition, evaluateText, evaluateValue, references } from "./expression.ts";
import { stepIsTerminal, type Flow, type FlowStep, type StepState, type Template, type Value } from "./flow.ts";
import { outputInstructions } from "../tasks/output.ts";

/**
 * What happens next in a run. Pure: it is given the top-level steps (never the items of a group, only their counters) and the
 * results of those steps that expressions ask for, and answers the moves to write. When it needs a result that it was not
 * given, it answers which; the caller loads it and asks again.
 */

/** What expressions see of a step. */
export interface StepResult {
  output: unknown;
  /** For a group: the outputs of its done items, in order. */
  outputs?: unknown[];
  answer?: string | null;
  files?: string[];
  commit?: string | null;
}

export interface StepView {
  id: string;
  state: StepState;
  reason: Reason | null;
  /** Loaded only when an expression asks for it. */
  result?: StepResult;
  group?: { wanted: number; created: number; done: number; failed: number; cancelled: number };
}

export interface RunView {
  id: string;
  flow: Flow;
  inputs: Record<string, unknown>;
  /** Names in the flow that stand for other agents, by the person's choice when the run was made. */
  agents: Record<string, string>;
  /** The commit that steps start from; moves on with every delivered merge. */
  base: string | null;
  /** Why everything that has not started any more is cancelled; null: it is not. */
  stop: "person" | "time limit" | null;
  steps: Record<string, StepView>;
  /** The work of a group's items: what `merge` takes. Loaded like results. */
  changes: Record<string, Change[] | undefined>;
  /** The items of groups that are still being created. */
  items: Record<string, unknown[] | undefined>;
}

export interface Change {
  step: string;
  title: string;
  commit: string;
  agent: string;
}

export type Move =
  | { kind: "start"; step: string; spec: TaskSpec; title: string }
  | { kind: "open group"; step: string; items: unknown[] }
  | { kind: "start items"; step: string; from: number; tasks: { id: string; spec: TaskSpec; title: string }[] }
  | { kind: "ask"; step: string; question: string; show: Record<string, unknown>; options: string[]; timeoutMs: number | null }
  | { kind: "settle step"; step: string; state: StepState; reason: Reason | null; message: string | null }
  | { kind: "settle run"; state: State; reason: Reason | null; message: string | null };

export interface Missing {
  results: Set<string>;
  changes: Set<string>;
  items: Set<string>;
}

/** At most this many tasks of one group are created in one plan. */
export const maxTasksInPlan = 200;

/**
 * Answers the moves and the state that the run is in after them, or what has to be loaded first (then `moves` is empty).
 * The given view is not changed.
 */
export function advance(view: RunView): { moves: Move[]; state: State; missing: Missing | null } {
  const steps: Record<string, StepView> = Object.fromEntries(Object.entries(view.steps).map(([id, step]) => [id, { ...step }]));
  const moves: Move[] = [];
  const missing: Missing = { results: new Set(), changes: new Set(), items: new Set() };
  const run = { ...view, steps };
  let moved = true;
  while (moved) {
    moved = false;
    for (const definition of view.flow.steps) {
      const step = steps[definition.id];
      if (!step || stepIsTerminal(step.state)) continue;
      const made = step.reason === "needs" ? begin(run, definition, step, missing) : goOn(run, definition, step, missing);
      if (made.length > 0) moved = true;
      moves.push(...made);
    }
  }
  if (missing.results.size + missing.changes.size + missing.items.size > 0) return { moves: [], state: "running", missing };
  const end = endOf(run);
  if (end) return { moves: [...moves, end], state: end.state, missing: null };
  const waits = Object.values(steps).some((step) => step.state === "needs you");
  return { moves, state: waits ? "needs you" : "running", missing: null };
}

/** A step that waits for its needs: starts, is skipped, or goes on waiting. Changes the step in the working view. */
function begin(run: RunView, definition: FlowStep, step: StepView, missing: Missing): Move[] {
  if (run.stop) return [end(step, "cancelled", run.stop)];
  const needs = definition.needs.map((id) => run.steps[id]);
  if (needs.some((need) => need && !stepIsTerminal(need.state))) return [];
  if (needs.some((need) => need && blocks(need))) return [end(step, "skipped", "need failed")];
  if (!loaded(run, definition, missing)) return [];
  try {
    if (definition.if && !evaluateCondition(definition.if, contextOf(run, {}))) return [end(step, "skipped", "condition")];
    return start(run, definition, step, missing);
  } catch (error) {
    return [end(step, "failed", "error", error instanceof Error ? error.message : String(error))];
  }
}

/** A step that was skipped by its own condition does not hold up what comes after it; a failed one does. */
const blocks = (need: StepView): boolean =>
  need.state === "failed" || need.state === "cancelled" || (need.state === "skipped" && need.reason === "need failed");

/** A running group creates its next items and ends when all have ended; an open question ends with its run. */
function goOn(run: RunView, definition: FlowStep, step: StepView, missing: Missing): Move[] {
  if (definition.kind === "ask" && run.stop) return [end(step, "cancelled", run.stop)];
  if (definition.kind !== "each" || !step.group) return [];
  const { group } = step;
  const ended = group.done + group.failed + group.cancelled;
  const wanted = run.stop ? group.created : group.wanted;
  if (ended >= wanted) {
    if (run.stop) return [end(step, "cancelled", run.stop)];
    const enough = group.wanted === 0 || group.done / group.wanted >= definition.quorum;
    if (enough) return [end(step, "done", null)];
    return [end(step, "failed", "need failed", `${group.failed + group.cancelled} of ${group.wanted} items were not done`)];
  }
  if (run.stop) return [];
  const room = Math.min(definition.parallel - (group.created - ended), group.wanted - group.created, maxTasksInPlan);
  if (room <= 0) return [];
  const items = run.items[step.id];
  if (!items) {
    missing.items.add(step.id);
    return [];
  }
  if (!loaded(run, definition, missing)) return [];
  return startItems(run, definition, step, items, room);
}

function startItems(run: RunView, definition: FlowStep & { kind: "each" }, step: StepView, items: unknown[], room: number): Move[] {
  const { group } = step;
  if (!group) return [];
  const from = group.created;
  try {
    const tasks = items.slice(from, from + room).map((item, offset) => {
      const index = from + offset;
      const spec = specOf(run, definition.work, { [definition.as]: item, index });
      return { id: `${step.id}[${index}]`, spec, title: titleOfItem(step.id, index, item) };
    });
    group.created += tasks.length;
    return [{ kind: "start items", step: step.id, from, tasks }];
  } catch (error) {
    return [end(step, "failed", "error", error instanceof Error ? error.message : String(error))];
  }
}

function titleOfItem(step: string, index: number, item: unknown): string {
  const named = item && typeof item === "object" && "title" in item && typeof item.title === "string" ? item.title : null;
  const text = named ?? (typeof item === "string" ? item : `${step}[${index}]`);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function start(run: RunView, definition: FlowStep, step: StepView, missing: Missing): Move[] {
  switch (definition.kind) {
    case "agent":
    case "run": {
      const spec = specOf(run, definition, {});
      return [begun(step, { kind: "start", step: step.id, spec, title: definition.id })];
    }
    case "fold": {
      const items = evaluate(definition.fold, contextOf(run, {}));
      const spec = specOf(run, definition.work, { items });
      return [begun(step, { kind: "start", step: step.id, spec, title: definition.id })];
    }
    case "each": {
      const items = evaluate(definition.each, contextOf(run, {}));
      if (!Array.isArray(items)) return [end(step, "failed", "error", "`each` needs a list, its expression gave another thing")];
      step.group = { wanted: items.length, created: 0, done: 0, failed: 0, cancelled: 0 };
      const opened = begun(step, { kind: "open group", step: step.id, items });
      const room = Math.min(definition.parallel, items.length, maxTasksInPlan);
      return room > 0 ? [opened, ...startItems(run, definition, step, items, room)] : [opened];
    }
    case "ask": {
      const context = contextOf(run, {});
      const question = evaluateText(definition.question, context);
      const show = Object.fromEntries(Object.entries(definition.show).map(([name, value]) => [name, evaluateValue(value, context)]));
      step.state = "needs you";
      step.reason = "question";
      return [{ kind: "ask", step: step.id, question, show, options: definition.options, timeoutMs: definition.timeoutMs }];
    }
    case "merge": {
      const sources = definition.merge.flatMap((id) => {
        const changes = run.changes[id];
        if (!changes) missing.changes.add(id);
        return changes ?? [];
      });
      if (missing.changes.size > 0) return [];
      const { into, check, minutes } = definition;
      const spec: TaskSpec = {
        kind: "merge",
        sources: sources.map((source) => ({ ...source, step: `${run.id}/${source.step}` })),
        into,
        base: null,
        env: {},
        ...(check ? { check } : {}),
        ...(minutes ? { minutes } : {}),
      };
      return [begun(step, { kind: "start", step: step.id, spec, title: definition.id })];
    }
  }
}

function begun(step: StepView, move: Move): Move {
  step.state = "queued";
  step.reason = "new";
  return move;
}

function end(step: StepView, state: StepState, reason: Reason | null, message: string | null = null): Move {
  step.state = state;
  step.reason = reason;
  return { kind: "settle step", step: step.id, state, reason, message };
}

function endOf(run: RunView): Extract<Move, { kind: "settle run" }> | null {
  const steps = Object.values(run.steps);
  if (!steps.every((step) => stepIsTerminal(step.state))) return null;
  if (run.stop === "person") return { kind: "settle run", state: "cancelled", reason: run.stop, message: null };
  if (run.stop) return { kind: "settle run", state: "failed", reason: run.stop, message: "the run took longer than its minutes" };
  const failed = steps.find((step) => step.state === "failed") ?? steps.find((step) => step.state === "cancelled");
  if (failed) return { kind: "settle run", state: "failed", reason: failed.reason, message: `step ${failed.id} was not done` };
  return { kind: "settle run", state: "done", reason: null, message: null };
}

/** Whether the results that the step's expressions name are there; asks for those that are not. */
function loaded(run: RunView, definition: FlowStep, missing: Missing): boolean {
  const before = missing.results.size;
  for (const id of stepsNamedBy(definition)) {
    const step = run.steps[id];
    if (step && step.state !== "skipped" && stepIsTerminal(step.state) && !step.result) missing.results.add(id);
  }
  return missing.results.size === before;
}

/** The steps whose results the expressions of a step read. */
export function stepsNamedBy(definition: FlowStep): Set<string> {
  const names = new Set<string>();
  const add = (part: Template | Value | null): void => {
    if (part) for (const name of references(part).steps) names.add(name);
  };
  add(definition.if);
  if (definition.kind === "each") add(definition.each);
  if (definition.kind === "fold") add(definition.fold);
  if (definition.kind === "ask") {
    add(definition.question);
    Object.values(definition.show).forEach(add);
  }
  const work = definition.kind === "each" || definition.kind === "fold" ? definition.work : definition;
  if (work.kind === "agent" || work.kind === "run") {
    if (work.kind === "agent") add(work.prompt);
    else {
      if (Array.isArray(work.run)) work.run.forEach(add);
      add(work.stdin ?? null);
    }
    Object.values(work.env).forEach(add);
    Object.values(work.with).forEach(add);
    if (work.from) names.add(work.from);
  }
  return names;
}

type Work = Extract<FlowStep, { kind: "each" }>["work"];

/**
 * The task of a step: its templates are filled now, with the results as they are at this moment. Large results that `with` or a
 * list gives become files; their paths are known when there is a session, so until then their addresses stand in the texts.
 */
function specOf(run: RunView, work: Work, items: Record<string, unknown>): TaskSpec {
  const inputs = new Set<string>();
  const asFile = (value: unknown): unknown =>
    replaceReferences(value, ({ $artifact: id, size }) => {
      inputs.add(id);
      return { file: inputAddress(id), size };
    });
  const filesOf = (values: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asFile(value)]));
  const extra = filesOf(items);
  const context = contextOf(run, extra);
  const given = filesOf(Object.fromEntries(Object.entries(work.with).map(([name, value]) => [name, evaluateValue(value, context)])));
  const full = { ...context, with: given };
  const common = {
    env: Object.fromEntries(Object.entries(work.env).map(([name, template]) => [name, evaluateText(template, full)])),
    base: work.from ? (run.steps[work.from]?.result?.commit ?? run.base) : run.base,
    ...(work.minutes ? { minutes: work.minutes } : {}),
    ...(work.output ? { output: work.output } : {}),
  };
  if (work.kind === "run") {
    const argv = typeof work.run === "string" ? work.run : work.run.map((item) => evaluateText(item, full));
    const stdin = work.stdin === undefined ? {} : { stdin: stdinOf(evaluate(work.stdin, full), asFile) };
    return { kind: "run", run: argv, ...stdin, ...common, ...(inputs.size > 0 ? { inputs: [...inputs] } : {}) };
  }
  const used = references(work.prompt).roots;
  const data = { ...(used.has("with") ? {} : given), ...("items" in extra && !used.has("items") ? { items: extra.items } : {}) };
  const prompt = [
    evaluateText(work.prompt, full),
    // Results of other agents are data: they stand in a block of their own, never in the middle of an instruction.
    Object.keys(data).length > 0 ? `Data for this step (JSON):\n${JSON.stringify(data, null, 2)}` : "",
    work.output ? outputInstructions(work.output) : "",
  ];
  const agent = { ...work.agent, ...(work.agent.name ? { name: run.agents[work.agent.name] ?? work.agent.name } : {}) };
  return {
    kind: "agent",
    prompt: prompt.filter(Boolean).join("\n\n"),
    agent,
    includeDirty: false,
    ...(work.check ? { check: work.check } : {}),
    ...common,
    ...(inputs.size > 0 ? { inputs: [...inputs] } : {}),
  };
}

/** A large result itself is streamed and so needs no file, and its preview is for people. */
function stdinOf(value: unknown, asFile: (value: unknown) => unknown): unknown {
  if (!isArtifactReference(value)) return asFile(value);
  const { preview: _preview, ...reference } = value;
  return reference;
}

/** What expressions may name. Skipped steps are there, with a null output. */
function contextOf(run: RunView, extra: Record<string, unknown>): Record<string, unknown> {
  const steps = Object.fromEntries(
    Object.values(run.steps).map((step) => [
      step.id,
      { state: step.state, output: null, outputs: [], answer: null, files: [], commit: null, ...step.result },
    ]),
  );
  return { inputs: run.inputs, steps, run: { id: run.id, flow: run.flow.name }, ...extra };
}

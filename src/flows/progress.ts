import { createHash } from "node:crypto";
import { canonical } from "../canonical.ts";
import { emptyPlan, sql, type Db, type Plan, type Reader } from "../db/plan.ts";
import { insertTask, type AttemptFence, type TaskRow } from "../tasks/store.ts";
import { planSettlement } from "../tasks/settled.ts";
import type { AttemptEnd } from "../tasks/settle.ts";
import { isTerminal, type State, type TaskResult } from "../tasks/task.ts";
import { advance, type Move, type RunView, type StepView } from "./advance.ts";
import { stepIsTerminal, type StepState } from "./flow.ts";
import {
  addItems,
  answerSteps,
  askSteps,
  countItems,
  followTasks,
  insertAsks,
  insertItems,
  moveRuns,
  openGroups,
  queueSteps,
  settleSteps,
} from "./writes.ts";
import { findStep, getGroupItems, getRun, graphOf, listTopSteps, loadChanges, loadResults, type RunRow, type StepRow } from "./store.ts";

/**
 * The acting half of a run: loads what `advance` asks for and turns its moves into one plan. A run's row carries a revision;
 * every plan that moves the run expects the one it has read, so two steps that end at once cannot overlook each other.
 */

const viewOfStep = (row: StepRow): StepView => ({
  id: row.id,
  state: row.state,
  reason: row.reason,
  ...(row.wanted === null
    ? {}
    : {
        group: {
          wanted: row.wanted,
          created: row.created ?? 0,
          done: row.done ?? 0,
          failed: row.failed ?? 0,
          cancelled: row.cancelled ?? 0,
        },
      }),
});

const viewFrom = (row: RunRow, steps: Record<string, StepView>): RunView => ({
  id: row.id,
  flow: graphOf(row),
  inputs: JSON.parse(row.inputs) as Record<string, unknown>,
  agents: JSON.parse(row.agents) as Record<string, string>,
  base: row.base,
  stop: row.cancel_requested === 1 ? "person" : row.cancel_requested === 2 ? "time limit" : null,
  steps,
  changes: {},
  items: {},
});

/** The run with its steps; `anew` are steps that the same plan sets back to their beginning. */
async function viewOf(read: Reader, row: RunRow, anew: ReadonlySet<string> = new Set()): Promise<RunView> {
  const steps = (await listTopSteps(read, row.id)).map((step): [string, StepView] => [
    step.id,
    anew.has(step.id) ? { id: step.id, state: "queued", reason: "needs" } : viewOfStep(step),
  ]);
  return viewFrom(row, Object.fromEntries(steps));
}

interface Next {
  moves: Move[];
  state: State;
}

/** The moves of a run after a change, with everything loaded that the expressions need. */
async function movesOf(read: Reader, view: RunView, fresh: FreshItem | null): Promise<Next> {
  for (;;) {
    const { moves, state, missing } = advance(view);
    if (!missing) return { moves, state };
    const results = await loadResults(read, view.id, missing.results);
    for (const [id, result] of Object.entries(results)) {
      const step = view.steps[id];
      if (step) step.result = withFreshItem(id, result, fresh);
    }
    for (const id of missing.changes) view.changes[id] = withFreshChange(id, await loadChanges(read, view.id, id), fresh);
    for (const id of missing.items) view.items[id] = await getGroupItems(read, view.id, id);
  }
}

/** The item or step that is being settled in this very plan: the store does not have it yet. */
interface FreshItem {
  id: string;
  parent: string | null;
  position: number;
  result: TaskResult | null;
  agent: string;
  title: string;
  done: boolean;
  /** Positions of the group's items that the store has as done, to put the fresh one in its place. */
  donePositions: number[];
}

function withFreshItem(id: string, result: NonNullable<StepView["result"]>, fresh: FreshItem | null): NonNullable<StepView["result"]> {
  if (!fresh?.done || !fresh.result) return result;
  if (fresh.id === id) {
    return { ...result, output: fresh.result.output, files: fresh.result.files, commit: fresh.result.commit ?? fresh.result.base };
  }
  if (fresh.parent !== id) return result;
  const before = fresh.donePositions.filter((position) => position < fresh.position).length;
  const outputs = [...(result.outputs ?? [])];
  outputs.splice(before, 0, fresh.result.output);
  return { ...result, outputs, files: [...(result.files ?? []), ...fresh.result.files] };
}

function withFreshChange(id: string, changes: RunView["changes"][string] & object, fresh: FreshItem | null): RunView["changes"][string] {
  if (!fresh?.done || !fresh.result?.commit || (fresh.id !== id && fresh.parent !== id)) return changes;
  const change = { step: fresh.id, title: fresh.title, commit: fresh.result.commit, agent: fresh.agent };
  const position = (step: string): number => Number(/\[(\d+)\]$/.exec(step)?.[1] ?? 0);
  return [...changes, change].toSorted((a, b) => position(a.step) - position(b.step));
}

/** Writes the moves; `revision` is the run's as it was read. */
async function planMoves(db: Db, run: RunRow, { moves, state }: Next, options: { base: string | null; now: number }): Promise<Plan> {
  const { now } = options;
  const plan = emptyPlan();
  if (run.finished_at !== null) return plan;
  const settled = moves.find((move) => move.kind === "settle run");
  plan.statements.push(
    moveRuns({
      id: run.id,
      revision: run.revision,
      state,
      reason: settled ? settled.reason : state === "needs you" ? "question" : null,
      message: settled?.message ?? null,
      base: options.base,
      now,
      finished_at: settled ? now : null,
    }),
  );
  for (const move of moves) {
    const part = await planMove(db, run, move, now);
    plan.statements.push(...part.statements);
    plan.events.push(...part.events);
  }
  return plan;
}

async function planMove(db: Db, run: RunRow, move: Move, now: number): Promise<Plan> {
  const event = (type: string, data: Record<string, unknown>) => ({ stream: run.project, type, run: run.id, data });
  switch (move.kind) {
    case "start": {
      const task = `T-${await db.nextNumber("task")}`;
      const inserted = insertTask({
        id: task,
        project: run.project,
        spec: move.spec,
        title: move.title,
        run: run.id,
        step: move.step,
        needs: [],
        needsLeft: 0,
        now,
      });
      inserted.statements.push(queueSteps({ run: run.id, id: move.step, task }));
      inserted.events.push(event("step.started", { step: move.step, task }));
      return inserted;
    }
    case "open group": {
      return {
        statements: [openGroups({ run: run.id, id: move.step, wanted: move.items.length, items: JSON.stringify(move.items) })],
        events: [event("step.started", { step: move.step, wanted: move.items.length })],
      };
    }
    case "start items": {
      const plan = emptyPlan();
      plan.statements.push(addItems({ run: run.id, id: move.step, from_item: move.from, count: move.tasks.length }));
      for (const [offset, item] of move.tasks.entries()) {
        const task = `T-${await db.nextNumber("task")}`;
        const inserted = insertTask({
          id: task,
          project: run.project,
          spec: item.spec,
          title: item.title,
          run: run.id,
          step: item.id,
          needs: [],
          needsLeft: 0,
          now,
        });
        plan.statements.push(
          ...inserted.statements,
          insertItems({ run: run.id, id: item.id, parent: move.step, position: move.from + offset, kind: item.spec.kind, task, now }),
        );
        plan.events.push(...inserted.events, event("step.started", { step: item.id, task }));
      }
      return plan;
    }
    case "ask": {
      const approval = `A-${await db.nextNumber("approval")}`;
      const action = canonical(move.show);
      const expiresAt = move.timeoutMs === null ? null : now + move.timeoutMs;
      return {
        statements: [
          insertAsks({
            id: approval,
            project: run.project,
            run: run.id,
            step: move.step,
            question: move.question,
            action,
            hash: createHash("sha256").update(action).digest("hex"),
            options: JSON.stringify(move.options),
            now,
            expires_at: expiresAt,
          }),
          askSteps({ run: run.id, id: move.step, approval }),
        ],
        events: [event("approval.opened", { approval, step: move.step, question: move.question.slice(0, 500) })],
      };
    }
    case "settle step":
      return {
        statements: [
          settleSteps({ run: run.id, id: move.step, state: move.state, reason: move.reason, message: move.message, verified: null, now }),
        ],
        events: [
          event("step.settled", { step: move.step, state: move.state, reason: move.reason, message: move.message?.slice(0, 500) ?? null }),
        ],
      };
    case "settle run":
      return { statements: [], events: [event("run.settled", { state: move.state, reason: move.reason, message: move.message })] };
  }
}

/** The first moves of a new run, whose rows are written before them in the same plan (so there is nothing to read). */
export async function planFirstMoves(db: Db, run: RunRow, now: number): Promise<Plan> {
  const flow = graphOf(run);
  const steps = flow.steps.map(({ id }): [string, StepView] => [id, { id, state: "queued", reason: "needs" }]);
  const view = viewFrom(run, Object.fromEntries(steps));
  return await planMoves(db, run, await movesOf(db.read, view, null), { base: run.base, now });
}

/**
 * The plan that ends an attempt of a task, whatever it belongs to: the task alone, or the task, its step, its group's counters
 * and everything in its run that starts or ends because of it. One plan: a crash can never leave a finished task with a run
 * that stands still. Answers null when the run is gone.
 */
export async function planTaskEnd(
  db: Db,
  row: TaskRow,
  end: AttemptEnd,
  options: { fence: AttemptFence | null; leaseHeld: boolean; now: number },
): Promise<Plan> {
  const { plan, settlement } = await planSettlement(db.read, row, end, options);
  if (!row.run || !row.step) return plan;
  const { now } = options;
  const { task, result } = settlement;
  if (!isTerminal(task.state)) {
    plan.statements.push(followTasks({ run: row.run, id: row.step, state: task.state, reason: task.reason, message: task.message }));
    return plan;
  }
  const run = await getRun(db.read, row.run);
  const step = await findStep(db.read, row.run, row.step);
  if (!step) return plan;
  const verified = settlement.verified === null ? null : Number(settlement.verified);
  plan.statements.push(
    settleSteps({ run: run.id, id: step.id, state: task.state, reason: task.reason, message: task.message, verified, now }),
  );
  plan.events.push({
    stream: run.project,
    type: "step.settled",
    run: run.id,
    task: row.id,
    data: {
      step: step.id,
      state: task.state,
      reason: task.reason,
      verified: settlement.verified,
      message: task.message?.slice(0, 500) ?? null,
    },
  });
  if (step.parent !== null) {
    const [done, cancelled] = [Number(task.state === "done"), Number(task.state === "cancelled")];
    plan.statements.push(countItems({ run: run.id, id: step.parent, done, failed: 1 - done - cancelled, cancelled }));
  }
  const view = await viewOf(db.read, run);
  applyEnd(view, step, task.state, result);
  const fresh: FreshItem = {
    id: step.id,
    parent: step.parent,
    position: step.position,
    result,
    agent: row.agent ?? "tutti",
    title: row.title,
    done: task.state === "done",
    donePositions: step.parent === null ? [] : await donePositions(db.read, run.id, step.parent),
  };
  if (row.kind === "merge" && task.state === "done" && result?.commit) view.base = result.commit;
  const advanced = await planMoves(db, run, await movesOf(db.read, view, fresh), { base: view.base, now });
  return { statements: [...plan.statements, ...advanced.statements], events: [...plan.events, ...advanced.events] };
}

async function donePositions(read: Reader, run: string, parent: string): Promise<number[]> {
  const rows = await read.all<{ position: number }>(
    sql`select position from steps where run = ${run} and parent = ${parent} and state = 'done'`,
  );
  return rows.map((row) => row.position);
}

function applyEnd(view: RunView, step: StepRow, state: StepState, result: TaskResult | null): void {
  if (step.parent === null) {
    const top = view.steps[step.id];
    if (!top) return;
    top.state = state;
    top.reason = null;
    if (result && state === "done")
      top.result = { output: result.output, files: result.files, commit: result.commit ?? result.base, outputs: [] };
    return;
  }
  const group = view.steps[step.parent]?.group;
  if (!group) return;
  if (state === "done") group.done += 1;
  else if (state === "cancelled") group.cancelled += 1;
  else group.failed += 1;
}

/** The plan that ends an `ask` step with a person's answer, and moves its run on. */
export async function planAnswer(db: Db, approval: { run: string; step: string }, answer: string, now: number): Promise<Plan> {
  const run = await getRun(db.read, approval.run);
  const view = await viewOf(db.read, run);
  const step = view.steps[approval.step];
  if (!step || stepIsTerminal(step.state)) return emptyPlan();
  step.state = "done";
  step.reason = null;
  step.result = { output: answer, answer, outputs: [] };
  const plan: Plan = {
    statements: [answerSteps({ run: run.id, id: approval.step, answer, now })],
    events: [{ stream: run.project, type: "step.settled", run: run.id, data: { step: approval.step, state: "done", answer } }],
  };
  const moves = await movesOf(db.read, view, null);
  const advanced = await planMoves(db, run, moves, { base: run.base, now });
  return { statements: [...plan.statements, ...advanced.statements], events: [...plan.events, ...advanced.events] };
}

/** The plan that moves a run on after something outside of its steps changed: a stop or a retry was asked for. */
export async function planProgress(db: Db, run: RunRow, now: number, anew?: ReadonlySet<string>): Promise<Plan> {
  const view = await viewOf(db.read, run, anew);
  const moves = await movesOf(db.read, view, null);
  if (moves.moves.length === 0) return emptyPlan();
  return await planMoves(db, run, moves, { base: run.base, now });
}

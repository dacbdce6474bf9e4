import { defineRows, sql } from "../db/plan.ts";

/** Every write of a run and its steps. Each touches the one row that its values name; the rule of the transition stands in its `where`. */

export const insertRuns = defineRows(
  "insert run",
  {
    id: "text",
    project: "text",
    flow: "text",
    graph: "text",
    inputs: "text",
    agents: "text",
    base: "text",
    deadline: "bigint",
    now: "bigint",
  },
  (v) => sql`
    insert into runs (id, project, flow, state, reason, graph, inputs, agents, base, revision, deadline, created_at, updated_at)
    select ${v.id}, ${v.project}, ${v.flow}, 'queued', 'new', ${v.graph}, ${v.inputs}, ${v.agents}, ${v.base}, 0, ${v.deadline}, ${v.now}, ${v.now}
           ${v.from}`,
);

/** Moves a run on from the revision that was read, so that two steps that end at once cannot overlook each other. */
export const moveRuns = defineRows(
  "move run",
  {
    id: "text",
    revision: "bigint",
    state: "text",
    reason: "text",
    message: "text",
    base: "text",
    now: "bigint",
    finished_at: "bigint",
  },
  (v) => sql`
    update runs set revision = runs.revision + 1, state = ${v.state}, reason = ${v.reason}, message = ${v.message}, base = ${v.base},
           updated_at = ${v.now}, finished_at = ${v.finished_at} ${v.from}
     where runs.id = ${v.id} and runs.revision = ${v.revision}`,
);

/** The steps of a new run, waiting for their needs. */
export const insertSteps = defineRows(
  "insert step",
  { run: "text", id: "text", position: "bigint", kind: "text", now: "bigint" },
  (v) => sql`
    insert into steps (run, id, position, kind, state, reason, created_at)
    select ${v.run}, ${v.id}, ${v.position}, ${v.kind}, 'queued', 'needs', ${v.now} ${v.from}`,
);

/** An item of a group, with the task that does it. */
export const insertItems = defineRows(
  "insert item",
  { run: "text", id: "text", parent: "text", position: "bigint", kind: "text", task: "text", now: "bigint" },
  (v) => sql`
    insert into steps (run, id, parent, position, kind, state, reason, task, created_at)
    select ${v.run}, ${v.id}, ${v.parent}, ${v.position}, ${v.kind}, 'queued', 'new', ${v.task}, ${v.now} ${v.from}`,
);

/** A step's needs are met: its task is queued. */
export const queueSteps = defineRows(
  "queue step",
  { run: "text", id: "text", task: "text" },
  (v) => sql`
    update steps set state = 'queued', reason = 'new', task = ${v.task} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.state = 'queued'`,
);

export const openGroups = defineRows(
  "open group",
  { run: "text", id: "text", wanted: "bigint", items: "text" },
  (v) => sql`
    update steps set state = 'running', reason = null, wanted = ${v.wanted}, created = 0, done = 0, failed = 0, cancelled = 0, items = ${v.items}
           ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.state = 'queued'`,
);

export const addItems = defineRows(
  "add items",
  { run: "text", id: "text", from_item: "bigint", count: "bigint" },
  (v) => sql`
    update steps set created = steps.created + ${v.count} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.created = ${v.from_item}`,
);

export const askSteps = defineRows(
  "ask",
  { run: "text", id: "text", approval: "text" },
  (v) => sql`
    update steps set state = 'needs you', reason = 'question', approval = ${v.approval} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.state = 'queued'`,
);

export const answerSteps = defineRows(
  "answer step",
  { run: "text", id: "text", answer: "text", now: "bigint" },
  (v) => sql`
    update steps set state = 'done', reason = null, output = ${v.answer}, finished_at = ${v.now} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.state = 'needs you'`,
);

/** A step is over. `verified` null: there was no check. */
export const settleSteps = defineRows(
  "settle step",
  { run: "text", id: "text", state: "text", reason: "text", message: "text", verified: "bigint", now: "bigint" },
  (v) => sql`
    update steps set state = ${v.state}, reason = ${v.reason}, message = ${v.message}, verified = ${v.verified}, finished_at = ${v.now} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.finished_at is null`,
);

/** A step's task goes on later, or has begun: the step is where its task is. */
export const followTasks = defineRows(
  "step follows task",
  { run: "text", id: "text", state: "text", reason: "text", message: "text" },
  (v) => sql`
    update steps set state = ${v.state}, reason = ${v.reason}, message = ${v.message} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.finished_at is null`,
);

/** An item of a group is over: 1 in one of the three, 0 in the others. */
export const countItems = defineRows(
  "count item",
  { run: "text", id: "text", done: "bigint", failed: "bigint", cancelled: "bigint" },
  (v) => sql`
    update steps set done = steps.done + ${v.done}, failed = steps.failed + ${v.failed}, cancelled = steps.cancelled + ${v.cancelled} ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.finished_at is null`,
);

export const insertAsks = defineRows(
  "insert question",
  {
    id: "text",
    project: "text",
    run: "text",
    step: "text",
    question: "text",
    action: "text",
    hash: "text",
    options: "text",
    now: "bigint",
    expires_at: "bigint",
  },
  (v) => sql`
    insert into approvals (id, project, kind, state, run, step, question, action, hash, options, created_at, expires_at)
    select ${v.id}, ${v.project}, 'ask', 'open', ${v.run}, ${v.step}, ${v.question}, ${v.action}, ${v.hash}, ${v.options}, ${v.now}, ${v.expires_at}
           ${v.from}`,
);

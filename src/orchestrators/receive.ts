import { createHash } from "node:crypto";
import { permissionOptions } from "../approvals/answer.ts";
import type { Artifacts } from "../artifacts/artifact.ts";
import { keepResult } from "../artifacts/keep.ts";
import { nameArtifact } from "../artifacts/store.ts";
import { canonical } from "../canonical.ts";
import { onlyPostgres, sql, statement, type Db, type Plan, type Statement } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import type { Bus } from "../events/bus.ts";
import { planTaskEnd } from "../flows/progress.ts";
import type { FromRunner } from "../runners/message.ts";
import { insertPack } from "../sessions/packs-store.ts";
import { attemptFence, findTask, holdsRunnerLease, runnerLeaseFence, type TaskRow } from "../tasks/store.ts";

/**
 * What a runner tells becomes rows, each under the fence of its attempt: runner, epoch and attempt number must still be the
 * task's, and the runner's lease valid on the database's clock. The answer false makes the runner stop the attempt.
 */
export interface ReceiveOptions {
  db: Db;
  bus: Bus;
  artifacts: Artifacts;
  now(): number;
}

/**
 * An agent may say U+0000, which no PostgreSQL text holds and our store refuses: it would hold up the work that it is about. So it
 * becomes the character for what cannot be shown, here, where everything that a runner tells comes in.
 */
function withoutNul<Value>(value: Value): Value {
  const clean = (inside: unknown): unknown => {
    if (typeof inside === "string") return inside.includes("\0") ? inside.replaceAll("\0", "\ufffd") : inside;
    if (Array.isArray(inside)) return inside.map(clean);
    if (typeof inside !== "object" || inside === null) return inside;
    return Object.fromEntries(Object.entries(inside).map(([name, one]) => [clean(name), clean(one)]));
  };
  // It has the same form as before; only letters were changed.
  return clean(value) as Value;
}

export async function receive(options: ReceiveOptions, told: FromRunner): Promise<boolean> {
  const message = withoutNul(told);
  if (message.kind === "delta") {
    options.bus.delta({ session: message.session, turn: message.turn, kind: message.of, text: message.text });
    return true;
  }
  const { db } = options;
  const approval = message.kind === "permission" ? `A-${await db.nextNumber("approval")}` : "";
  let overtaken = false;
  const { result } = await transact(db, async () => {
    const row = await findTask(db.read, message.task);
    if (!row || !isHeld(row, message)) return { plan: null, result: false };
    // The plan's own fence has the word; after a conflict it is asked whether it was the fence that spoke.
    if (overtaken && !(await holdsRunnerLease(db.read, message))) return { plan: null, result: false };
    overtaken = true;
    return { plan: await planFor(options, row, message, approval), result: true };
  });
  return result;
}

const isHeld = (row: TaskRow, message: FromRunner): boolean =>
  row.attempt === message.attempt &&
  row.runner === message.runner &&
  row.runner_epoch === message.runnerEpoch &&
  (row.state === "starting" || row.state === "running" || row.state === "needs you");

type Durable = Exclude<FromRunner, { kind: "delta" }>;

async function planFor(options: ReceiveOptions, row: TaskRow, message: Durable, approval: string): Promise<Plan> {
  const now = options.now();
  const { db } = options;
  const fence = { task: message.task, attempt: message.attempt, runner: message.runner, runnerEpoch: message.runnerEpoch };
  if (message.kind === "outcome") {
    const kept = await keepResult({ artifacts: options.artifacts, read: db.read }, message, now);
    const plan = await planTaskEnd(db, row, kept.outcome, { fence, leaseHeld: true, now });
    plan.statements.push(...kept.statements);
    return plan;
  }
  const held = [runnerLeaseFence(fence), statement(sql`select 1 from tasks where ${attemptFence(fence)} ${onlyPostgres("for share")}`)];
  const event = (type: string, data: Record<string, unknown>) => ({
    stream: row.project,
    type,
    task: row.id,
    run: row.run,
    session: message.session,
    data,
  });
  switch (message.kind) {
    case "started":
      return {
        statements: [
          runnerLeaseFence(fence),
          statement(sql`update tasks set state = 'running', reason = null, updated_at = ${now} where ${attemptFence(fence)}`),
          statement(sql`update attempts set state = 'running' where task = ${row.id} and attempt = ${row.attempt} and finished_at is null`),
          statement(sql`
            update sessions set state = 'running', reason = null, base = coalesce(base, ${message.base}),
                   not_included = ${JSON.stringify(message.notIncluded.slice(0, 1000))}, updated_at = ${now}
             where id = ${message.session}`),
          ...stepState(row, "running", null),
        ],
        events: [event("task.started", { attempt: row.attempt, step: row.step, agent: row.agent, title: row.title })],
      };
    case "vendor-session":
      return {
        statements: [
          ...held,
          statement(sql`update sessions set vendor_session = ${message.vendorSession}, updated_at = ${now} where id = ${message.session}`),
        ],
        events: [],
      };
    case "turn-started":
      return {
        statements: [
          ...held,
          statement(sql`
            insert into turns (session, turn, attempt, state, prompt, started_at)
            values (${message.session}, ${message.turn}, ${row.attempt}, 'running', ${message.prompt}, ${now})`),
          statement(sql`update task_details set follow_up = null where task = ${row.id}`),
        ],
        events: [event("turn.started", { turn: message.turn, step: row.step })],
      };
    case "transcript":
      return {
        statements: [
          ...held,
          statement(sql`
            insert into transcript_segments (session, turn, part, data)
            values (${message.session}, ${message.turn}, ${message.part}, ${message.entries.map((entry) => JSON.stringify(entry)).join("\n")})`),
        ],
        events: [],
      };
    case "permission": {
      const { permission, tool, action, options: choices } = message;
      const raw = canonical({ permission, tool, action, options: choices });
      return {
        statements: [
          runnerLeaseFence(fence),
          statement(sql`update tasks set state = 'needs you', reason = 'approval', updated_at = ${now} where ${attemptFence(fence)}`),
          statement(sql`
            insert into approvals (id, project, kind, state, task, attempt, run, step, session, agent, question, action, hash, options, created_at)
            values (${approval}, ${row.project}, 'permission', 'open', ${row.id}, ${row.attempt}, ${row.run}, ${row.step}, ${message.session}, ${row.agent},
                    ${`${row.agent ?? "an agent"} wants to use ${tool}`}, ${raw}, ${createHash("sha256").update(raw).digest("hex")},
                    ${JSON.stringify(permissionOptions(choices))}, ${now})`),
          ...stepState(row, "needs you", "approval"),
          statement(sql`update runs set state = 'needs you', reason = 'approval' where id = ${row.run} and state = 'running'`, "any"),
        ],
        events: [event("approval.opened", { approval, tool: tool.slice(0, 200), step: row.step })],
      };
    }
    case "packed":
      return { statements: [...held, ...insertPack(row.project, message.pack, now)], events: [] };
    case "turn-ended":
      return await planTurnEnd(options, message, held, event);
  }
}

const stepState = (row: TaskRow, state: string, reason: string | null): Statement[] =>
  row.run && row.step
    ? [
        statement(
          sql`update steps set state = ${state}, reason = ${reason} where run = ${row.run} and id = ${row.step} and finished_at is null`,
        ),
      ]
    : [];

/** The turn's transcript is sealed: its segments become one artifact, which is on disk before the row that names it. */
async function planTurnEnd(
  { db, artifacts, now }: ReceiveOptions,
  message: Extract<FromRunner, { kind: "turn-ended" }>,
  held: Statement[],
  event: (type: string, data: Record<string, unknown>) => Plan["events"][number],
): Promise<Plan> {
  const { session, turn, outcome, usage, commit } = message;
  const segments = await db.read.all<{ data: string }>(
    sql`select data from transcript_segments where session = ${session} and turn = ${turn} order by part`,
  );
  const sealed = segments.length > 0 ? await artifacts.put(`${segments.map((segment) => segment.data).join("\n")}\n`) : null;
  const state = outcome.kind === "done" ? "done" : outcome.kind === "cancelled" ? "cancelled" : "failed";
  return {
    statements: [
      ...held,
      statement(sql`
        update turns set state = ${state}, outcome = ${JSON.stringify(outcome)}, usage_json = ${usage ? JSON.stringify(usage) : null},
               commit_id = ${commit}, transcript = ${sealed?.id ?? null}, finished_at = ${now()}
         where session = ${session} and turn = ${turn} and finished_at is null`),
      statement(sql`update sessions set commit_id = coalesce(${commit}, commit_id), updated_at = ${now()} where id = ${session}`),
      ...(sealed
        ? [
            nameArtifact(sealed, now()),
            statement(sql`delete from transcript_segments where session = ${session} and turn = ${turn}`, segments.length),
          ]
        : []),
    ],
    events: [event("turn.settled", { turn, outcome: outcome.kind, usage, commit })],
  };
}

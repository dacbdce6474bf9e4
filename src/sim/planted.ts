import type { Plan, RowsStatement, Statement } from "../db/plan.ts";
import { sql, statement } from "../db/plan.ts";
import type { Bug } from "./store.ts";

/**
 * Bugs that are planted into the product to see whether the simulator finds them: each takes one guard away from the product's own
 * statements or plans. One that is not found within its seeds, or that finds nothing to change any more, fails the run.
 */
export interface Planted {
  name: string;
  /** What the product would do wrong. */
  story: string;
  /** A new one for each run. `changed` is called when there was something to change. */
  make(changed: () => void): Bug;
  usesServerClock?: boolean;
  ignoresLease?: boolean;
  /** It is to be found within so many seeds. */
  within: number;
}

type Rewrite = { of: RegExp; from: RegExp; to: string };

/** The condition stands there and asks nothing any more, so that the values keep their places. */
const asksNothing = (of: RegExp, from: RegExp): Rewrite => ({ of, from, to: "($& or 1 = 1)" });

function rewriting(...rewrites: Rewrite[]): Planted["make"] {
  return (changed) => {
    const open = new Set(rewrites);
    return {
      sql(text) {
        let result = text;
        for (const rewrite of rewrites) {
          if (!rewrite.of.test(text)) continue;
          const next = result.replace(rewrite.from, rewrite.to);
          if (next === result) continue;
          result = next;
          open.delete(rewrite);
          if (open.size === 0) changed();
        }
        return result;
      },
    };
  };
}

/** Changes the statements of plans; null leaves one out. */
function replanning(change: (one: Statement) => Statement | null): Planted["make"] {
  return (changed) => ({
    plan(plan: Plan): Plan {
      const statements = plan.statements.flatMap((one) => {
        const other = change(one);
        if (other !== one) changed();
        return other ?? [];
      });
      return { statements, events: plan.events };
    },
  });
}

const isWrite = (one: Statement, name: string): one is RowsStatement => "write" in one && one.write.name === name;
const at = ({ write }: RowsStatement, column: string): number => write.columns.indexOf(column);

const orchestratorFence = /^\s*select 1 from orchestrators/;
const runnerFence = /^\s*select 1 from runners/;
const startTask = /^\s*update tasks set state = 'starting'/;
const settleTask = /^\s*update tasks set state = \?1, reason = \?2, ready/;
const settleAttempt = /^\s*update attempts set state = \?/;

const noAttemptNumber = [asksNothing(settleTask, /tasks\.attempt = \?\d+/), asksNothing(settleAttempt, /attempts\.finished_at is null/)];
const noState = [
  asksNothing(settleTask, /tasks\.state in \('starting', 'running', 'needs you'\)/),
  asksNothing(settleTask, /tasks\.runner = \?\d+/),
  asksNothing(settleTask, /tasks\.runner_epoch = \?\d+/),
];

export const planted: readonly Planted[] = [
  {
    name: "no fence check",
    story: "an attempt's outcome is taken whoever tells it",
    make: rewriting(
      ...noAttemptNumber,
      ...noState,
      asksNothing(runnerFence, /\bepoch = \?/),
      asksNothing(runnerFence, /lease_until > tutti_now\(\)/),
    ),
    within: 2000,
  },
  { name: "worker clock", story: "leases are judged by each server's own clock", make: () => ({}), usesServerClock: true, within: 2000 },
  {
    name: "claim by looking",
    story: "a task is claimed because it was seen to be free",
    make: rewriting(
      asksNothing(startTask, /tasks\.attempt = \?\d+/),
      asksNothing(startTask, /tasks\.state = 'queued'/),
      asksNothing(startTask, /tasks\.ready = 1/),
      { of: /insert into attempts/, from: /$/, to: " on conflict (task, attempt) do update set started_at = excluded.started_at" },
      asksNothing(orchestratorFence, /\bepoch = \?/),
      asksNothing(orchestratorFence, /lease_until > tutti_now\(\)/),
    ),
    within: 2000,
  },
  {
    name: "no reaper",
    story: "attempts of a runner that is gone stay with it",
    make: rewriting({
      of: /join runners r on r\.id = t\.runner/,
      from: /\(r\.epoch <> t\.runner_epoch or r\.lease_until < tutti_now\(\)\)/,
      to: "1 = 0",
    }),
    within: 2000,
  },
  {
    name: "outcome twice",
    story: "an outcome that is told twice is written twice",
    make: rewriting(
      ...noState,
      asksNothing(settleAttempt, /attempts\.finished_at is null/),
      asksNothing(/update attempts set told/, /attempts\.told < \?\d*/),
    ),
    within: 2000,
  },
  {
    name: "no attempt cap",
    story: "failures are not counted",
    make: rewriting({ of: /t\.crashes, t\.failures/, from: /t\.crashes, t\.failures/, to: "0 as crashes, 0 as failures" }),
    within: 2000,
  },
  {
    name: "failed need is enough",
    story: "what needs a failed task is started as if that were done",
    make: replanning((one) => {
      if (!isWrite(one, "settle waiting task") || one.rows[0]?.[at(one, "reason")] !== "need failed") {
        return one;
      }
      return statement(sql`update tasks set needs_left = 0, ready = 1 where id = ${one.rows[0][at(one, "id")] ?? null}`, "any");
    }),
    within: 2000,
  },
  {
    name: "running need is enough",
    story: "a task does not wait for what it needs",
    make: replanning((one) => {
      if (!isWrite(one, "insert task") || one.rows[0]?.[at(one, "needs_left")] === 0) return one;
      const ready = at(one, "ready");
      const left = at(one, "needs_left");
      return {
        write: one.write,
        rows: one.rows.map((row) => row.map((value, index) => (index === ready ? 1 : index === left ? 0 : value))),
      };
    }),
    within: 2000,
  },
  {
    name: "event numbers outside of the transaction",
    story: "a plan in conflict uses numbers up",
    make: (changed) => (changed(), { losesNumbers: true }),
    within: 2000,
  },
  {
    name: "need's end is lost",
    story: "who waits for a task does not hear that it is done",
    make: replanning((one) => (isWrite(one, "need done") ? null : one)),
    within: 2000,
  },
  {
    name: "runner ignores its lease",
    story: "a runner goes on without knowing whether its lease holds",
    make: (changed) => (changed(), {}),
    ignoresLease: true,
    within: 2000,
  },
  {
    name: "no orchestrator epoch",
    story: "an orchestrator of an earlier life still assigns",
    make: rewriting(asksNothing(orchestratorFence, /\bepoch = \?/)),
    within: 4000,
  },
  {
    name: "orchestrator's lease not asked",
    story: "an orchestrator assigns after its time",
    make: rewriting(asksNothing(orchestratorFence, /lease_until > tutti_now\(\)/)),
    within: 2000,
  },
  {
    name: "no runner epoch",
    story: "what an earlier life of a runner tells is taken",
    make: rewriting(asksNothing(runnerFence, /\bepoch = \?/)),
    within: 4000,
  },
  {
    name: "runner's lease not asked",
    story: "what a runner without a lease tells is taken",
    make: rewriting(asksNothing(runnerFence, /lease_until > tutti_now\(\)/)),
    within: 2000,
  },
  {
    name: "no attempt number",
    story: "the outcome of one attempt ends another",
    make: rewriting(...noAttemptNumber, asksNothing(/update attempts set told/, /attempts\.told < \?\d*/)),
    within: 4000,
  },
  {
    name: "dependents not counted",
    story: "a task that is made to wait just then is overlooked",
    make: rewriting(asksNothing(settleTask, /tasks\.dependents = \?\d+/)),
    within: 4000,
  },
  {
    name: "no run revision",
    story: "two steps that end at once overlook each other",
    make: rewriting(asksNothing(/^\s*update runs set/, /(?<=and )(?:runs\.)?revision = \?\d*/)),
    within: 4000,
  },
  {
    name: "no idempotency key",
    story: "a request that is sent twice is done twice",
    make: rewriting({ of: /insert into idempotency/, from: /$/, to: " on conflict (actor, key) do update set at = excluded.at" }),
    within: 2000,
  },
  {
    name: "stop is overlooked",
    story: "an end that was decided before a stop is written after it",
    make: rewriting(asksNothing(settleTask, /tasks\.cancel_requested = \?\d+/)),
    within: 4000,
  },
  {
    name: "stopped task is started",
    story: "a start that was decided before a stop is written after it",
    make: rewriting(asksNothing(startTask, /tasks\.ready = 1/), asksNothing(startTask, /tasks\.cancel_requested = 0/)),
    within: 4000,
  },
  {
    name: "group counter is lost",
    story: "a group does not count the end of an item",
    make: rewriting({ of: /^\s*update steps set/, from: /done = steps\.done \+ \?\d+/, to: "done = steps.done" }),
    within: 2000,
  },
  {
    name: "two trials",
    story: "a breaker that is half open lets a second trial begin",
    make: rewriting({
      of: /^\s*update breakers set state = 'half-open'/,
      from: /state = 'open' and retry_at <= \?/,
      to: "(retry_at <= ? or 1 = 1)",
    }),
    within: 20_000,
  },
  {
    name: "lapsed lease is renewed",
    story: "a runner renews a lease that is over",
    make: rewriting(asksNothing(/^\s*update runners set lease_until/, /lease_until > tutti_now\(\)/)),
    within: 2000,
  },
  {
    name: "takeover too soon",
    story: "a server takes a project whose orchestrator's lease holds",
    make: rewriting(asksNothing(/^\s*update orchestrators set holder/, /lease_until < tutti_now\(\)/)),
    within: 2000,
  },
];

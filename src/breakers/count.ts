import { emptyPlan, type Plan, type Statement } from "../db/plan.ts";
import { fractionOf } from "../spread.ts";
import { changeOf, openMs, trialMs, type BreakerRow, type End } from "./breaker.ts";
import { beginTrial, closeBreaker, countFailure, countSuccess, endTrial, forgetBreaker, openBreaker } from "./store.ts";

const longestReason = 300;

export interface BreakerEnd {
  subject: string;
  ended: End;
  /** Which attempt ended, as <task>/<number>: only the trial itself decides a trial. */
  attempt: string;
  /** What failed, in a few words; shown to people. */
  reason?: string;
  now: number;
}

/**
 * What an end does to its subject's breaker, to be merged into the plan that settles the attempt. `row` as `findBreaker` read
 * it. Empty while all goes well. In conflict when another server's failure came between and this one would open it.
 */
export function planBreaker(row: BreakerRow | null, { subject, ended, attempt, reason = "it failed", now }: BreakerEnd): Plan {
  const change = changeOf(row, { ended, attempt, now });
  const why = reason.slice(0, longestReason);
  switch (change.kind) {
    case "nothing":
      return emptyPlan();
    case "count failure":
      return plan([countFailure(subject, why, now)]);
    case "count success":
      return plan([countSuccess(subject, now)]);
    case "forget":
      return row ? plan([forgetBreaker(row)]) : emptyPlan();
    case "open": {
      const retryAt = now + openMs(1, jitterOf(subject, 1));
      return plan([openBreaker(subject, why, retryAt, now)], opened(subject, retryAt, why));
    }
    case "open again": {
      const { openings } = change;
      const retryAt = now + openMs(openings, jitterOf(subject, openings));
      return plan([endTrial(subject, attempt, { openings, retryAt, reason: why, now })], opened(subject, retryAt, why));
    }
    case "close":
      return plan([closeBreaker(subject, attempt)], closed(subject, null));
    case "release":
      return plan([endTrial(subject, attempt, { openings: row?.openings ?? 1, retryAt: now, reason: null, now })]);
  }
}

/** Makes an attempt the one trial of a breaker, to be merged into the plan that begins it. In conflict when another was faster. */
export const planTrial = ({ subject }: Pick<BreakerRow, "subject">, { attempt, now }: { attempt: string; now: number }): Plan =>
  plan([beginTrial(subject, attempt, now + trialMs, now)]);

const plan = (statements: Statement[], ...events: Plan["events"]): Plan => ({ statements, events });

const jitterOf = (subject: string, openings: number): number => fractionOf(`${subject}#${openings}`);

const opened = (subject: string, retryAt: number, reason: string): Plan["events"][number] => ({
  stream: "instance",
  type: "breaker.opened",
  data: { subject, retryAt, reason },
});

export const closed = (subject: string, by: string | null): Plan["events"][number] => ({
  stream: "instance",
  type: "breaker.closed",
  data: { subject, by },
});

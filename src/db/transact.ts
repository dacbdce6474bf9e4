import { AppError } from "../errors.ts";
import type { Db, Plan, StoredEvent } from "./plan.ts";

const maxTries = 8;

/** What `decide` answers: a plan to write and the answer to give when it is written; no plan means nothing to write. */
export interface Decision<Result> {
  plan: Plan | null;
  result: Result;
}

/**
 * Decide, commit, and decide again from fresh reads when somebody else was faster.
 * Throws AppError `busy` (retryable) when eight decisions in a row were overtaken.
 */
export async function transact<Result>(
  db: Db,
  decide: () => Promise<Decision<Result>>,
): Promise<{ result: Result; events: StoredEvent[] }> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const { plan, result } = await decide();
    if (!plan) return { result, events: [] };
    const committed = await db.commit(plan);
    if (committed.kind === "committed") return { result, events: committed.events };
  }
  throw new AppError("busy", "too many changes to the same thing at once", { fix: ["try again"] });
}

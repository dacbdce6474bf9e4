import type { QueryConfig, QueryResult } from "pg";
import type { AcceptedPlan, AcceptedStatement } from "./accept.ts";
import type { SqlValue } from "./plan.ts";
import { statementName } from "./postgres-connection.ts";

/**
 * What a group of plans sends to PostgreSQL, and what its answers mean. Two ways: `together`, where the rows of equal writes of all plans
 * become one statement and equal fences are asked once; or plan by plan. The first is several times faster, and cannot say whose fault
 * it is when something does not hold: then the group is rolled back and goes plan by plan.
 */
export interface Step {
  query: QueryConfig;
  expect: number | "any";
  /** Whose statement it is; null: of several. */
  plan: number | null;
  statement: number;
}

/** The first plan that could not be written: its conflict, or its error. `plan` null: one of several, not known which. */
export type Failure = { plan: number | null } & ({ kind: "conflict"; statement: number } | { kind: "error"; error: unknown });

const query = (text: string, values: unknown[]): QueryConfig => ({ name: statementName(text), text, values });

const apart = (plan: number, statement: number, { text, rows, expect, write }: AcceptedStatement): Step => ({
  query: query(text, write ? columnsOf(rows, write.columns.length) : (rows[0] ?? [])),
  expect,
  plan,
  statement,
});

/** Rows as PostgreSQL's unnest takes them: one array a column. */
const columnsOf = (rows: SqlValue[][], columns: number): unknown[] =>
  Array.from({ length: columns }, (_, column) => rows.map((row) => row[column] ?? null));

/** Each plan's statements behind each other. */
export const stepsApart = (plans: readonly AcceptedPlan[]): Step[] =>
  plans.flatMap(({ statements }, plan) => statements.map((statement, index) => apart(plan, index, statement)));

/** Whether a plan's statements touch only rows that they name, so that their order among other plans' does not matter. */
const mayJoin = ({ statements }: AcceptedPlan): boolean => statements.every(({ write, isFence }) => write !== null || isFence);

/** Fences first, then equal writes as one, then the plans that cannot join, as they came. */
export function stepsTogether(plans: readonly AcceptedPlan[]): Step[] {
  const fences = new Map<string, Step>();
  const writes = new Map<string, { rows: SqlValue[][]; columns: number }>();
  const others: Step[] = [];
  for (const [plan, accepted] of plans.entries()) {
    if (!mayJoin(accepted)) {
      others.push(...accepted.statements.map((statement, index) => apart(plan, index, statement)));
      continue;
    }
    for (const { text, rows, expect, write } of accepted.statements) {
      if (write === null) {
        const [values = []] = rows;
        const key = JSON.stringify([text, values]);
        if (!fences.has(key)) fences.set(key, { query: query(text, values), expect, plan: null, statement: -1 });
        continue;
      }
      const found = writes.get(text);
      if (found) found.rows.push(...rows);
      else writes.set(text, { rows: [...rows], columns: write.columns.length });
    }
  }
  const joined = [...writes].map(([text, { rows, columns }]): Step => ({
    query: query(text, columnsOf(rows, columns)),
    expect: rows.length,
    plan: null,
    statement: -1,
  }));
  return [...fences.values(), ...joined, ...others];
}

/** The first step that touched other rows than expected; an error counts where it rose, as everything behind it fails with it. */
export function firstConflict(steps: readonly Step[], results: readonly PromiseSettledResult<QueryResult>[]): Failure | null {
  for (const [index, { expect, plan, statement }] of steps.entries()) {
    const result = results[index];
    if (result?.status !== "fulfilled") return null;
    if (expect !== "any" && (result.value.rowCount ?? 0) !== expect) return { kind: "conflict", plan, statement };
  }
  return null;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryResult } from "pg";
import { acceptPlan } from "./accept.ts";
import { defineRows, fence, sql, statement, type Plan } from "./plan.ts";
import { firstConflict, stepsApart, stepsTogether } from "./postgres-batch.ts";

const insertNotes = defineRows(
  "insert note",
  { id: "text", size: "bigint" },
  (v) => sql`insert into notes (id, size) select ${v.id}, ${v.size} ${v.from}`,
);
const closeNotes = defineRows(
  "close note",
  { id: "text" },
  (v) => sql`update notes set open = 0 ${v.from} where notes.id = ${v.id} and notes.open = 1`,
);
const lease = (holder: string) => fence(sql`select 1 from leases where holder = ${holder}`);
const plan = (...statements: Plan["statements"]) => acceptPlan({ statements, events: [] }, "postgres");
const touched = (...counts: (number | Error)[]): PromiseSettledResult<QueryResult>[] =>
  counts.map((count) =>
    count instanceof Error ? { status: "rejected", reason: count } : { status: "fulfilled", value: { rowCount: count } as QueryResult },
  );

test("rows of equal writes of all plans are one statement, with one list of values a column", () => {
  const steps = stepsTogether([plan(insertNotes({ id: "a", size: 1 })), plan(insertNotes({ id: "b", size: 2 }, { id: "c", size: 3 }))]);
  assert.deepEqual(
    steps.map(({ query, expect }) => [query.values, expect]),
    [
      [
        [
          ["a", "b", "c"],
          [1, 2, 3],
        ],
        3,
      ],
    ],
  );
  assert.match(steps[0]?.query.text ?? "", /from unnest\(\$1::text\[\], \$2::bigint\[\]\) as v\(id, size\)/);
});

test("an equal fence is asked once for all plans, before anything is written; another one is asked too", () => {
  const plans = ["one", "one", "two"].map((holder, index) => plan(lease(holder), closeNotes({ id: `${index}` })));
  const steps = stepsTogether(plans);
  assert.deepEqual(
    steps.map(({ query }) => query.values),
    [["one"], ["two"], [["0", "1", "2"]]],
  );
});

test("a plan with a statement that reads or writes as it likes is left whole, behind the others", () => {
  const free = plan(insertNotes({ id: "x", size: 0 }), statement(sql`update notes set size = (select count(*) from notes)`, "any"));
  const steps = stepsTogether([free, plan(insertNotes({ id: "y", size: 0 }))]);
  assert.deepEqual(
    steps.map(({ plan: of }) => of),
    [null, 0, 0],
  );
});

test("when fewer rows were touched than there are, the group holds a conflict that is nobody's yet; plan by plan it has its place", () => {
  const plans = [plan(closeNotes({ id: "a" })), plan(closeNotes({ id: "b" }))];
  assert.deepEqual(firstConflict(stepsTogether(plans), touched(1)), { kind: "conflict", plan: null, statement: -1 });
  assert.deepEqual(firstConflict(stepsApart(plans), touched(1, 0)), { kind: "conflict", plan: 1, statement: 0 });
  assert.equal(firstConflict(stepsTogether(plans), touched(2)), null);
});

test("an error is no conflict, and nothing behind it is looked at", () => {
  const plans = [plan(closeNotes({ id: "a" })), plan(closeNotes({ id: "b" }))];
  assert.equal(firstConflict(stepsApart(plans), touched(new Error("refused"), 0)), null);
});

test("on SQLite the same write is one text with numbered values", () => {
  const [first] = acceptPlan({ statements: [closeNotes({ id: "a" })], events: [] }, "sqlite").statements;
  assert.equal(first?.text.replaceAll(/\s+/g, " "), "update notes set open = 0 where notes.id = ?1 and notes.open = 1");
});

test("a write whose text binds a value of its own is refused when it is defined", () => {
  assert.throws(
    () => defineRows("bad", { id: "text" }, (v) => sql`update notes set open = ${1} ${v.from} where id = ${v.id}`),
    /none of its columns/,
  );
});

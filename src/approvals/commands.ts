import { z } from "zod";
import { emptyPlan, mergePlans, sql, statement, type Plan, type Statement } from "../db/plan.ts";
import { conflict, invalidInput } from "../errors.ts";
import { planAnswer } from "../flows/progress.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { createdCursor } from "../cursor.ts";
import { readAnswer } from "./answer.ts";
import { Approval } from "./approval.ts";
import { getApproval, listApprovals, toApproval, type ApprovalRow } from "./store.ts";

export const listApprovalsQuery = query({
  name: "approval.list",
  help: "Questions to people, the oldest first.",
  path: "/approvals",
  input: Page.extend({ state: Approval.shape.state.optional(), project: z.string().optional(), run: z.string().optional() }),
  output: listOf(Approval),
  access: "person",
  mcp: { tool: "list_approvals", group: "approvals" },
  async run({ limit, ...filter }, { read }) {
    const { items, next } = page(await listApprovals(read, { ...filter, limit: limit + 1 }), limit, createdCursor);
    return { items: items.map(toApproval), next };
  },
});

export const getApprovalQuery = query({
  name: "approval.get",
  help: "One question with the raw action that it is about.",
  path: "/approvals/:id",
  input: z.object({ id: z.string() }),
  output: Approval,
  access: "person",
  mcp: { tool: "get_approval", group: "approvals" },
  run: async ({ id }, { read }) => toApproval(await getApproval(read, id)),
});

export const answerApproval = command({
  name: "approval.answer",
  help: "Answer a question: one of its options, or yes and no. Only a person may.",
  input: z.strictObject({
    id: z.string(),
    answer: z.string().min(1).max(10_000).describe("one of its options, or yes or no"),
    comment: z.string().max(100_000).optional().describe("words that go with the answer"),
    hash: z.string().optional().describe("the hash of the action that was shown: refused when the question is about another by now"),
  }),
  output: Approval,
  access: "person",
  scope: "approve",
  mcp: { tool: "answer_approval", group: "approvals" },
  async decide({ id, answer, comment, hash }, { read, db, actor, now }) {
    const row = await getApproval(read, id);
    if (row.state !== "open") {
      throw conflict(`approval ${id} is ${row.state} already`, row.answer ? `the answer was "${row.answer}"` : undefined, [
        `tutti show ${id}`,
      ]);
    }
    if (hash !== undefined && hash !== row.hash) {
      throw conflict(`approval ${id} is about another action now`, "the hash of what you saw is not the hash of what would be done", [
        `tutti show ${id}`,
      ]);
    }
    const options = JSON.parse(row.options) as string[];
    const chosen = readAnswer(options, answer);
    if (chosen === null) throw invalidInput(`"${answer}" is no answer to ${id}`, `it can be answered with: ${options.join(", ")}`);
    const answered = planAnswered(row, { state: "answered", answer: chosen, comment: comment ?? null, by: actor.name, now });
    const step = row.kind === "ask" && row.run && row.step ? { run: row.run, step: row.step } : null;
    const moved = step ? await planAnswer(db, step, chosen, now) : emptyPlan();
    const result: Approval = {
      ...toApproval(row),
      state: "answered",
      answer: chosen,
      comment: comment ?? null,
      answeredBy: actor.name,
      answeredAt: now,
    };
    return { plan: mergePlans(answered, moved), result };
  },
});

/** The task that asked goes on, and its step; the run too when nothing else of it waits for a person. */
const goOn = (row: ApprovalRow, now: number): Statement[] => [
  statement(
    sql`update tasks set state = 'running', reason = null, updated_at = ${now} where id = ${row.task} and state = 'needs you'`,
    "any",
  ),
  statement(
    sql`update steps set state = 'running', reason = null where run = ${row.run} and id = ${row.step} and state = 'needs you'`,
    "any",
  ),
  statement(
    sql`update runs set state = 'running', reason = null
         where id = ${row.run} and state = 'needs you'
           and not exists (select 1 from approvals where run = ${row.run} and state = 'open' and id <> ${row.id})`,
    "any",
  ),
];

/** Used once: the row must still be open, and its hash the one that was looked at. */
export function planAnswered(
  row: ApprovalRow,
  end: { state: "answered" | "expired"; answer: string | null; comment: string | null; by: string | null; now: number },
): Plan {
  return {
    statements: [
      statement(sql`
        update approvals set state = ${end.state}, answer = ${end.answer}, comment_text = ${end.comment}, answered_by = ${end.by},
               answered_at = ${end.now}
         where id = ${row.id} and state = 'open' and hash = ${row.hash}`),
      ...(row.kind === "permission" ? goOn(row, end.now) : []),
    ],
    events: [
      {
        stream: row.project,
        type: end.state === "answered" ? "approval.answered" : "approval.expired",
        task: row.task,
        run: row.run,
        session: row.session,
        data: { approval: row.id, answer: end.answer, by: end.by },
      },
    ],
  };
}

import type { AnswerOf } from "../api/client.ts";

export type StepCard = AnswerOf<"run.steps">["items"][number];

/** The steps as they stand below each other: a group, and below it its items when it is open. Pure. */
export interface StepRow {
  step: StepCard;
  level: 1 | 2;
  open: boolean | null;
  /** Of a group's items, those that are shown are not all. */
  more: boolean;
}

export function stepRows(steps: readonly StepCard[], items: ReadonlyMap<string, { steps: readonly StepCard[]; more: boolean }>): StepRow[] {
  return steps.flatMap((step): StepRow[] => {
    const below = items.get(step.id);
    const own: StepRow = { step, level: 1, open: step.group === null ? null : below !== undefined, more: below?.more ?? false };
    return [own, ...(below?.steps ?? []).map((item): StepRow => ({ step: item, level: 2, open: null, more: false }))];
  });
}

/** Where a run opens: what failed first, else what waits for a person, else what runs, else the first step. */
export function firstToSee(steps: readonly StepCard[]): StepCard | null {
  const failed = steps.filter(({ state }) => state === "failed").toSorted((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0));
  return (
    failed[0] ??
    steps.find(({ state }) => state === "needs you") ??
    steps.find(({ state }) => state === "running" || state === "starting") ??
    steps[0] ??
    null
  );
}

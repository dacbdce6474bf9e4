import type { Problem } from "../api/problem.ts";
import { Failure } from "../parts/failure.tsx";

const toSight = (element: HTMLElement | null): void => element?.scrollIntoView({ block: "nearest" });

/** What the server said against a form, brought into sight: a long form would hide it. */
export function FormTrouble({ problem }: { problem: Problem | null }) {
  if (problem === null) return null;
  return (
    <div ref={toSight}>
      <Failure error={problem} />
    </div>
  );
}

/** Leads to the first field that something is wrong with, once it is drawn as such. */
export function toFirstProblem(): void {
  requestAnimationFrame(() => document.querySelector<HTMLElement>("[role=dialog] [aria-invalid]")?.focus());
}

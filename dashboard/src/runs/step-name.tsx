import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";
import { Beam } from "../parts/beam.tsx";
import { Glyph } from "../parts/glyph.tsx";
import type { StepRow } from "./step-rows.ts";

/** A step in one line: how it stands, its name, who does it; a group carries its items. */
export function StepName({ row: { step } }: { row: StepRow }) {
  return (
    <>
      <Glyph state={step.state} label />
      <b className="clip">
        <Plain text={step.id} />
      </b>
      {step.group !== null && <span className="t3 num">×{step.group.wanted}</span>}
      {step.items !== null && (
        <span className="step__beam">
          <Beam counts={step.items} label={step.id} />
        </span>
      )}
      {step.agent !== null && (
        <span className="push">
          <Monogram name={step.agent} kind="agent" />
        </span>
      )}
    </>
  );
}

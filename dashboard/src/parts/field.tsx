import { type ReactNode, useId } from "react";
import { Glyph } from "./glyph.tsx";

export interface FieldWords {
  label: ReactNode;
  /** Help below the control; or where a value comes from that is not the person's to change. */
  hint?: ReactNode;
  /** What is wrong with the value, said in the person's words. */
  error?: ReactNode;
  /** The label is only for people who cannot see the control. */
  labelHidden?: boolean;
}

/** What a control needs to belong to its field. */
export interface FieldLinks {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

/** Label above, control, help or error below, all linked. */
export function Field({ label, hint, error, labelHidden = false, children }: FieldWords & { children: (links: FieldLinks) => ReactNode }) {
  const id = useId();
  const wrong = error !== undefined && error !== null && error !== false;
  const below = wrong || (hint !== undefined && hint !== null);
  return (
    <div className="field">
      <label className={labelHidden ? "vh" : "field__label"} htmlFor={id}>
        {label}
      </label>
      {children({ id, "aria-describedby": below ? `${id}-below` : undefined, "aria-invalid": wrong || undefined })}
      {below && (
        <span id={`${id}-below`} className={wrong ? "field__err" : "field__hint"}>
          {wrong && <Glyph state="failed" />}
          <span>{wrong ? error : hint}</span>
        </span>
      )}
    </div>
  );
}

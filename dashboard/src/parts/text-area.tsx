import type { Ref, TextareaHTMLAttributes } from "react";
import { Field, type FieldWords } from "./field.tsx";

interface TextAreaProps
  extends FieldWords, Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "className" | "onChange" | "value" | "children"> {
  value: string;
  onChange?: (value: string) => void;
  mono?: boolean;
  ref?: Ref<HTMLTextAreaElement>;
}

/** Several lines of text; it grows with them up to half of the window. */
export function TextArea({ label, hint, error, labelHidden, mono = false, onChange, ref, ...rest }: TextAreaProps) {
  return (
    <Field label={label} hint={hint} error={error} labelHidden={labelHidden}>
      {(links) => (
        <span className={mono ? "input area mono" : "input area"} data-invalid={links["aria-invalid"]}>
          <textarea rows={3} {...rest} {...links} ref={ref} onChange={(event) => onChange?.(event.target.value)} />
        </span>
      )}
    </Field>
  );
}

import { Lock } from "lucide-react";
import type { InputHTMLAttributes, Ref } from "react";
import { Field, type FieldWords } from "./field.tsx";
import { Icon, type IconShape } from "./icon.tsx";
import { Keycap } from "./keycap.tsx";

interface TextFieldProps extends FieldWords, Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "onChange" | "value" | "children"> {
  value: string;
  onChange?: (value: string) => void;
  icon?: IconShape;
  /** The key that leads here: "/". */
  keys?: string;
  /** For ids, paths, branches and numbers. */
  mono?: boolean;
  ref?: Ref<HTMLInputElement>;
}

/** One line of text. Read-only ones show a lock, and their hint says where the value comes from. */
export function TextField({ label, hint, error, labelHidden, icon, keys, mono = false, onChange, ref, ...rest }: TextFieldProps) {
  const locked = rest.readOnly === true;
  return (
    <Field label={label} hint={hint} error={error} labelHidden={labelHidden}>
      {(links) => (
        <span className={mono ? "input mono" : "input"} data-invalid={links["aria-invalid"]} data-readonly={locked || undefined}>
          {locked ? <Icon of={Lock} /> : icon !== undefined && <Icon of={icon} />}
          <input type="text" autoComplete="off" {...rest} {...links} ref={ref} onChange={(event) => onChange?.(event.target.value)} />
          {keys !== undefined && <Keycap keys={keys} />}
        </span>
      )}
    </Field>
  );
}

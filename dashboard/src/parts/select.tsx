import { ChevronDown } from "lucide-react";
import { Field, type FieldWords } from "./field.tsx";
import { Icon } from "./icon.tsx";

interface SelectProps<V extends string> extends FieldWords {
  value: V;
  onChange: (value: V) => void;
  options: readonly { value: V; label: string; disabled?: boolean }[];
  disabled?: boolean;
}

/** One of several, by the system's own list (which phones and screen readers know best). */
export function Select<V extends string>({ label, hint, error, labelHidden, value, onChange, options, disabled }: SelectProps<V>) {
  return (
    <Field label={label} hint={hint} error={error} labelHidden={labelHidden}>
      {(links) => (
        <span className="input select" data-invalid={links["aria-invalid"]}>
          <select
            {...links}
            value={value}
            disabled={disabled}
            onChange={(event) => {
              const chosen = options.find((option) => option.value === event.target.value);
              if (chosen !== undefined) onChange(chosen.value);
            }}
          >
            {options.map((option) => (
              <option key={option.value} value={option.value} disabled={option.disabled}>
                {option.label}
              </option>
            ))}
          </select>
          <Icon of={ChevronDown} small />
        </span>
      )}
    </Field>
  );
}

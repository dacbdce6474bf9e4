import type { ReactNode } from "react";

interface CheckboxProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  /** Only for people who cannot see what it stands beside. */
  labelHidden?: boolean;
  disabled?: boolean;
  children: ReactNode;
}

/** One yes or no of a form, or a mark such as "viewed". `children` is its label. */
export function Checkbox({ checked, onChange, labelHidden = false, disabled, children }: CheckboxProps) {
  return (
    <label className="check">
      <input
        type="checkbox"
        className="check__box"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span className={labelHidden ? "vh" : undefined}>{children}</span>
    </label>
  );
}

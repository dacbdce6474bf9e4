import { X } from "lucide-react";
import type { ReactNode } from "react";
import { Icon } from "./icon.tsx";

interface ChipProps {
  children: ReactNode;
  /** It filters what is seen now. */
  on?: boolean;
  /** Makes it a button with a cross. `label` says what the cross does: "Clear project: storefront". */
  onRemove?: () => void;
  label?: string;
}

/** A filter in force, or a fact in a capsule. */
export function Chip({ children, on = false, onRemove, label }: ChipProps) {
  const look = on ? "chip chip--on" : "chip";
  if (onRemove === undefined) return <span className={look}>{children}</span>;
  return (
    <button type="button" className={look} aria-label={label} onClick={onRemove}>
      {children}
      <Icon of={X} small />
    </button>
  );
}

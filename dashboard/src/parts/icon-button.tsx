import type { ButtonHTMLAttributes, Ref } from "react";
import { Icon, type IconShape } from "./icon.tsx";
import { Tooltip } from "./tooltip.tsx";

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "className" | "aria-label" | "children"> {
  icon: IconShape;
  /** What it does; also its tooltip. */
  label: string;
  kind?: "plain" | "quiet";
  ref?: Ref<HTMLButtonElement>;
}

/** A button that is only an icon, with its word as label and tooltip. */
export function IconButton({ icon, label, kind = "quiet", ...rest }: IconButtonProps) {
  return (
    <Tooltip text={label}>
      <button type="button" {...rest} className={`btn btn--${kind} btn--icon`} aria-label={label}>
        <Icon of={icon} />
      </button>
    </Tooltip>
  );
}

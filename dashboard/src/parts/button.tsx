import { type ButtonHTMLAttributes, type MouseEvent, type ReactNode, type Ref, useId } from "react";
import { Glyph } from "./glyph.tsx";
import { Icon, type IconShape } from "./icon.tsx";
import { Keycap } from "./keycap.tsx";
import { Tooltip } from "./tooltip.tsx";

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled" | "className"> {
  /** At most one primary on a screen; danger is outlined until it is meant. */
  kind?: "primary" | "plain" | "danger" | "quiet";
  icon?: IconShape;
  /** The key that does the same. */
  keys?: string;
  /** Why it cannot be used now. The button stays reachable, so that the reason can be read. */
  disabledReason?: ReactNode;
  busy?: boolean;
  large?: boolean;
  /** Takes the room that is left. */
  grow?: boolean;
  children: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

/** A button. It is either usable, busy, or says why it is neither. */
export function Button({
  kind = "plain",
  icon,
  keys,
  disabledReason,
  busy = false,
  large = false,
  grow = false,
  children,
  ...rest
}: ButtonProps) {
  const off = disabledReason !== undefined && disabledReason !== null && disabledReason !== false;
  const reasonId = useId();
  const button = (
    <button
      type="button"
      {...rest}
      {...(off || busy ? { onClick: ignored, "aria-disabled": off || undefined, "aria-busy": busy || undefined } : {})}
      {...(off ? { "aria-describedby": reasonId } : {})}
      className={`btn btn--${kind}${large ? " btn--lg" : ""}${grow ? " btn--grow" : ""}`}
    >
      {busy ? <Glyph state="starting" /> : icon !== undefined && <Icon of={icon} />}
      {children}
      {keys !== undefined && <Keycap keys={keys} />}
    </button>
  );
  if (!off) return button;
  return (
    <>
      <Tooltip text={disabledReason}>{button}</Tooltip>
      <span id={reasonId} hidden>
        {disabledReason}
      </span>
    </>
  );
}

const ignored = (event: MouseEvent) => {
  // A submit button that is off must not send its form.
  event.preventDefault();
  event.stopPropagation();
};
